"""Server side: configuration, limits, handshake, hooks, routing."""
