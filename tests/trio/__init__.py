"""The trio face, on real connections, against raw peers."""
