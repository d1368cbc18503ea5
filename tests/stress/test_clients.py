"""Clients under bad servers, on every face, plain and TLS."""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..kit.peer import Listener, Peer
from .kit import FACES, LIMIT, Face, Program, certificate, waits_here

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts with /proc"),
    pytest.mark.timeout(180),
]

CLIENTS = [face for face in FACES if face.name != "uvicorn"]
CLOSED = "ConnectionClosed"
# What connecting may raise where no WebSocket is.
REFUSED = ("InvalidHandshake", "OSError", "EOFError")
Server = Callable[[Peer], None]


# What servers do


def read_some(peer: Peer, size: int = 50_000) -> None:
    while size > 0:
        size -= peer.read_some(65536) or size


def reset_at_once(peer: Peer) -> None:
    peer.reset()


def finish_at_once(peer: Peer) -> None:
    peer.close()


def half_a_head(peer: Peer) -> None:
    peer.read_head()
    peer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgr")
    peer.reset()


def nonsense(peer: Peer) -> None:
    peer.read_head()
    peer.write(b"220 mail.example ESMTP\r\n" * 10)
    peer.close()


def opened_and_reset(peer: Peer) -> None:
    peer.handshake().reset()


def opened_and_finished(peer: Peer) -> None:
    peer.handshake().close()


def half_a_frame(peer: Peer) -> None:
    peer.handshake(glued=b"\x82\x7e\x10\x00" + bytes(100)).reset()


def half_a_message(peer: Peer) -> None:
    peer.handshake(glued=peer.frame(1, "first", fin=False)).close()


def wrong_frame(peer: Peer) -> None:
    peer.handshake(glued=b"\xff" * 20).gone()


def close_without_reading(peer: Peer) -> None:
    peer.handshake().send_close(1000)
    time.sleep(0.2)
    peer.reset()


def read_then_reset(peer: Peer) -> None:
    peer.handshake()
    read_some(peer)
    peer.reset()


def read_then_finish(peer: Peer) -> None:
    peer.handshake()
    read_some(peer)
    peer.close()


def half_close_and_read(peer: Peer) -> None:
    peer.handshake()
    read_some(peer)
    if isinstance(peer.sock, ssl.SSLSocket):
        peer.close()
        return
    peer.half_close()
    peer.gone()


def dead(peer: Peer) -> None:
    """Neither read nor answer; the client's keepalive ends it."""
    peer.handshake()
    time.sleep(6)
    peer.reset()


BAD: list[tuple[Server, tuple[str, ...], tuple[str, ...]]] = [
    (reset_at_once, ("recv",), REFUSED),
    (finish_at_once, ("recv",), REFUSED),
    (half_a_head, ("recv",), REFUSED),
    (nonsense, ("recv",), REFUSED),
    # A reset can overtake the response.
    (opened_and_reset, ("recv", "wait"), (CLOSED, *REFUSED)),
    (opened_and_finished, ("recv", "wait"), (CLOSED,)),
    (half_a_frame, ("recv",), (CLOSED, *REFUSED)),
    (half_a_message, ("recv",), (CLOSED,)),
    (wrong_frame, ("recv", "wait"), (CLOSED,)),
    (close_without_reading, ("recv", "wait"), (CLOSED,)),
]
TIGHT: list[tuple[Server, tuple[str, ...], tuple[str, ...]]] = [
    (server, ("send", "fragments", "ping"), (CLOSED, *REFUSED))
    for server in (
        opened_and_reset,
        opened_and_finished,
        read_then_reset,
        read_then_finish,
        half_close_and_read,
    )
]
STOPPED: list[tuple[Server, tuple[str, ...], tuple[str, ...]]] = [
    (dead, ("send", "wait"), (CLOSED,)),
]


class Site:
    """A listener whose connections meet one server of those above, each in a thread."""

    def __init__(self, server: Server, context: ssl.SSLContext | None) -> None:
        self._listener = Listener(context=context)
        self._server = server
        scheme = "wss" if context else "ws"
        self.uri = f"{scheme}://127.0.0.1:{self._listener.port}/"
        self.trouble: list[BaseException] = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer = self._listener.accept()
            except TimeoutError:
                continue
            except (OSError, ValueError):
                return
            threading.Thread(target=self._meet, args=(peer,), daemon=True).start()

    def _meet(self, peer: Peer) -> None:
        try:
            peer.sock.settimeout(LIMIT)
            self._server(peer)
        except (OSError, EOFError):
            pass  # the client was faster

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(
    scope="module",
    params=[(face, secure) for face in CLIENTS for secure in (False, True)],
    ids=lambda param: f"{param[0].name}-{'tls' if param[1] else 'plain'}",
)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Face, ssl.SSLContext | None]:
    """A face, and what a server needs for TLS."""
    face, secure = request.param
    face.require()
    if not secure:
        return face, None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(Path(tmp_path_factory.mktemp("certificate"))))
    return face, context


@pytest.fixture
def client(place: tuple[Face, ssl.SSLContext | None]) -> Iterator[Program]:
    with Program(place[0], "client") as program:
        yield program


@pytest.mark.parametrize(
    "servers", [BAD, TIGHT, STOPPED], ids=["bad", "tight", "stopped"]
)
def test_every_end_is_noticed_and_nothing_is_left(
    servers: list[tuple[Server, tuple[str, ...], tuple[str, ...]]],
    place: tuple[Face, ssl.SSLContext | None],
    client: Program,
) -> None:
    if servers is STOPPED and not waits_here(place[0], place[1] is not None):
        return
    before: dict[str, Any] | None = None
    # What is made once and kept, such as a thread, is there after the first two.
    first: list[Any] = [
        (opened_and_finished, ("recv",), (CLOSED,)),
        (close_without_reading, ("wait",), (CLOSED,)),
    ]
    for server, acts, expected in (*first, *servers):
        for act in acts:
            site = Site(server, place[1])
            try:
                answer = client.ask(
                    json.dumps([act, site.uri]), f"{act} at {server.__name__}"
                )
            finally:
                site.close()
            what = (server.__name__, act, answer["error"])
            normal = answer["error"] is None and act == "wait"
            assert normal or {*expected} & {*answer["kinds"]}, what
            left(before, answer, what)
            if before is None and server is close_without_reading:
                before = answer
    client.whole()


def left(before: dict[str, Any] | None, answer: dict[str, Any], what: object) -> None:
    if before is None:
        return
    for name in ("connections", "descriptors", "threads", "tasks"):
        # A poller and what wakes it may have been made meanwhile, once.
        more = 3 if name == "descriptors" else 1
        assert answer[name] <= before[name] + more, (what, name, before, answer)
