"""Diagnoses, statistics and connection traces."""
