"""Every behaviour on every face; the blocking face has no cancelling."""

from __future__ import annotations

import pytest

from .behaviours import BEHAVIOURS, Behaviour
from .faces import FACES, Face


def title(behaviour: Behaviour, face: Face) -> str:
    """Name a test."""
    return "-".join(filter(None, (behaviour.name, behaviour.side, face.name)))


PAIRS = [
    pytest.param(behaviour, face, id=title(behaviour, face))
    for behaviour in BEHAVIOURS
    for face in FACES
    if behaviour.tls or not face.tls
]


@pytest.mark.parametrize(("behaviour", "face"), PAIRS)
def test_contract(behaviour: Behaviour, face: Face) -> None:
    if behaviour.cancels and not face.cancels:
        pytest.skip("the blocking face has timeouts instead of cancelling")
    reason = face.missing()
    if reason is not None:
        pytest.skip(reason)
    face.run(behaviour.run)
