"""Every behaviour on the face of trio."""

from __future__ import annotations

import pytest

from .behaviours import Behaviour
from .faces import Face
from .pairs import pairs, run


@pytest.mark.parametrize(("behaviour", "face"), pairs("trio"))
def test_contract(behaviour: Behaviour, face: Face) -> None:
    run(behaviour, face)
