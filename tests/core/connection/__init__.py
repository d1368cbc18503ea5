"""What programs see of a connection."""
