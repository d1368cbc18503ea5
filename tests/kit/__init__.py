"""Helpers of several test packages; ``bytes`` and ``peer`` do not call the library."""
