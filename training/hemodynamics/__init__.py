"""Blood pressure and blood flow from a photoplethysmogram (PPG)."""
