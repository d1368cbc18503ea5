"""Starts subjects, ill-treats them, and looks at what is left."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from ..kit.peer import Peer, dial

__all__ = [
    "FACES",
    "LIMIT",
    "Face",
    "Hostile",
    "Program",
    "Subject",
    "at_once",
    "certificate",
    "waits_here",
]

ROOT = Path(__file__).parents[2]

# Seconds within which everything must have happened; a fault takes for ever, and a
# busy machine does not take that long.
LIMIT = 30.0
# Bytes that one subject may keep after everybody has gone: allocators hold some.
KEPT = 48 * 2**20
# What an interpreter or a loop writes when something was lost.
LOST = (
    "Traceback",
    "never retrieved",
    "never awaited",
    "Exception ignored",
    "Exception in callback",
    "ResourceWarning",
    "Fatal",
)


@dataclass(frozen=True)
class Face:
    """One way to use the library, in the words of the programs here."""

    name: str
    program: str
    pure: bool = False
    needs: str | None = None

    def environment(self) -> dict[str, str]:
        own = {"FULLDUPLEX_IMPL": "pure"} if self.pure else {}
        return {**os.environ, "PYTHONWARNINGS": "default::ResourceWarning", **own}

    def require(self) -> None:
        """Skip the test where something is missing."""
        if self.needs is not None:
            pytest.importorskip(self.needs)


FACES = [
    Face("asyncio", "asyncio"),
    Face("asyncio-pure", "asyncio", pure=True),
    Face("uvloop", "uvloop", needs="uvloop"),
    Face("sync", "sync"),
    Face("trio", "trio", needs="trio"),
    Face("uvicorn", "uvicorn", needs="uvicorn"),
]


def certificate(folder: Path) -> Path:
    """Write a certificate for localhost with its key; returns the file."""
    trustme = pytest.importorskip("trustme")
    path = folder / "certificate.pem"
    if not path.exists():
        made = trustme.CA().issue_cert("localhost", "127.0.0.1")
        made.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path


def trusting() -> ssl.SSLContext:
    """A context of a client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def waits_here(face: Face, secure: bool) -> bool:
    """Whether the tests run what waits for timeouts: once for each face."""
    return secure is (FACES.index(face) % 2 == 1)


class Hostile:
    """
    One TCP connection to a server, driven as badly as asked.

    Args:
        port: of the server, on 127.0.0.1.
        secure: whether the server wants TLS.
        small: take few bytes that are not read.
    """

    def __init__(self, port: int, *, secure: bool, small: bool = False) -> None:
        self.secure = secure
        self.peer = dial(("127.0.0.1", port), small=small)
        self.sock.settimeout(LIMIT)

    @property
    def sock(self) -> socket.socket:
        sock: socket.socket = self.peer.sock
        return sock

    def hello(self) -> Self:
        """Do the handshake of TLS, where there is one."""
        if self.secure:
            self.peer.sock = trusting().wrap_socket(self.sock)
        return self

    def open(self, path: str, *headers: str) -> Peer:
        """Do all handshakes; returns the open connection."""
        self.hello()
        self.peer.ask(path, *headers)
        assert self.peer.lines[0].startswith("HTTP/1.1 101 "), self.peer.lines
        return self.peer

    # Ends

    def reset(self) -> None:
        self.peer.reset()

    def finish(self) -> None:
        self.peer.close()

    def half_close(self) -> None:
        """End our direction of TCP without a word of TLS, and read to the end."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)
        self.drain()
        self.peer.close()

    def drain(self) -> None:
        """Read until TCP ends or nothing comes any more."""
        self.sock.settimeout(5)
        try:
            while socket.socket.recv(self.sock, 2**20):
                pass
        except OSError:
            pass

    def stuff(self, data: bytes, *, size: int) -> int:
        """Write until the server takes no more, or so many bytes; returns how many."""
        written = 0
        self.sock.settimeout(0.5)
        try:
            while written < size:
                written += self.sock.send(data)
        except OSError:
            pass
        self.sock.settimeout(LIMIT)
        return written


class Program:
    """
    A program in a process of its own that answers lines with lines.

    Args:
        module: of this package.
        arguments: of the program.
        descriptors: how many the process may have, if not as usual.
    """

    def __init__(
        self,
        face: Face,
        module: str,
        *arguments: str | Path,
        descriptors: int | None = None,
    ) -> None:
        self.face = face
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115

        def limited() -> None:
            import resource

            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [
                *(sys.executable, "-X", "faulthandler"),
                *("-m", f"tests.stress.{module}", face.program, *map(str, arguments)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            env=face.environment(),
            text=True,
            preexec_fn=limited,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def errors(self) -> str:
        """The text that it wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def _line(self, what: str) -> str:
        try:
            line = self._lines.get(timeout=LIMIT)
        except queue.Empty:
            self.process.send_signal(signal.SIGUSR2)
            time.sleep(1)
            errors = self.errors()
            self.process.kill()
            pytest.fail(f"it hangs ({what}); its stacks:\n{errors[-8000:]}")
        if not line:
            status = self.process.wait(LIMIT)
            pytest.fail(f"it died with status {status} ({what}):\n{self.errors()}")
        return line

    def ask(self, command: str, what: str) -> dict[str, Any]:
        """Send a line and wait for the answer, which is JSON."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{command}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            status = self.process.wait(LIMIT)
            pytest.fail(f"it died with status {status} ({what}):\n{self.errors()}")
        answer: dict[str, Any] = json.loads(self._line(what))
        return answer

    def whole(self) -> None:
        """Check that neither the interpreter nor a loop complained."""
        errors = self.errors()
        assert not any(word in errors for word in LOST), errors[-6000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._errors):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass


class Subject(Program):
    """
    A server; see `subject`.

    Args:
        certificate: for TLS.
        descriptors: how many the process may have, if not as usual.
    """

    def __init__(
        self, face: Face, certificate: Path | None, *, descriptors: int | None = None
    ) -> None:
        arguments = [certificate] if certificate else []
        super().__init__(face, "subject", *arguments, descriptors=descriptors)
        self.secure = certificate is not None
        self._came: list[Hostile] = []
        self.port = int(self._line("the server starts"))

    def report(self) -> dict[str, Any]:
        """Ask its event loop for a report."""
        return self.ask("report", "a report")

    def hostile(self, *, small: bool = False) -> Hostile:
        hostile = Hostile(self.port, secure=self.secure, small=small)
        self._came.append(hostile)
        return hostile

    def settled(self, before: dict[str, Any]) -> dict[str, Any]:
        """Wait until nothing of those that came is left; returns the last report."""
        end = time.monotonic() + LIMIT
        while True:
            now = self.report()
            more = {
                name: (before[name], now[name])
                for name in ("connections", "descriptors", "threads", "tasks")
                if now[name] > before[name]
            }
            if not more:
                break
            if time.monotonic() > end:
                self.process.send_signal(signal.SIGUSR2)
                time.sleep(1)
                pytest.fail(
                    f"left behind {LIMIT:g} s later (before, now): {more}; records: "
                    f"{now['records'][-5:]}; stacks:\n{self.errors()[-6000:]}"
                )
            time.sleep(0.05)
        grown = now["memory"] - before["memory"]
        assert grown < KEPT, f"{grown / 2**20:.0f} MiB are kept"
        return now

    @contextmanager
    def besieged(self, *, records: int | None = None) -> Iterator[None]:
        """
        Ill-treat it within this, while somebody well-behaved is served.

        Args:
            records: how many records at WARNING or above there may be.
        """
        before = self.report()
        with well_behaved(self):
            try:
                yield
            except (OSError, EOFError):
                self.report()  # says where it hangs, if it does
                raise
            finally:
                self._part()
        now = self.settled(before)
        new = now["records"][len(before["records"]) :]
        if self.face.program == "uvicorn":
            # What a transport of asyncio repeats when it is written to after its end.
            new = [line for line in new if "socket.send() raised" not in line]
        if records is not None:
            assert len(new) <= records, new
        lost = [line for line in new if any(word in line for word in LOST)]
        assert not lost, lost
        self.whole()

    def _part(self) -> None:
        """Close what peers have left open on their side."""
        for hostile in self._came:
            hostile.peer.close()
        self._came.clear()

    def stop(self) -> None:
        """End it as a supervisor does, with everything that implies."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR2)
            time.sleep(1)
            self.process.kill()
            pytest.fail(f"it does not stop; its stacks:\n{self.errors()[-8000:]}")
        assert status == 0, f"status {status}:\n{self.errors()}"
        self.whole()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._part()


@contextmanager
def well_behaved(subject: Subject) -> Iterator[None]:
    """Exchange messages on one connection all the time; each must come back."""
    over = threading.Event()
    trouble: list[BaseException] = []
    exchanged = 0
    hostile = Hostile(subject.port, secure=subject.secure)
    peer = hostile.open("/echo")

    def exchange() -> None:
        nonlocal exchanged
        try:
            while not over.wait(0.002):
                text = f"message {exchanged}"
                peer.send(1, text)
                received = peer.read_until(1)
                assert received.payload == text.encode(), received
                exchanged += 1
        except BaseException as exc:
            trouble.append(exc)

    thread = threading.Thread(target=exchange, daemon=True)
    thread.start()
    try:
        yield
        seen = exchanged
        end = time.monotonic() + LIMIT
        while exchanged < seen + 3 and not trouble:
            if time.monotonic() > end:
                subject.report()  # says where it hangs
                pytest.fail("others are not served")
            time.sleep(0.005)
    finally:
        over.set()
        thread.join(LIMIT)
        hostile.reset()
    if trouble:
        raise AssertionError(
            f"somebody well-behaved had trouble after {exchanged} messages: "
            f"{trouble[0]!r}\n{subject.errors()[-3000:]}"
        )


def at_once(count: int, act: Callable[[int], None]) -> None:
    """Do something in so many threads at once; raises what one of them raised."""
    trouble: list[BaseException] = []

    def one(number: int) -> None:
        try:
            act(number)
        except BaseException as exc:
            trouble.append(exc)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * LIMIT)
        assert not thread.is_alive(), "a peer hangs"
    if trouble:
        raise trouble[0]
