"""Every behaviour on every face; the blocking face has no cancelling.

A file of tests for each kind of face, so that they run side by side.
"""

from __future__ import annotations

from typing import Any

import pytest

from .behaviours import BEHAVIOURS, Behaviour
from .faces import FACES, Face


def title(behaviour: Behaviour, face: Face) -> str:
    """Name a test."""
    return "-".join(filter(None, (behaviour.name, behaviour.side, face.name)))


def pairs(kind: str) -> list[Any]:
    """Return every behaviour with every face whose name begins with `kind`."""
    return [
        pytest.param(behaviour, face, id=title(behaviour, face))
        for behaviour in BEHAVIOURS
        for face in FACES
        if face.name.partition("-")[0] == kind and (behaviour.tls or not face.tls)
    ]


def run(behaviour: Behaviour, face: Face) -> None:
    """Run a behaviour on a face, or skip it with the reason."""
    if behaviour.cancels and not face.cancels:
        pytest.skip("the blocking face has timeouts instead of cancelling")
    reason = face.missing()
    if reason is not None:
        pytest.skip(reason)
    face.run(behaviour.run)
