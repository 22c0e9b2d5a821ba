"""The command line and everything that talks to a board: build, parity, profile, report."""
