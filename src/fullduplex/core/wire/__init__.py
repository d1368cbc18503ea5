"""Frames as bytes: reader, writer and message queue (RFC 6455, 5)."""
