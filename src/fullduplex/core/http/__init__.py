"""HTTP/1.1: headers, field grammar, messages, parsers (RFC 9110, 9112)."""
