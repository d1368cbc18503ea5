"""A server in the test process, and ways to run the command as a user does."""

from __future__ import annotations

import asyncio
import codecs
import os
import queue
import re
import select
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fullduplex import serve
from fullduplex.typing import Subprotocol

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("prompt_toolkit")

DEADLINE = 15  # seconds; a run takes well under one

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>78]")


class Server:
    """Servers on loopback whose behaviour is chosen by the path of the URI."""

    def __init__(self) -> None:
        self.headers: queue.Queue[Mapping[str, str]] = queue.Queue()
        self.closings: queue.Queue[tuple[int, str]] = queue.Queue()
        self.messages: queue.Queue[str | bytes] = queue.Queue()
        self._ports: dict[str, int] = {}
        self._ready: queue.Queue[BaseException | None] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def uri(self, path: str = "/", kind: str = "plain") -> str:
        """Address the plain server, the one with ``tls``, or the one for ``chat``."""
        scheme = "wss" if kind == "tls" else "ws"
        return f"{scheme}://127.0.0.1:{self._ports[kind]}{path}"

    def start(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._thread.start()
        if (error := self._ready.get(timeout=DEADLINE)) is not None:
            raise error

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)

    def forget(self) -> None:
        for records in (self.headers, self.closings, self.messages):
            while not records.empty():
                records.get()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # reported by start()
            self._ready.put(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        address = "127.0.0.1", 0
        async with (
            serve(self._handle, *address) as plain,
            serve(self._handle, *address, ssl=self._context) as tls,
            serve(self._handle, *address, subprotocols=[Subprotocol("chat")]) as chat,
        ):
            for kind, server in {"plain": plain, "tls": tls, "chat": chat}.items():
                self._ports[kind] = server.sockets[0].getsockname()[1]
            self._ready.put(None)
            await self._stop.wait()

    async def _handle(self, ws: Any) -> None:
        self.headers.put(dict(ws.request.headers.raw_items()))
        match ws.request.path:
            case "/silent":
                async for message in ws:
                    self.messages.put(message)
            case "/close-1001":
                await ws.close(1001, "bye")
            case "/close-4001-after-one":
                await ws.recv()
                await ws.close(4001, "no \x1b[31m\n such thing")
            case "/abort-after-one":
                await ws.recv()
                ws.transport.abort()
            case "/binary":
                await ws.recv()
                await ws.send(b"\x00\x1b\xff")
            case "/evil":
                await ws.recv()
                await ws.send("\x1b]0;title\x07 \x9b31m \u202etxt\nnext")
            case "/json":
                await ws.recv()
                await ws.send('{"name": "\u202evalue",\n\t"list": [1, true, null]}')
            case "/long":
                await ws.recv()
                await ws.send("é" * 10_000)
            case "/on-request":
                while await ws.recv() != "close":
                    await ws.send("message from the server")
                await ws.close(1000, "as you wish")
        async for message in ws:
            self.messages.put(message)
            await ws.send(message)
        await ws.wait_closed()
        self.closings.put((ws.close_code, ws.close_reason))


@pytest.fixture(scope="session")
def running_server() -> Iterator[Server]:
    trustme = pytest.importorskip("trustme")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = Server()
    server.start(context)
    yield server
    server.stop()


@pytest.fixture
def server(running_server: Server) -> Server:
    running_server.forget()
    return running_server


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What the command finds: a state directory of its own, a plain terminal."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and name not in {"NO_COLOR", "FORCE_COLOR", "COLORTERM"}
    }
    environment["XDG_STATE_HOME"] = str(tmp_path / "state")
    environment["TERM"] = "xterm-256color"
    environment["PYTHONUTF8"] = "1"
    # No terminal emulator is there to answer where its cursor is.
    environment["PROMPT_TOOLKIT_NO_CPR"] = "1"
    return environment


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Run the command to its end, with standard input from a pipe."""

    def run(*arguments: str, input: str | bytes = "") -> Any:
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [sys.executable, "-m", "fullduplex", *arguments],
            input=data,
            capture_output=True,
            timeout=DEADLINE,
            env=environment,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


class Terminal:
    """A command in a pseudo-terminal; its standard error goes to a pipe."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        import pty
        import termios

        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 100))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fullduplex", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self.raw = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._seen = 0

    @property
    def text(self) -> str:
        return _ESCAPE_SEQUENCE.sub("", self.raw)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def expect(self, wanted: str) -> None:
        """Read until the text is shown, after what was expected before."""
        while (found := self.text.find(wanted, self._seen)) < 0:
            assert self._read(), f"{wanted!r} did not come; got {self.text!r}"
        self._seen = found + len(wanted)

    def finish(self) -> tuple[int, str]:
        """Read to the end, return the exit status and standard error."""
        while self._read():
            pass
        assert self.process.stderr is not None
        errors = self.process.stderr.read().decode()
        return self.process.wait(DEADLINE), errors

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        os.close(self._master)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], DEADLINE)
        assert ready, f"no output for {DEADLINE} s; got {self.text!r}"
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # how Linux reports that no process has it open
            return False
        self.raw += self._decoder.decode(data)
        return bool(data)


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start the command in a terminal."""
    pytest.importorskip("pty")
    started = []

    def start(*arguments: str, **more: str) -> Terminal:
        started.append(Terminal(list(arguments), environment | more))
        return started[-1]

    yield start
    for item in started:
        item.kill()
