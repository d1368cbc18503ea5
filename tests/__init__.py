"""The tests; helpers are imported as ``tests.kit.pair``."""
