"""One suite of random operator problems, run on every runtime and compared with the oracle, byte for byte."""
