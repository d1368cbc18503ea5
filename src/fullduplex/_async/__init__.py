"""Parts of the asyncio and trio faces that contain ``await`` and nothing of a loop."""
