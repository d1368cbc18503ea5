"""The lock of the compiled driver, and what may befall its reads besides messages."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import pytest

from fullduplex.sync import ClientConnection, connect

from ..kit.bytes import TEXT, frame
from ..kit.clock import until
from ..kit.peer import Peer
from .kit import PATIENCE, job, listening, opened

needs_signals = pytest.mark.skipif(os.name != "posix", reason="needs signals")


class Stop(Exception):
    """What a signal handler raises."""


@contextmanager
def alarms(handler: Callable[[], None], again: bool = True) -> Iterator[None]:
    """Call a handler in the main thread soon, and again and again."""
    over = threading.Event()
    thread = threading.main_thread().ident
    assert thread is not None

    def ring() -> None:
        while not over.wait(0.02):
            signal.pthread_kill(thread, signal.SIGUSR1)
            if not again:
                return

    before = signal.signal(signal.SIGUSR1, lambda number, frame: handler())
    ringing = job(ring)
    try:
        yield
    finally:
        over.set()
        ringing.result()
        signal.signal(signal.SIGUSR1, before)


# The lock


@pytest.fixture(params=["pure", "compiled"])
def lock(request: pytest.FixtureRequest) -> Any:
    if request.param == "pure":
        return threading.Lock()
    try:
        return import_module("fullduplex.sync._hot_c").Lock()
    except ImportError as exc:
        pytest.skip(f"no compiled parts: {exc}")


def test_lock_when_taken_refuses_who_does_not_wait(lock: Any) -> None:
    assert lock.acquire(False)
    assert not lock.acquire(False)
    lock.release()
    with lock:
        assert not lock.acquire(False)
    assert lock.acquire()


def test_lock_when_a_block_raises_is_free_again(lock: Any) -> None:
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert lock.acquire(False)


def test_lock_when_nobody_has_it_cannot_be_released(lock: Any) -> None:
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        lock.release()
    assert lock.acquire(False)


def test_lock_lets_one_thread_in_at_a_time(lock: Any) -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(300):
            with lock:
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    workers = [job(work) for _ in range(4)]
    for worker in workers:
        worker.result()
    assert (inside, most) == (0, 1)


@needs_signals
def test_lock_when_a_signal_handler_raises_is_not_taken(lock: Any) -> None:
    lock.acquire()

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop), alarms(stop, again=False):
        lock.acquire()
    lock.release()
    assert lock.acquire(False)


@needs_signals
def test_lock_when_a_signal_handler_returns_is_waited_for(lock: Any) -> None:
    seen: list[None] = []

    def release() -> None:
        until(lambda: len(seen) >= 3, "the third signal")
        lock.release()

    lock.acquire()
    releasing = job(release)
    with alarms(lambda: seen.append(None)):
        lock.acquire()
    releasing.result()
    assert len(seen) >= 3
    assert not lock.acquire(False)


# Reading


@needs_signals
def test_recv_when_a_signal_handler_returns_goes_on_waiting() -> None:
    seen: list[None] = []
    with opened() as (ws, peer):

        def write() -> None:
            until(lambda: len(seen) >= 5, "the fifth signal")
            peer.write(frame(TEXT, "after it"))

        writing = job(write)
        with alarms(lambda: seen.append(None)):
            assert ws.recv() == "after it"
        writing.result()


@needs_signals
@pytest.mark.parametrize("tls", [False, True])
def test_recv_when_a_signal_handler_raises_loses_nothing(
    tls: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def stop() -> None:
        raise Stop

    options: dict[str, Any] = {}
    if tls:
        options = {"context": server_tls, "ssl": client_tls}
    with opened(**options) as (ws, peer):
        for number in range(20):
            with pytest.raises(Stop), alarms(stop, again=False):
                ws.recv()
            peer.write(frame(TEXT, f"{number}"))
            assert ws.recv(timeout=PATIENCE) == f"{number}"
            ws.send(f"{number}")
            assert peer.read().payload == b"%d" % number


@needs_signals
def test_recv_when_a_signal_comes_right_behind_a_message_keeps_it() -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        raise Stop

    # What holds the interpreter's lock all the time: the thread in `recv` has read,
    # and cannot go on before the signal is there.
    send = ctypes.PyDLL(None).send
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        data = frame(TEXT, "x")
        send(peer.sock.fileno(), data, len(data), 0)
        sum(range(1_000_000))
        signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)
    try:
        with opened() as (ws, peer):
            for _ in range(5):
                asleep = threading.Timer(0.05, interrupt)
                asleep.start()
                with pytest.raises(Stop):
                    ws.recv()
                asleep.join()

                assert ws.recv(timeout=PATIENCE) == "x"
    finally:
        sys.setswitchinterval(interval)
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def crumbled(
    size: int, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> Iterator[tuple[ClientConnection, Peer]]:
    """Connect through TLS whose bytes come in a few at a time."""
    near, far = socket.socketpair()
    with listening(context=server_tls) as listener:
        accepted = job(lambda: listener.accept().handshake())
        server = socket.create_connection(("127.0.0.1", listener.port))

        def carry(source: socket.socket, target: socket.socket, size: int) -> None:
            try:
                while data := source.recv(size):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the other direction has ended both

        relays = [job(carry, far, server, 65536), job(carry, server, far, size)]
        ws = connect(listener.uri, sock=near, ssl=client_tls, compression=None)
        peer = accepted.result()
        try:
            yield ws, peer
        finally:
            peer.close()
            ws.close()
            for relay in relays:
                relay.result()
            far.close()
            server.close()


@pytest.mark.skipif(os.name != "posix", reason="needs a pair of sockets that is no TCP")
@pytest.mark.parametrize("size", [1, 7, 300])
def test_recv_when_records_come_in_pieces_puts_them_together(
    size: int, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with crumbled(size, server_tls, client_tls) as (ws, peer):
        for number in range(10):
            ws.send("go")
            peer.read()
            peer.write(frame(TEXT, f"{number}" * 200), frame(TEXT, "next"))
            assert ws.recv() == f"{number}" * 200
            assert ws.recv() == "next"


def test_recv_when_records_come_at_once_returns_all_messages_in_order(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with opened(context=server_tls, ssl=client_tls) as (ws, peer):
        for _ in range(10):
            # A message begins in the record in which another one ends.
            data = b"".join(frame(TEXT, f"{number}" * 1000) for number in range(20))
            for start in range(0, len(data), 1500):
                peer.write(data[start : start + 1500])
            assert [ws.recv() for _ in range(20)] == [f"{n}" * 1000 for n in range(20)]


# The end


class Interrupt(BaseException):
    """What stands for Ctrl-C."""


def interrupted_at(number: int, call: Callable[[], Any]) -> bool:
    """Call, with Ctrl-C at one of the lines that end TCP; return whether it came."""
    left = number

    def lines(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                raise Interrupt
        return lines

    def calls(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_name
        return (
            lines
            if name in ("_advance_tcp_close", "_end", "_dispose", "_shut_down")
            else None
        )

    before = sys.gettrace()
    sys.settrace(calls)
    try:
        call()
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("tls", [False, True])
def test_ctrl_c_wherever_tcp_ends_leaves_nothing_to_wait_for(
    tls: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    options: dict[str, Any] = {}
    if tls:
        options = {"context": server_tls, "ssl": client_tls}
    number = 1
    cut = True
    while cut:
        with opened(**options) as (ws, peer):
            answering = job(peer.answer_close)
            cut = interrupted_at(number, ws.close)
            assert ws.wait_closed(PATIENCE)
            assert ws.closed
            assert ws.socket.fileno() == -1
            answering.result()
        number += 1
    assert number > 20
