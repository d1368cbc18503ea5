"""Every behaviour on every face; the blocking face has no cancelling."""

from __future__ import annotations

import pytest

from .behaviours import BEHAVIOURS, Behaviour
from .faces import FACES, Face


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
@pytest.mark.parametrize(
    "behaviour",
    BEHAVIOURS,
    ids=lambda item: "-".join(filter(None, (item.name, item.side))),
)
def test_contract(behaviour: Behaviour, face: Face) -> None:
    if behaviour.cancels and not face.cancels:
        pytest.skip("the blocking face has timeouts instead of cancelling")
    reason = face.missing()
    if reason is not None:
        pytest.skip(reason)
    face.run(behaviour.run)
