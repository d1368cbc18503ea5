"""Checks of websockets 10 on the credentials that a server is given."""

from __future__ import annotations

from typing import Any


def is_credentials(value: Any) -> bool:
    """Tell whether a value is a pair of a user name and a password."""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(item, str) for item in value)
    )
