"""The faces under test behind one way of calling them.

Behaviours are coroutine functions.  On the blocking face nothing that they await ever
waits for a loop: each call blocks, and the coroutine is driven to its end by hand.
"""

from __future__ import annotations

import abc
import asyncio
import importlib
import inspect
import os
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, TypeVar

import pytest

from fullduplex.core.endpoint._hot import RECEIVING

from ..kit.bytes import driven
from ..kit.clock import PATIENCE
from ..kit.peer import Listener, Peer, client
from ..kit.tls import contexts

__all__ = ["FACES", "End", "Face", "Kit", "Task"]

T = TypeVar("T")
Step = Callable[[], Awaitable[Any]]


class Task(abc.ABC):
    """Something that runs beside the behaviour."""

    @abc.abstractmethod
    async def result(self) -> Any:
        """Wait for it and return what it returned, or raise what it raised."""

    @abc.abstractmethod
    def done(self) -> bool:
        """Whether it has ended."""

    def cancel(self) -> None:
        """Cancel it, where there is cancelling."""
        raise NotImplementedError


class End:
    """
    Our end of a connection.

    Attributes that need no waiting are those of the connection.
    """

    def __init__(self, kit: Kit, ws: Any) -> None:
        self.kit = kit
        self.ws = ws

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ws, name)

    async def recv(self, **options: Any) -> Any:
        return await self.kit.wait(self.ws.recv(**options))

    async def send(self, message: Any, **options: Any) -> None:
        await self.kit.wait(self.ws.send(message, **options))

    async def ping(self, data: Any = None) -> Any:
        """Send a ping; returns what is to be given to `pong_of`."""
        return await self.kit.wait(self.ws.ping(data))

    async def pong_of(self, ping: Any) -> None:
        """Wait for the pong of a ping."""
        waited = ping.wait() if hasattr(ping, "wait") else ping
        await self.kit.wait(waited)

    async def pong(self, data: Any = b"") -> None:
        await self.kit.wait(self.ws.pong(data))

    async def close(self, *arguments: Any) -> None:
        close = getattr(self.ws, "aclose", None) or self.ws.close
        await self.kit.wait(close(*arguments))

    async def wait_closed(self) -> None:
        await self.kit.wait(self.ws.wait_closed())

    async def ensure_open(self) -> None:
        await self.kit.wait(self.ws.ensure_open())

    async def fragments(self, **options: Any) -> list[Any]:
        """Receive one message fragment by fragment."""
        stream = self.ws.recv_streaming(**options)
        if hasattr(stream, "__anext__"):
            return [item async for item in stream]
        return list(stream)

    async def all(self) -> list[Any]:
        """Iterate over the messages up to the end."""
        if hasattr(self.ws, "__anext__"):
            return [message async for message in self.ws]
        return list(self.ws)


class Kit(abc.ABC):
    """What a behaviour works with."""

    def __init__(self, face: Face) -> None:
        self.face = face

    # How the face waits

    @abc.abstractmethod
    async def wait(self, value: Any) -> Any:
        """Wait for what a call of the face returned."""

    @abc.abstractmethod
    async def do(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a blocking function, of a peer mostly, without stopping the face."""

    @abc.abstractmethod
    def spawn(self, step: Step) -> Task:
        """Run a coroutine function beside the behaviour."""

    @abc.abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something has become true that tells nobody."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "it did not become true"
            await self.sleep(0.002)

    async def receiving(self, end: End, task: Task) -> None:
        """Wait until the task waits for a message."""
        await self.until(lambda: end._session.recv_blockers & RECEIVING)
        assert not task.done()

    async def stuck(self, end: End, task: Task) -> None:
        """Wait until the task waits for the peer to read."""
        await self.until(lambda: end._session.writing_paused)
        assert not task.done()

    # Connections

    def end(self, ws: Any) -> End:
        """Wrap a connection."""
        return End(self, ws)

    @asynccontextmanager
    async def opened(
        self,
        *headers: str,
        small: bool = False,
        glued: bytes = b"",
        server_tls: Any = None,
        **options: Any,
    ) -> AsyncIterator[tuple[End, Peer]]:
        """
        Open a connection of the library to a peer of ours.

        Args:
            headers: for the response.
            small: the peer takes few bytes that it does not read.
            glued: bytes behind the response, in the same segment.
            options: for `connect`.
        """
        defaults(options)
        if self.face.tls:
            server_tls = server_tls or contexts()[0]
            options.setdefault("ssl", contexts()[1])
        listener = Listener(small=small, context=server_tls)

        def answer() -> Peer:
            return listener.accept().handshake(*headers, glued=glued)

        peers = []
        thread = threading.Thread(target=lambda: peers.append(answer()), daemon=True)
        thread.start()
        try:
            async with self.connection(listener.uri, **options) as ws:
                await self.do(thread.join)
                try:
                    yield End(self, ws), peers[0]
                finally:
                    # Whatever state they are in, nothing is left of either.
                    await self.do(peers[0].reset)
        finally:
            listener.close()

    @asynccontextmanager
    async def served(
        self, *, small: bool = False, client_tls: Any = None, **options: Any
    ) -> AsyncIterator[tuple[End, Peer]]:
        """Open a connection of ours to a server of the library."""
        defaults(options)
        accepted: list[Any] = []
        arrived, over = self.event(), self.event()

        async def handler(ws: Any) -> None:
            accepted.append(ws)
            arrived.set()
            await self.wait(over.wait())

        if self.face.tls:
            options.setdefault("ssl", contexts()[0])
            client_tls = client_tls or contexts()[1]
        async with self.server(handler, **options) as address:
            peer = await self.do(lambda: client(address, small=small, tls=client_tls))
            try:
                await self.wait(arrived.wait())
                yield End(self, accepted[0]), peer
            finally:
                over.set()
                accepted.clear()  # the server keeps the handler, which keeps this
                await self.do(peer.reset)

    def ends(
        self, side: str, **options: Any
    ) -> AbstractAsyncContextManager[tuple[End, Peer]]:
        """`opened` or `served`."""
        if side == "client":
            return self.opened(**options)
        return self.served(**options)

    def both(
        self, side: str, tls: bool, **options: Any
    ) -> AbstractAsyncContextManager[tuple[End, Peer]]:
        """`ends`, with or without TLS."""
        if not tls:
            return self.ends(side, **options)
        server, client = contexts()
        if side == "client":
            return self.opened(server_tls=server, ssl=client, **options)
        return self.served(client_tls=client, ssl=server, **options)

    @abc.abstractmethod
    def connection(self, uri: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Connect with the face's `connect`."""

    def connect(self, uri: str, **options: Any) -> Any:
        """Call the face's `connect`, which checks its arguments."""
        module = importlib.import_module(f"fullduplex.{self.face.package}.client")
        return module.connect(uri, **options)

    @abc.abstractmethod
    def resolving(self, *hosts: str) -> AbstractContextManager[None]:
        """Let every name have these addresses; it is unknown without any."""

    @abc.abstractmethod
    def server(
        self, handler: Any, **options: Any
    ) -> AbstractAsyncContextManager[tuple[str, int]]:
        """Serve with the face's `serve`; gives the address."""

    @abc.abstractmethod
    def event(self) -> Any:
        """Make an event of the face's kind."""

    def server_connection(self) -> Any:
        """Return the class of the connections of the face's servers."""
        name = self.face.package
        return importlib.import_module(f"fullduplex.{name}.server").ServerConnection


def lookup(hosts: tuple[str, ...]) -> Callable[..., list[Any]]:
    """Make a `socket.getaddrinfo` whose answer to every name is the same."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwds: Any) -> list[Any]:
        # uvloop asks again before it connects.
        if host in hosts or kwds.get("flags") == socket.AI_NUMERICHOST:
            return real(host, port, *args, **kwds)
        if not hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kwds["type"] = socket.SOCK_STREAM
        return [info for each in hosts for info in real(each, port, *args, **kwds)]

    return getaddrinfo


def defaults(options: dict[str, Any]) -> None:
    """No compression, no keepalive, and an early end unless asked for."""
    options.setdefault("compression", None)
    options.setdefault("ping_interval", None)
    options.setdefault("close_timeout", 2)


class Face(abc.ABC):
    """One way to use the library."""

    name: str
    #: the package that has it
    package = "asyncio"
    #: whether what waits can be cancelled
    cancels = True
    #: whether connections are encrypted that a behaviour says nothing else of
    tls = False
    #: module that must be there
    needs: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Why it cannot be tested here."""
        for name in self.needs:
            try:
                importlib.import_module(name)
            except ImportError as exc:
                return f"{name} is missing: {exc}"
        return None

    @abc.abstractmethod
    def run(self, behaviour: Callable[[Kit], Coroutine[Any, Any, None]]) -> None:
        """Run a behaviour to its end, and look at what it leaves."""


# asyncio


class AsyncioTask(Task):
    def __init__(self, task: asyncio.Future[Any]) -> None:
        self._task = task

    async def result(self) -> Any:
        return await self._task

    def done(self) -> bool:
        return self._task.done()

    def cancel(self) -> None:
        self._task.cancel()


class AsyncioKit(Kit):
    async def wait(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    async def do(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.to_thread(function, *arguments)

    def spawn(self, step: Step) -> Task:
        return AsyncioTask(asyncio.ensure_future(step()))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def event(self) -> Any:
        return asyncio.Event()

    def connection(self, uri: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        from fullduplex import connect

        return connect(uri, **options)

    @contextmanager
    def resolving(self, *hosts: str) -> Iterator[None]:
        getaddrinfo = lookup(hosts)

        async def ask(*args: Any, **kwds: Any) -> list[Any]:
            return getaddrinfo(*args, **kwds)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asyncio.get_running_loop(), "getaddrinfo", ask)
            yield

    @asynccontextmanager
    async def server(
        self, handler: Any, **options: Any
    ) -> AsyncIterator[tuple[str, int]]:
        from fullduplex import serve

        async with serve(handler, "127.0.0.1", 0, **options) as server:
            yield server.sockets[0].getsockname()


class AsyncioFace(Face):
    def __init__(
        self,
        name: str,
        *,
        loop: str = "asyncio",
        fast: bool = True,
        tls: bool = False,
    ) -> None:
        self.name = name
        self.tls = tls
        self._loop = loop
        self._fast = fast
        if loop == "uvloop":
            self.needs = ("uvloop",)

    def run(self, behaviour: Callable[[Kit], Coroutine[Any, Any, None]]) -> None:
        import fullduplex.asyncio._transports as transport

        complaints: list[Any] = []

        async def watched() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(context))
            async with asyncio.timeout(6 * PATIENCE):
                await behaviour(AsyncioKit(self))
            own = {asyncio.current_task()}
            deadline = loop.time() + PATIENCE
            while left := asyncio.all_tasks() - own:
                assert loop.time() < deadline, f"tasks left: {left}"
                await asyncio.sleep(0.002)

        factory = None
        if self._loop == "uvloop":
            factory = importlib.import_module("uvloop").new_event_loop
        before = transport.TcpTransport
        if not self._fast:
            transport.TcpTransport = None
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(watched())
        finally:
            transport.TcpTransport = before
        assert not complaints, complaints


# blocking


class ThreadTask(Task):
    def __init__(self, step: Step) -> None:
        self._outcome: list[Any] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(step,), daemon=True)
        self._thread.start()

    def _run(self, step: Step) -> None:
        async def body() -> Any:
            return await step()

        try:
            self._outcome.append(driven(body()))
        except BaseException as exc:
            self._error = exc

    async def result(self) -> Any:
        self._thread.join(2 * PATIENCE)
        assert not self._thread.is_alive(), "it hangs"
        if self._error is not None:
            raise self._error
        return self._outcome[0]

    def done(self) -> bool:
        return not self._thread.is_alive()


class SyncKit(Kit):
    async def wait(self, value: Any) -> Any:
        return value

    async def do(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    def spawn(self, step: Step) -> Task:
        return ThreadTask(step)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def event(self) -> Any:
        return threading.Event()

    @asynccontextmanager
    async def connection(self, uri: str, **options: Any) -> AsyncIterator[Any]:
        from fullduplex.sync import connect

        with connect(uri, **options) as ws:
            yield ws

    @contextmanager
    def resolving(self, *hosts: str) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", lookup(hosts))
            yield

    @asynccontextmanager
    async def server(
        self, handler: Any, **options: Any
    ) -> AsyncIterator[tuple[str, int]]:
        from fullduplex.sync import serve

        def blocking(ws: Any) -> None:
            driven(handler(ws))

        with serve(blocking, "127.0.0.1", 0, **options) as server:
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield server.socket.getsockname()
            finally:
                server.shutdown()
                thread.join(PATIENCE)


class SyncFace(Face):
    cancels = False
    needs = ("fullduplex.sync",)

    def __init__(self, *, tls: bool = False) -> None:
        self.package = "sync"
        self.name = "sync-tls" if tls else "sync"
        self.tls = tls

    def run(self, behaviour: Callable[[Kit], Coroutine[Any, Any, None]]) -> None:
        before = set(threading.enumerate())
        driven(behaviour(SyncKit(self)))
        deadline = time.monotonic() + PATIENCE
        while left := set(threading.enumerate()) - before:
            assert time.monotonic() < deadline, f"threads left: {left}"
            time.sleep(0.002)


# trio


class TrioTask(Task):
    def __init__(self, kit: TrioKit, step: Step) -> None:
        import trio

        self._scope = trio.CancelScope()
        self._over = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        kit.nursery.start_soon(self._run, step)

    async def _run(self, step: Step) -> None:
        try:
            with self._scope:
                self._value = await step()
                return
            # Cancelled: what waits for it is told so, as on asyncio.
            self._error = asyncio.CancelledError()
        except Exception as exc:
            self._error = exc
        finally:
            self._over.set()

    async def result(self) -> Any:
        await self._over.wait()
        if self._error is not None:
            raise self._error
        return self._value

    def done(self) -> bool:
        return self._over.is_set()

    def cancel(self) -> None:
        self._scope.cancel()


class TrioKit(Kit):
    def __init__(self, face: Face, nursery: Any) -> None:
        super().__init__(face)
        self.nursery = nursery

    async def wait(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    async def do(self, function: Callable[..., T], *arguments: Any) -> T:
        import trio

        return await trio.to_thread.run_sync(lambda: function(*arguments))

    def spawn(self, step: Step) -> Task:
        return TrioTask(self, step)

    async def sleep(self, seconds: float) -> None:
        import trio

        await trio.sleep(seconds)

    def event(self) -> Any:
        import trio

        return trio.Event()

    def connection(self, uri: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        from fullduplex.trio import connect

        return connect(uri, **options)

    @contextmanager
    def resolving(self, *hosts: str) -> Iterator[None]:
        import trio

        answer = lookup(hosts)

        class Resolver(trio.abc.HostnameResolver):
            async def getaddrinfo(self, host: Any, port: Any, *_: Any) -> list[Any]:
                return answer(host, port)

            async def getnameinfo(self, *_: Any) -> Any:
                raise NotImplementedError

        before = trio.socket.set_custom_hostname_resolver(Resolver())
        try:
            yield
        finally:
            trio.socket.set_custom_hostname_resolver(before)

    @asynccontextmanager
    async def server(
        self, handler: Any, **options: Any
    ) -> AsyncIterator[tuple[str, int]]:
        import trio

        from fullduplex.trio import serve

        async with trio.open_nursery() as nursery:
            server = await nursery.start(
                lambda task_status: serve(
                    handler, "127.0.0.1", 0, task_status=task_status, **options
                )
            )
            yield server.listeners[0].socket.getsockname()
            nursery.cancel_scope.cancel()


class TrioFace(Face):
    needs = ("trio", "fullduplex.trio")

    def __init__(self, *, tls: bool = False) -> None:
        self.package = "trio"
        self.name = "trio-tls" if tls else "trio"
        self.tls = tls

    def run(self, behaviour: Callable[[Kit], Coroutine[Any, Any, None]]) -> None:
        import trio

        async def main() -> None:
            with trio.fail_after(6 * PATIENCE):
                async with trio.open_nursery() as nursery:
                    await behaviour(TrioKit(self, nursery))

        try:
            trio.run(main)
        except BaseExceptionGroup as group:
            exc: BaseException = group
            while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
                exc = exc.exceptions[0]
            raise exc from None


FACES: tuple[Face, ...] = (
    AsyncioFace("asyncio"),
    AsyncioFace("uvloop", loop="uvloop"),
    AsyncioFace("asyncio-stock", fast=False),
    SyncFace(),
    TrioFace(),
    AsyncioFace("asyncio-tls", tls=True),
    AsyncioFace("uvloop-tls", loop="uvloop", tls=True),
    SyncFace(tls=True),
    TrioFace(tls=True),
)

if os.environ.get("FULLDUPLEX_TRANSPORT") == "loop":
    FACES = FACES[1:]
