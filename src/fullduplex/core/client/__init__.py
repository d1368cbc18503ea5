"""Client side: plan, proxies, redirects, reconnection."""
