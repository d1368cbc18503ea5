"""The compiled and the pure bodies, held together."""
