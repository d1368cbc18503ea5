"""The asyncio face: `connect`, `unix_connect`, `serve`, `unix_serve`."""
