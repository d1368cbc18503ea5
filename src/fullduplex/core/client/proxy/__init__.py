"""Proxies: addresses, selection, HTTP tunnel, SOCKS."""
