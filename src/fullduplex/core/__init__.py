"""The protocol without I/O and without a clock; not for import by programs.

session      messages, timers, water marks, operations that may wait
protocol     frame-level rules, closing
handshake    the opening handshake, both sides
wire         bytes to frames and back
kernels      masking, UTF-8
"""
