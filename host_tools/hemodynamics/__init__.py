"""Commands about hemodynamic parameters: data, estimates, tables."""
