"""Sockets and TLS, as faces share them; no event loop and no thread is known here."""
