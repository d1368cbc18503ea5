"""One open connection, without I/O (RFC 6455, 5 to 7)."""
