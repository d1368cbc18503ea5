"""Results and their tables, documents and plots."""
