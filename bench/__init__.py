"""Benchmarks: what one operation costs in CPU time, here and in the peers."""
