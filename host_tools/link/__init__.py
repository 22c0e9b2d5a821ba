"""The device link: framed, checked, repeated requests and replies over any byte pipe (docs/wire-protocol.md)."""
