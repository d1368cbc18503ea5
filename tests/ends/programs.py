"""Programs that tests run in processes of their own: one server or client a face."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import ssl
import sys
import threading
from typing import Any

import fullduplex
from fullduplex import sync as blocking

FACES = ("asyncio", "sync", "trio")


def say(*words: object) -> None:
    """Tell the test."""
    print(*words, flush=True)


def limit(room: int) -> None:
    """Leave room for so many descriptors more."""
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + room, highest + room))


def exhaust() -> list[int]:
    """Use up all descriptors."""
    limit(8)
    taken = []
    try:
        while True:
            taken.append(os.dup(2))
    except OSError:
        return taken


def context_of(path: str) -> ssl.SSLContext | None:
    """Return a server's TLS settings, if a certificate is given."""
    if not path:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def serve(face: str, certificate: str) -> None:
    """Serve until the end of input; few descriptors are left once it is ready."""
    tls: Any = context_of(certificate)

    def ready(port: int) -> None:
        limit(6)
        say(port)

    if face == "asyncio":

        async def handler(ws: Any) -> None:
            await ws.wait_closed()

        async def main() -> None:
            async with fullduplex.serve(handler, "127.0.0.1", 0, ssl=tls) as server:
                ready(server.sockets[0].getsockname()[1])
                await asyncio.to_thread(sys.stdin.read)

        asyncio.run(main())
    elif face == "sync":
        with blocking.serve(
            lambda ws: ws.wait_closed(), "127.0.0.1", 0, ssl=tls
        ) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ready(server.socket.getsockname()[1])
            sys.stdin.read()
    else:
        import trio

        from fullduplex import trio as face_of_trio

        async def waits(ws: Any) -> None:
            await ws.wait_closed()

        async def run() -> None:
            async with trio.open_nursery() as nursery:
                server = await nursery.start(
                    lambda task_status: face_of_trio.serve(
                        waits, "127.0.0.1", 0, ssl=tls, task_status=task_status
                    )
                )
                ready(server.sockets[0].getsockname()[1])
                await trio.to_thread.run_sync(sys.stdin.read)
                nursery.cancel_scope.cancel()

        trio.run(run)


def connect(face: str) -> None:
    """
    Connect where no descriptor is left, and say what is wrong.

    The first attempt is made with descriptors: it loads what Python's resolver needs.
    """
    uri = "ws://127.0.0.1:9/"
    try:
        if face == "asyncio":

            async def main() -> None:
                with contextlib.suppress(OSError):
                    await fullduplex.connect(uri, proxy=None)
                taken = exhaust()
                try:
                    await fullduplex.connect(uri, proxy=None)
                finally:
                    for fd in taken:
                        os.close(fd)

            asyncio.run(main())
        elif face == "sync":
            with contextlib.suppress(OSError):
                blocking.connect(uri, proxy=None)
            exhaust()
            blocking.connect(uri, proxy=None)
        else:
            import trio

            from fullduplex import trio as face_of_trio

            async def run() -> None:
                with contextlib.suppress(OSError):
                    async with face_of_trio.connect(uri, proxy=None):
                        pass
                taken = exhaust()
                try:
                    async with face_of_trio.connect(uri, proxy=None):
                        pass
                finally:
                    for fd in taken:
                        os.close(fd)

            trio.run(run)
    except Exception as exc:
        say(type(exc).__name__, getattr(exc, "errno", None), exc)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        connect(*sys.argv[2:])
