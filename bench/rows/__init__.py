"""The rows of the table: scenarios, messages, servers."""
