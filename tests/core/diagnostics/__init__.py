"""Records of connections, and their explanation."""
