"""Servers under bad peers, on every face, plain and TLS; `make stress` takes longer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .kit import FACES, Face, Subject, certificate, waits_here
from .servers import SCENARIOS, stopped_readers

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts with /proc"),
    pytest.mark.timeout(180),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificate")


@pytest.fixture(
    scope="module",
    params=[(face, secure) for face in FACES for secure in (False, True)],
    ids=lambda param: f"{param[0].name}-{'tls' if param[1] else 'plain'}",
)
def place(request: pytest.FixtureRequest, folder: Path) -> tuple[Face, Path | None]:
    """A face, and the certificate for TLS."""
    face, secure = request.param
    face.require()
    return face, certificate(folder) if secure else None


@pytest.fixture(scope="module")
def subject(place: tuple[Face, Path | None]) -> Iterator[list[Subject]]:
    """One server for all scenarios, started again where one has ended it."""
    running: list[Subject] = []
    yield running
    for subject in running:
        with subject:
            pass


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda item: item.__name__)
def test_others_are_served_and_nothing_is_left(
    scenario: Any, place: tuple[Face, Path | None], subject: list[Subject]
) -> None:
    if scenario is stopped_readers and not waits_here(place[0], place[1] is not None):
        return  # `make stress` runs it everywhere
    if not subject:
        subject.append(Subject(*place))
    try:
        scenario(subject[0], 1)
    except BaseException:
        # The next scenario begins with a server that nobody has ill-treated.
        with subject.pop():
            raise


def test_it_stops_as_told(
    place: tuple[Face, Path | None], subject: list[Subject]
) -> None:
    server = subject.pop() if subject else Subject(*place)
    with server:
        hostile = server.hostile()
        hostile.open("/echo")
        server.stop()
        hostile.reset()
