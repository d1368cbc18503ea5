"""Limits: above them clients get 503, and the log one line a second."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from fullduplex import serve
from fullduplex.core.server import base as reception

from ..kit.asyncio_peer import until
from ..kit.bytes import TEXT, request
from ..kit.clock import PATIENCE
from .server_kit import echo, records, serving


async def test_client_above_max_connections_is_answered_503(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(max_connections=2) as place:
        first = await place.open()
        second = await place.connect()  # counts, though it says nothing
        await until(lambda: len(place.server._connections) == 2)
        caplog.clear()
        third = await place.connect()
        answer = await third.ask(request())

        assert answer.status == 503
        assert int(answer.header("Retry-After") or 0) > 0
        assert await third.ended() == b""
        first.send(TEXT, "unharmed")
        assert (await first.read()).text == "unharmed"
        assert place.server.refused == {"max_connections": 1}

        second.close()
        await until(lambda: len(place.server._connections) == 1)
        await place.open()
        await until(lambda: bool(records(caplog, logging.WARNING)))
        assert records(caplog, logging.WARNING) == [
            "refused 1 clients: 1 by max_connections"
        ]
        # Not one line for each attempt.
        assert not any("503" in line for line in records(caplog))


@pytest.mark.variants("plain")
async def test_client_above_max_connections_per_ip_is_answered_503() -> None:
    async with serving(max_connections_per_ip=1) as place:
        first = await place.open()
        assert (await (await place.connect()).ask(request())).status == 503
        first.close()
        await until(lambda: not place.server._connections)
        await place.open()
        assert place.server.refused == {"max_connections_per_ip": 1}


@pytest.mark.variants("plain")
async def test_requests_above_the_rate_are_answered_503() -> None:
    async with serving(max_handshakes_per_second=2) as place:
        began = time.monotonic()
        for expected in (101, 101, 503):
            answer = await (await place.connect()).ask(request())
            assert answer.status == expected
        assert answer.header("Retry-After") == "1"
        while (await (await place.connect()).ask(request())).status != 101:
            assert time.monotonic() - began < PATIENCE
            await asyncio.sleep(0.02)
        assert time.monotonic() - began > 0.45


@pytest.mark.variants("plain")
async def test_what_was_refused_is_logged_at_the_end_at_the_latest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(max_connections=1) as place:
        await place.open()
        for _ in range(3):
            assert (await (await place.connect()).ask(request())).status == 503
    assert records(caplog, logging.WARNING) == [
        "refused 3 clients: 3 by max_connections"
    ]


@pytest.mark.variants("plain")
async def test_flood_above_the_limit_is_cut_off_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reception, "MAX_REFUSED", 3)
    async with serving(max_connections=1) as place:
        await place.open()
        flood = [await place.connect() for _ in range(3)]
        await until(lambda: place.server.refused.get("max_connections") == 3)
        for _ in range(3):
            try:
                client = await place.connect()
            except OSError:
                continue  # cut off before it could be used
            assert await client.ended() == b""
        await until(lambda: place.server.refused.get("max_connections") == 6)
        assert (await flood[0].ask(request())).status == 503


@pytest.mark.variants("plain")
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_connections", 0, ValueError),
        ("max_connections", 1.5, TypeError),
        ("max_connections_per_ip", True, TypeError),
        ("max_handshakes_per_second", 0, ValueError),
        ("max_handshakes_per_second", "1", TypeError),
    ],
)
async def test_limit_out_of_range_is_refused_in_the_call(
    name: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error, match=name):
        serve(echo, **{name: value})  # type: ignore[arg-type]
