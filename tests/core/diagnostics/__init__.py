"""What is recorded of connections, and how it is explained."""
