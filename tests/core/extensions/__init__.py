"""Extensions (RFC 6455, 9; RFC 7692)."""
