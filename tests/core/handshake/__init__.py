"""Both sides of the opening handshake (RFC 6455, 4)."""
