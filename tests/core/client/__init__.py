"""Parts of clients: connecting, proxies, redirects, reconnecting."""
