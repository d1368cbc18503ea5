"""Frames and messages as objects."""
