"""A run: signals, train, compress, generate, build, parity, profile, report; what is up to date is skipped."""
