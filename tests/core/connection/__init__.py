"""Connections as programs see them."""
