"""Fuzzers: bytes that nobody would think of, read by both bodies."""
