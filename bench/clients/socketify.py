"""socketify: µWebSockets, a server in C++, under a callback in Python.

It runs its own loop in a process of its own, which is what is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from ..peers.load import open_connection
from ..rows import messages
from ..rows.messages import client_frame
from . import Skip, Target
from ._child import Child

Message = str | bytes

if find_spec("socketify") is None:
    raise ImportError("No module named 'socketify'")

# app.publish() sends to all that have subscribed.  It ends with its input.
PROGRAM = """
import os, sys, threading
from socketify import App, CompressOptions, OpCode

def echo(ws, message, opcode):
    ws.send(message, opcode)

def join(ws):
    ws.subscribe("all")

def publish(ws, message, opcode):
    app.publish("all", message, opcode)

app = App()
options = {
    "compression": CompressOptions.DISABLED,
    "max_payload_length": 2**31 - 1,
    "max_backpressure": 2**31 - 1,
    "idle_timeout": 0,
}
app.ws("/publish", {**options, "message": publish})
app.ws("/*", {**options, "open": join, "message": echo})
app.listen({"host": "127.0.0.1", "port": 0}, lambda on: print(on.port, flush=True))
threading.Thread(target=lambda: os._exit(bool(sys.stdin.read())), daemon=True).start()
app.run()
"""

_children: list[Child] = []


def version() -> str:
    return metadata.version("socketify")


def pid() -> int:
    return _children[-1].process.pid


def start(*, joining: bool) -> int:
    program = PROGRAM if joining else PROGRAM.replace('"open": join, ', "")
    _children.append(Child([sys.executable, "-c", program]))
    try:
        return int(_children[-1].line())
    except EOFError:
        raise Skip("socketify does not run here") from None


async def stop() -> None:
    _children.pop().end()


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    return start(joining=False), stop


async def broadcaster(target: Target) -> Any:
    """A connection of ours tells it what to publish."""
    port = start(joining=True)
    sock = open_connection(port, "/publish")

    async def send(message: Message, count: int) -> None:
        sock.sendall(client_frame(message, messages.opcode(target.row)) * count)

    return port, send, stop
