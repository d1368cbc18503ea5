"""TLS on asyncio: what contexts carry is honoured, and no byte is held back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import trustme

from fullduplex import ConnectionClosedError, ServerConnection, connect

from ..kit.asyncio_peer import listening, until
from ..kit.bytes import BINARY, TEXT, close_frame, frame, request
from .kit import opened
from .server_kit import echo, serving

# What contexts carry


CALLBACKS = """
    import asyncio, os, ssl, sys
    import trustme, uvloop
    from fullduplex import connect, serve

    kind, side, loop, path = sys.argv[1:]
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    context = {"server": server, "client": client}[side]
    seen = []
    if kind == "sni":
        other = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(other)
        def callback(tls, name, given):
            seen.append(name)
            tls.context = other
        server.sni_callback = callback
    elif kind == "keylog":
        context.keylog_filename = path
    else:
        context._msg_callback = lambda *args: seen.append(args[1])

    async def main():
        async def echo(ws):
            async for message in ws:
                await ws.send(message)
        async with serve(echo, "localhost", 0, ssl=server) as listener:
            port = listener.sockets[0].getsockname()[1]
            async with connect(f"wss://localhost:{port}/", ssl=client) as ws:
                await ws.send("x" * 100_000)
                assert len(await ws.recv()) == 100_000

    (uvloop.run if loop == "uvloop" else asyncio.run)(main())
    if kind == "keylog":
        assert "TRAFFIC_SECRET" in open(path).read()
    else:
        assert seen, kind
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("kind", "side"),
    [
        ("sni", "server"),
        ("keylog", "server"),
        ("keylog", "client"),
        ("message", "server"),
        ("message", "client"),
    ],
)
def test_callbacks_of_a_context_run(
    kind: str, side: str, loop: str, tmp_path: Path
) -> None:
    # A process of its own: what goes wrong here goes wrong in C.
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(CALLBACKS),
            kind,
            side,
            loop,
            str(tmp_path / "keys"),
        ],
        timeout=30,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]


class Noting(ssl.SSLContext):
    """A context that does not leave its work to the one it derives from."""

    made: int = 0

    def wrap_bio(self, *args: Any, **kwds: Any) -> ssl.SSLObject:
        """Count, and go on."""
        self.made += 1
        return super().wrap_bio(*args, **kwds)


async def test_subclasses_of_contexts_wrap_their_own(authority: trustme.CA) -> None:
    server = Noting(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = Noting(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    async with serving(echo, ssl=server) as place, connect(place.uri, ssl=client) as ws:
        await ws.send("x")
        assert await ws.recv() == "x"
    assert client.made == 1
    assert server.made >= 1


class Refusing(ssl.SSLObject):
    """Verification of another kind, at the end of the handshake."""

    def do_handshake(self) -> None:
        """Do what there is to do, and refuse the peer."""
        super().do_handshake()
        raise ssl.SSLCertVerificationError(f"{self.server_hostname} is not for us")


class Outer(ssl.SSLContext):
    """A context around another one, which does the work."""

    inner: ssl.SSLContext

    def wrap_bio(self, *args: Any, **kwds: Any) -> ssl.SSLObject:
        """Leave it to the inner one."""
        return self.inner.wrap_bio(*args, **kwds)


async def test_verification_of_a_context_of_another_kind_counts(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    outer = Outer(ssl.PROTOCOL_TLS_CLIENT)
    outer.inner = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(outer.inner)
    async with serving(echo, ssl=server_tls) as place:
        for _ in range(2):  # the second one resumes
            async with connect(place.uri, ssl=outer) as ws:
                await ws.send("x")
                assert await ws.recv() == "x"
        outer.inner.sslobject_class = Refusing
        with pytest.raises(ssl.SSLCertVerificationError, match="is not for us"):
            await connect(place.uri, ssl=outer)


class Overheard(ssl.SSLObject):
    """TLS of which a program looks at each read and write."""

    read_sizes: list[int]

    def read(self, *args: Any) -> Any:
        """Note the size of what is read."""
        result: Any = super().read(*args)
        heard.append(result if isinstance(result, int) else len(result))
        return result


heard: list[int] = []


async def test_overrides_of_an_sslobject_class_are_called(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    client = ssl.create_default_context()
    authority.configure_trust(client)
    client.sslobject_class = Overheard
    heard.clear()
    async with (
        serving(echo, ssl=server_tls) as place,
        connect(place.uri, ssl=client, compression=None) as ws,
    ):
        await ws.send("x" * 5000)
        assert len(await ws.recv()) == 5000
    assert sum(heard) > 5000


async def test_alpn_is_negotiated_and_told(authority: trustme.CA) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    server.set_alpn_protocols(["http/1.1"])
    client = ssl.create_default_context()
    authority.configure_trust(client)
    client.set_alpn_protocols(["other", "http/1.1"])
    async with serving(echo, ssl=server) as place, connect(place.uri, ssl=client) as ws:
        tls = ws.transport.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "http/1.1"


@pytest.mark.skipif(not ssl.HAS_PSK if hasattr(ssl, "HAS_PSK") else True, reason="PSK")
async def test_keys_that_are_shared_before_are_asked_for() -> None:
    server: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context in (server, client):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("PSK")
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_psk_client_callback(lambda hint: ("me", b"secret"))
    server.set_psk_server_callback(lambda identity: b"secret")
    async with serving(echo, ssl=server) as place, connect(place.uri, ssl=client) as ws:
        await ws.send("x")
        assert await ws.recv() == "x"
        assert "PSK" in ws.transport.get_extra_info("cipher")[0]


async def test_transport_tells_what_asyncio_tells(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with (
        serving(echo, ssl=server_tls) as place,
        connect(place.uri, ssl=client_tls) as ws,
    ):
        tell = ws.transport.get_extra_info
        tls = tell("ssl_object")
        assert isinstance(tls, ssl.SSLObject)
        assert tell("sslcontext") is client_tls
        assert ("DNS", "localhost") in tell("peercert")["subjectAltName"]
        assert tell("cipher") == tls.cipher()
        assert tell("compression") is None
        assert tell("peername") == ("127.0.0.1", place.port)
        assert tell("socket").fileno() >= 0
        assert tell("nothing", 5) == 5


async def test_connection_made_may_ask_for_the_certificate(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    seen: list[Any] = []

    class Asking(ServerConnection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            seen.append(transport.get_extra_info("peercert"))

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context()
    authority.configure_trust(client)
    authority.issue_cert("client.example").configure_cert(client)
    async with (
        serving(echo, ssl=server, create_protocol=Asking) as place,
        connect(place.uri, ssl=client),
    ):
        pass
    assert [cert["subjectAltName"] for cert in seen] == [(("DNS", "client.example"),)]


# What is held


async def test_messages_right_behind_the_response_arrive(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    burst = frame(TEXT, "x" * 200) * 190
    async with opened(ssl=server_tls, client_ssl=client_tls, glued=burst) as (ws, _):
        async with asyncio.timeout(10):
            for _ in range(190):
                assert await ws.recv() == "x" * 200


async def test_messages_for_a_reader_that_has_paused_arrive_whole(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    sent = [bytes([number]) * 100_000 for number in range(30)]
    options: dict[str, Any] = {"max_queue": 2, "read_limit": 2**16}
    async with opened(ssl=server_tls, client_ssl=client_tls, **options) as (ws, peer):
        peer.write(*(frame(BINARY, item) for item in sent))
        await until(lambda: not ws.transport.is_reading())
        async with asyncio.timeout(10):
            assert [await ws.recv() for _ in sent] == sent


@pytest.mark.parametrize("size", [1, 700, 5000])
async def test_records_in_pieces_are_put_together(
    size: int, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with (
        serving(echo, ssl=server_tls) as place,
        slow_relay(place.port, size) as port,
    ):
        uri = f"wss://localhost:{port}/"
        async with connect(uri, ssl=client_tls, compression=None) as ws:
            for message in ("x", "y" * 300, b"z" * 40_000 if size > 1 else b"z"):
                await ws.send(message)
                assert await ws.recv() == message


@contextlib.asynccontextmanager
async def slow_relay(port: int, size: int) -> Any:
    """Pass bytes on in pieces of a size."""

    async def pass_on(reader: Any, writer: Any) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(size):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: Any, writer: Any) -> None:
        onward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, onward[1]), pass_on(onward[0], writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


# How it ends


async def test_end_without_close_notify_is_the_end_of_tcp(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with opened(ssl=server_tls, client_ssl=client_tls) as (ws, peer):
        peer.write(frame(TEXT, "last"), frame(TEXT, "cut off")[:4])
        await peer.drain()
        # The socket is asyncio's; its duplicate ends TCP without a word of TLS.
        sock = socket.socket(
            fileno=os.dup(peer.writer.get_extra_info("socket").fileno())
        )
        sock.shutdown(socket.SHUT_WR)
        sock.close()
        assert await ws.recv() == "last"
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert caught.value.rcvd is None


async def test_messages_before_close_notify_come_first(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    options: dict[str, Any] = {"max_queue": 1}
    async with opened(ssl=server_tls, client_ssl=client_tls, **options) as (ws, peer):
        peer.write(*(frame(TEXT, str(number)) for number in range(100)))
        peer.write(close_frame(1000))
        peer.close()
        assert [message async for message in ws] == [str(n) for n in range(100)]
        assert ws.close_code == 1000


async def test_peer_that_never_answers_close_notify_is_given_up(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    ended = asyncio.Event()

    async def handler(ws: ServerConnection) -> None:
        ws.transport.close()
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert "ssl_shutdown_timeout" in str(caught.value.__cause__)
        ended.set()

    async with serving(
        handler, ssl=server_tls, ssl_shutdown_timeout=0.05, close_timeout=5
    ) as place:

        def handshake() -> ssl.SSLSocket:
            tcp = socket.create_connection(("127.0.0.1", place.port))
            tls = client_tls.wrap_socket(tcp, server_hostname="localhost")
            tls.sendall(request())
            return tls

        silent = await asyncio.to_thread(handshake)
        async with asyncio.timeout(3):
            await ended.wait()
        silent.close()


async def test_server_that_is_silent_in_tls_is_given_up() -> None:
    async with listening() as listener:
        uri = listener.at("/", "localhost").replace("ws:", "wss:")
        with pytest.raises(TimeoutError, match=r"0\.05 s \(ssl_handshake_timeout\)"):
            await connect(uri, ssl_handshake_timeout=0.05)


# Limits and logs


async def test_silent_clients_are_counted_when_they_are_accepted(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    clients: list[socket.socket] = []
    async with serving(echo, ssl=server_tls, max_connections=10) as place:
        most = 0
        for _ in range(500):
            client = socket.socket()
            client.setblocking(False)
            clients.append(client)
            await asyncio.get_running_loop().sock_connect(
                client, ("127.0.0.1", place.port)
            )
            await asyncio.sleep(0)
            most = max(most, len(place.server._connections))
        await until(lambda: place.server.refused["max_connections"] == 490)
        most = max(most, len(place.server._connections))
        # Some that are over the limit are told so, once they have asked.
        assert most <= 10 + 64 + 1
        for client in clients:
            client.close()
        await until(lambda: not place.server._connections)


async def test_handshake_that_fails_is_one_record_with_the_address(
    server_tls: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fullduplex.server")
    async with serving(echo, ssl=server_tls) as place:
        with pytest.raises(ssl.SSLError):
            await connect(place.uri, ssl=ssl.create_default_context())
        await until(lambda: not place.server._connections)
        records = [item for item in caplog.records if "TLS" in item.getMessage()]
        assert len(records) == 1, caplog.text
        assert "127.0.0.1" in records[0].getMessage()
        assert records[0].levelno == logging.INFO


@pytest.mark.parametrize("data", [5, 0, None, "text"])
async def test_only_bytes_are_encrypted(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, data: Any
) -> None:
    async with (
        serving(echo, ssl=server_tls) as place,
        connect(place.uri, ssl=client_tls) as ws,
    ):
        with pytest.raises(TypeError):
            ws.transport.write(data)
        await ws.send("x")
        assert await ws.recv() == "x"
