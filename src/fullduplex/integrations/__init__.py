"""Homes for programs of other projects, one module for each of these."""
