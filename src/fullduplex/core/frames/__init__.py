"""Frames, messages and close codes as values (RFC 6455, 5 and 7)."""
