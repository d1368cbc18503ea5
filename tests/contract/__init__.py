"""What every face must do; ``python -m tests.contract`` prints it as a table."""
