"""Kernels in C, each with a pure twin: masks, UTF-8, zlib."""
