"""Runs the Autobahn testsuite, an independent judge of RFC 6455 and RFC 7692."""
