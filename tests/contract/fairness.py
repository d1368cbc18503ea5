"""Fairness: no loop keeps anything else from running, and nothing sent is held back.

A behaviour that fails must not hang: what would go on for ever counts its calls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fullduplex import ConnectionClosed

from ..kit.bytes import BINARY, CONT, PING, PONG, TEXT
from ..kit.clock import PATIENCE
from ..kit.peer import Peer
from .faces import End, Kit
from .registry import behaviour

# Calls after the peer has gone by which its end is known.
BOUND = 50_000
# Calls within which ten round trips of another connection are done.
ROUNDS_BOUND = 1_000_000
ENDS = ("reset", "close", "half-close")
CALLS: dict[str, Callable[[End], Any]] = {
    "ten_bytes": lambda ws: ws.ws.send(b"x" * 10),
    "64_KiB": lambda ws: ws.ws.send(bytes(65536)),
    "fragments": lambda ws: ws.ws.send(iter([b"ab", b"cd"])),
    "ping": lambda ws: ws.ws.ping(),
    "pong": lambda ws: ws.ws.pong(),
    "flush": lambda ws: ws.ws.flush(),
}


def with_and_without_tls(make: Any, name: str | None = None) -> Any:
    """Register a behaviour of a kit, a side, and whether there is TLS."""
    for tls in (False, True):

        async def body(kit: Kit, side: str, tls: bool = tls) -> None:
            await make(kit, side, tls)

        body.__name__ = (name or make.__name__) + ("_through_tls" if tls else "")
        behaviour()(body)
    return make


def beside(function: Callable[[], object]) -> threading.Thread:
    """Let a peer do something, whether the face has its turn or not."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def blocked_until(function: Callable[[], object]) -> None:
    """Compute, as far as the face can tell, until a peer has done something."""
    thread = beside(function)
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it did not arrive during the computation"


# Loops


async def calls_until_the_end(
    kit: Kit, ws: End, peer: Peer, call: Callable[[End], Any], end: str
) -> int:
    """Call without a pause while the peer leaves; return how often it did no good."""
    gone = threading.Event()

    def live() -> None:
        if end == "reset":
            peer.reset()
        elif end == "close":
            peer.close()
        else:
            peer.half_close()
        gone.set()
        if end == "half-close":
            peer.gone()

    calls = 0
    living: threading.Thread | None = None
    with pytest.raises(ConnectionClosed):
        while calls < BOUND:
            await kit.wait(call(ws))
            living = living or beside(live)
            calls += gone.is_set()
    assert living is not None
    await kit.do(living.join)
    return calls


def register_loops() -> None:
    for name, call in CALLS.items():

        async def loop(kit: Kit, side: str, tls: bool, call: Any = call) -> None:
            for end in ENDS:
                async with kit.both(side, tls) as (ws, peer):
                    await calls_until_the_end(kit, ws, peer, call, end)

        with_and_without_tls(loop, f"loop_of_{name}_ends_with_the_connection")


register_loops()


@behaviour()
async def loop_that_ignores_the_end_lets_others_run(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        await kit.do(peer.close)
        await ws.wait_closed()
        beats = 0
        over = False

        async def beat() -> None:
            nonlocal beats
            while not over:
                beats += 1
                await kit.sleep(0)

        beating = kit.spawn(beat)
        await kit.until(lambda: beats)
        for call in CALLS.values():
            before = beats
            for _ in range(20_000):
                with pytest.raises(ConnectionClosed):
                    await kit.wait(call(ws))
                if beats > before + 1:
                    break
            else:
                raise AssertionError("nothing else has run")
        over = True
        await beating.result()


@behaviour(sides=())
async def others_are_served_beside_a_loop_that_sends(kit: Kit) -> None:
    over = False

    async def handler(ws: Any) -> None:
        if ws.request.path == "/loop":
            calls = 0
            while not over and calls < ROUNDS_BOUND:
                await kit.wait(ws.send(b"x" * 10))
                calls += 1
            assert over, "nobody else was served"
        else:
            for _ in range(10):
                await kit.wait(ws.send(await kit.wait(ws.recv())))

    async with kit.server(handler) as (host, port):
        uri = f"ws://{host}:{port}"
        async with kit.connection(f"{uri}/loop", compression=None) as noisy:

            async def consume() -> None:
                try:
                    while True:
                        await kit.wait(noisy.recv())
                except ConnectionClosed:
                    pass

            consuming = kit.spawn(consume)
            async with kit.connection(f"{uri}/echo", compression=None) as ws:
                for number in range(10):
                    await kit.wait(ws.send(f"{number}"))
                    assert await kit.wait(ws.recv()) == f"{number}"
                    await kit.sleep(0.001)
            over = True
            await consuming.result()


# What was sent before a computation


@with_and_without_tls
async def first_message_leaves_before_a_computation(
    kit: Kit, side: str, tls: bool
) -> None:
    async with kit.both(side, tls) as (ws, peer):

        async def answer() -> None:
            # The task is resumed by what is read.
            await ws.recv()
            await ws.send("started")
            blocked_until(lambda: peer.read_until(TEXT))
            await ws.send("done")

        for _ in range(3):
            receiving = kit.spawn(answer)
            await kit.receiving(ws, receiving)
            peer.send(TEXT, "go")
            await receiving.result()
            assert (await kit.do(peer.read)).text == "done"


@with_and_without_tls
async def first_of_anything_leaves_before_a_computation(
    kit: Kit, side: str, tls: bool
) -> None:
    async with kit.both(side, tls) as (ws, peer):
        steps: list[tuple[int, Callable[[], Any]]] = [
            (PING, lambda: ws.ping()),
            (PONG, lambda: ws.pong()),
            (BINARY, lambda: ws.send(b"x", compress=False)),
            (TEXT, lambda: ws.send("x")),
        ]
        for opcode, step in steps:
            peer.send(TEXT, "go")
            await ws.recv()
            await step()
            blocked_until(lambda opcode=opcode: peer.read_until(opcode))  # type: ignore[misc]

        def pieces() -> Any:
            yield "first"
            blocked_until(lambda: peer.read_until(TEXT))
            yield "second"

        peer.send(TEXT, "go")
        await ws.recv()
        await ws.send(pieces())
        blocked_until(lambda: peer.read_until(CONT))


@with_and_without_tls
async def message_leaves_in_each_step_however_short_the_pause(
    kit: Kit, side: str, tls: bool
) -> None:
    async with kit.both(side, tls) as (ws, peer):
        for number in range(20):
            await ws.send(f"{number}")
            await kit.sleep(0)
        # In time, the last ones were neighbours; each was the first of its step.
        blocked_until(lambda: [peer.read() for _ in range(20)])


@with_and_without_tls
async def flush_sends_all_before_a_computation(kit: Kit, side: str, tls: bool) -> None:
    async with kit.both(side, tls) as (ws, peer):
        peer.send(TEXT, "go")
        await ws.recv()
        for number in range(10):
            await ws.send(f"{number}")
        await kit.wait(ws.ws.flush())
        blocked_until(lambda: [peer.read() for _ in range(10)])
        assert ws.open


@with_and_without_tls
async def pong_leaves_before_the_step_of_a_reader(
    kit: Kit, side: str, tls: bool
) -> None:
    async with kit.both(side, tls) as (ws, peer):

        async def compute() -> None:
            await ws.recv()
            blocked_until(lambda: peer.read_until(PONG))

        computing = kit.spawn(compute)
        await kit.receiving(ws, computing)
        peer.write(peer.frame(PING, b"?"), peer.frame(TEXT, "go"))
        await computing.result()


@behaviour()
async def flush_after_the_end_raises_what_ended_it(kit: Kit, side: str) -> None:
    async with kit.ends(side) as (ws, peer):
        await kit.wait(ws.ws.flush())
        await kit.do(peer.close)
        await ws.wait_closed()
        with pytest.raises(ConnectionClosed):
            await kit.wait(ws.ws.flush())
