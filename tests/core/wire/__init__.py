"""Bytes of frames; both bodies are compared in ``tests/parity``."""
