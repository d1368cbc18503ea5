"""Boost.Beast, WebSocket in C++, as a reference; see ``native/beast.cpp``.

We only give the commands; what is measured is the C++ program.
"""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable

from ..native import BEAST
from ..rows import messages
from . import Skip, Target
from ._child import Child

Message = str | bytes

if not BEAST.exists():
    raise ImportError("native/beast.cpp was not built")

_children: list[Child] = []


def version() -> str:
    return subprocess.check_output([BEAST], text=True).strip()


def pid() -> int:
    return _children[-1].process.pid


class Connection:
    def __init__(self, child: Child, number: int) -> None:
        self.child = child
        self.number = number

    def say(self, command: str, *words: object, content: bytes = b"") -> None:
        line = " ".join(map(str, [command, self.number, *words]))
        self.child.input.write(f"{line}\n".encode() + content)
        self.child.input.flush()

    def hear(self) -> Message:
        kind, _, size = self.child.line().partition(" ")
        content = self.child.output.read(int(size))
        return content.decode() if kind == "text" else content

    async def collect(self, count: int) -> list[Message]:
        self.say("collect", count)
        return [self.hear() for _ in range(count)]

    async def receive(self, count: int) -> Message:
        self.say("receive", count)
        return self.hear()

    def _with(self, command: str, message: Message, count: int) -> None:
        kind = "text" if isinstance(message, str) else "binary"
        content = messages.payload(message)
        self.say(command, count, kind, len(content), content=content)

    async def send(self, message: Message, count: int, burst: int) -> None:
        self._with("send", message, count)
        self.child.line()

    async def echo(self, message: Message, count: int) -> Message:
        self._with("echo", message, count)
        return self.hear()

    async def close(self) -> None:
        self.say("close")
        self.child.line()


_opened = 0


async def open(target: Target) -> Connection:
    global _opened
    if target.row.tls:
        raise Skip("its source has no TLS")
    if not _children:
        _children.append(Child([str(BEAST), "client"]))
    [child] = _children
    child.input.write(f"open {target.port} {int(target.row.deflate)}\n".encode())
    child.input.flush()
    child.line()
    _opened += 1
    return Connection(child, _opened - 1)


async def finish() -> None:
    for child in _children:
        child.end()


async def serve(target: Target) -> tuple[int, Callable[[], Awaitable[None]]]:
    child = Child([str(BEAST), "serve"])
    _children.append(child)
    port = int(child.line())

    async def stop() -> None:
        child.end()

    return port, stop
