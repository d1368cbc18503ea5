"""Tests of the core: no sockets, no sleeps; time is a number."""
