"""Parts of servers: limits, hooks, authentication."""
