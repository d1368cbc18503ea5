"""Measuring one row: timing, counters, repetition, instructions."""
