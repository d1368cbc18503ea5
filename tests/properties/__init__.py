"""Properties of sessions, whatever the order of events."""
