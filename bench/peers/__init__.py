"""The other ends: plain sockets, load, faulty peers."""
