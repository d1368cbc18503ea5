"""From a name to a connection: which addresses are tried, and what is said of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from fullduplex import connect

from ..kit.asyncio_peer import Listener, Stopwatch, listening, until
from ..kit.leaks import sockets
from ..kit.proxies import deaf, free_port
from .kit import finish

pytestmark = pytest.mark.usefixtures("no_proxies")

# Seconds: less than a test lasts that waits for a dead address.
SOON = 2.0


def resolving(*hosts: str) -> list[str]:
    """Let the running loop's resolver give these addresses; returns what is asked."""
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    async def getaddrinfo(host: Any, port: Any, *args: Any, **kwds: Any) -> list[Any]:
        if host in hosts:  # uvloop asks again before it connects
            return socket.getaddrinfo(host, port, *args, **kwds)
        asked.append(host)
        infos = []
        for address in hosts:
            infos += socket.getaddrinfo(address, port, **kwds)
        return infos

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
    return asked


async def connected(listener: Listener, uri: str, **options: Any) -> tuple[Any, Any]:
    """Connect to the listener; returns what was connected to and from where."""
    opening = asyncio.ensure_future(connect(uri, **options).connect())
    try:
        peer = await (await listener.accept()).handshake()
        ws = await opening
    finally:
        opening.cancel()
    await finish(ws, peer)
    return ws.remote_address[0], ws


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 here")


# Which one wins


async def test_address_that_refuses_takes_no_time() -> None:
    async with listening() as listener:
        resolving("127.0.0.9", "127.0.0.1")
        watch = Stopwatch()
        address, _ = await connected(
            listener, listener.at("/", "example.com"), happy_eyeballs_delay=2 * SOON
        )

        assert address == "127.0.0.1"
        assert watch.elapsed < SOON


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_server_on_one_family_is_found_whatever_comes_first(host: str) -> None:
    async with listening(host=host) as listener:
        for hosts in (("::1", "127.0.0.1"), ("127.0.0.1", "::1")):
            resolving(*hosts)
            address, _ = await connected(listener, listener.at("/", "example.com"))
            assert address == host


@needs_ipv6
@pytest.mark.variants("two")
async def test_families_take_turns() -> None:
    async with listening() as listener:
        with (
            deaf(listener.port, "127.0.0.5"),
            deaf(listener.port, "127.0.0.6"),
        ):
            resolving("127.0.0.5", "127.0.0.6", "::1", "127.0.0.1")
            watch = Stopwatch()
            await connected(
                listener, listener.at("/", "example.com"), happy_eyeballs_delay=0.1
            )
            # 127.0.0.5, after 0.1 s ::1, which refuses, 127.0.0.6 and, after 0.1 s
            # more, the one that answers.
            assert 0.15 < watch.elapsed < SOON


@pytest.mark.variants("two")
async def test_each_of_many_addresses_is_tried_within_open_timeout() -> None:
    async with listening() as listener:
        with contextlib.ExitStack() as stack:
            dead = [
                stack.enter_context(deaf(listener.port, f"127.0.1.{number}"))
                for number in range(1, 9)
            ]
            resolving(*dead, "127.0.0.1")
            address, _ = await connected(
                listener, listener.at("/", "example.com"), open_timeout=1
            )
            assert address == "127.0.0.1"


@pytest.mark.variants("two")
async def test_without_delay_a_dead_address_is_waited_for() -> None:
    async with listening() as listener:
        with deaf(listener.port) as dead:
            resolving(dead, "127.0.0.1")
            with pytest.raises(TimeoutError):
                await connect(
                    listener.at("/", "example.com"),
                    happy_eyeballs_delay=None,
                    open_timeout=0.5,
                )
            assert not listener.peers


@pytest.mark.variants("two")
async def test_cancelled_race_leaves_nothing_open() -> None:
    port = free_port()
    with deaf(port, "127.0.0.5"), deaf(port, "127.0.0.6"):
        resolving("127.0.0.5", "127.0.0.6")
        before = sockets()
        task = asyncio.ensure_future(
            connect(f"ws://example.com:{port}/", happy_eyeballs_delay=0).connect()
        )
        await until(lambda: len(sockets() - before) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# What is asked


@pytest.mark.variants("plain")
async def test_address_is_not_asked_for() -> None:
    async with listening() as listener:
        asked = resolving()
        await connected(listener, listener.uri)
        assert asked == []


@needs_ipv6
@pytest.mark.variants("plain")
async def test_ipv6_address_is_not_asked_for() -> None:
    async with listening(host="::1") as listener:
        asked = resolving()
        address, _ = await connected(listener, listener.at("/", "[::1]"))
        assert address == "::1"
        assert asked == []


@pytest.mark.variants("two")
async def test_host_is_asked_for_instead_of_that_of_the_uri() -> None:
    async with listening() as listener:
        asked = resolving("127.0.0.1")
        await connected(listener, listener.at("/", "example.com"), host="other.com")
        await connected(listener, "ws://example.com/", port=listener.port)
        assert asked == ["other.com", "example.com"]


@pytest.mark.variants("two")
async def test_local_address_is_used() -> None:
    async with listening() as listener:
        _, ws = await connected(
            listener, listener.uri, local_addr=("127.0.0.7", 0), family=socket.AF_INET
        )
        assert ws.local_address[0] == "127.0.0.7"


# What is said


async def test_name_without_address_is_named() -> None:
    resolving()
    with pytest.raises(OSError, match="there is no address"):
        await connect("ws://example.com/")


async def test_failure_of_the_only_address_is_told_shortly() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError) as caught:
        await connect(f"ws://127.0.0.1:{port}/")
    assert str(caught.value).endswith(
        f"cannot connect to 127.0.0.1:{port}: connection refused"
    )


@pytest.mark.variants("two")
async def test_failures_are_a_group_where_that_was_asked_for() -> None:
    resolving("127.0.0.8", "127.0.0.9")
    with pytest.raises(ExceptionGroup) as caught:
        await connect(f"ws://example.com:{free_port()}/", all_errors=True)
    kinds = [type(exc) for exc in caught.value.exceptions]
    assert kinds == [ConnectionRefusedError, ConnectionRefusedError]


@pytest.mark.variants("two")
async def test_timeout_tells_that_the_name_was_being_resolved() -> None:
    loop = asyncio.get_running_loop()

    async def getaddrinfo(*args: Any, **kwds: Any) -> list[Any]:
        await asyncio.Event().wait()
        raise AssertionError

    loop.getaddrinfo = getaddrinfo  # type: ignore[method-assign]
    with pytest.raises(TimeoutError, match=r"^timed out resolving example\.com; "):
        await connect("ws://example.com/", open_timeout=0.1)


@pytest.mark.variants("two")
async def test_local_address_that_is_not_ours_is_told() -> None:
    async with listening() as listener:
        with pytest.raises(OSError, match=r"cannot bind to local address 192\.0\.2\.1"):
            await connect(listener.uri, local_addr=("192.0.2.1", 0))
        with pytest.raises(OSError, match="no address of this family"):
            await connect(listener.uri, local_addr=("::1", 0))
