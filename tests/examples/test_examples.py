"""Each example does what its first lines say, and ends when it is told to."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from fullduplex import InvalidStatus, connect

Start = Callable[..., Any]


def get(uri: str, method: str = "GET") -> tuple[int, str, bytes]:
    """Status, content type and body of a plain request."""
    request = urllib.request.Request(uri, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


@pytest.mark.parametrize("name", ["chat/server.py", "dashboard.py"])
def test_plain_get_is_answered_with_the_page(example: Start, name: str) -> None:
    running = example(name)

    status, kind, body = get(running.uri("http"))

    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!doctype html>")
    assert body.endswith(b"</html>\n")


def test_chat_has_one_page(example: Start) -> None:
    running = example("chat/server.py")

    assert get(running.uri("http") + "none")[0] == 404


@pytest.mark.parametrize("name", ["chat/server.py", "dashboard.py", "auth.py"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_with_status_0(example: Start, name: str, number: int) -> None:
    assert example(name).stop(number) == (0, "")


async def test_chat_sends_to_everybody(example: Start) -> None:
    running = example("chat/server.py")
    big = bytes(range(256)) * 4096
    async with (
        connect(running.uri()) as ann,
        connect(running.uri()) as bob,
    ):
        await ann.send("hi, ünïcode 🦆")
        await bob.send(big)

        for ws in (ann, bob):
            assert [await ws.recv(), await ws.recv()] == ["hi, ünïcode 🦆", big]


async def test_chat_announces_a_restart_with_1012(example: Start) -> None:
    running = example("chat/server.py")
    async with connect(running.uri()) as ws:
        running.process.send_signal(signal.SIGTERM)
        await ws.wait_closed()

    assert ws.close_code == 1012


async def test_dashboard_pushes_plots(example: Start) -> None:
    running = example("dashboard.py", "--interval", "0.05")
    async with connect(running.uri()) as first, connect(running.uri()) as second:
        counts = []
        for ws in (first, second, first):
            root = ElementTree.fromstring(await ws.recv(decode=True))
            line = root.find("{http://www.w3.org/2000/svg}polyline")
            assert line is not None
            counts.append(len(line.attrib["points"].split()))
        # A point more in each picture.
        assert counts[0] < counts[2]


async def test_dashboard_closes_pages_when_it_ends(example: Start) -> None:
    running = example("dashboard.py", "--interval", "0.05")
    async with connect(running.uri()) as ws:
        running.process.send_signal(signal.SIGTERM)
        async for _ in ws:
            pass

    assert ws.close_code == 1001


async def test_auth_knows_who_is_there(example: Start) -> None:
    running = example("auth.py")
    async with connect(running.uri(user="ann:secret")) as ws:
        assert await ws.recv() == "hello, ann"
        await ws.send("hi")
        assert await ws.recv() == "ann: hi"


@pytest.mark.parametrize("user", ["", "ann:swordfish", "eve:secret"])
async def test_auth_refuses_others(example: Start, user: str) -> None:
    running = example("auth.py")

    with pytest.raises(InvalidStatus) as caught:
        await connect(running.uri(user=user)).connect()

    assert caught.value.response.status_code == 401
    assert (
        'Basic realm="example"' in (caught.value.response.headers["WWW-Authenticate"])
    )
