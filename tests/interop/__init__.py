"""Our client and server against published implementations of other projects."""
