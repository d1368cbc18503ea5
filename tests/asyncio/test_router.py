"""Handlers by path: matching, refusing and redirecting."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from fullduplex import (
    InvalidStatus,
    Request,
    Response,
    Router,
    Server,
    ServerConnection,
    connect,
    route,
    unix_connect,
    unix_route,
)

pytestmark = pytest.mark.usefixtures("no_proxies")


async def index(ws: ServerConnection) -> None:
    await ws.send("index")


async def room(ws: ServerConnection, number: int, name: str = "nobody") -> None:
    await ws.send(f"{type(number).__name__} {number} {name}")


def url_map() -> Map:
    return Map(
        [
            Rule("/", endpoint=index),
            Rule("/room/<int:number>", endpoint=room),
            Rule("/room/<int:number>/<name>", endpoint=room),
            Rule("/folder/", endpoint=index),
            Rule("/café", endpoint=index),
            Rule("/old", redirect_to="/room/3"),
        ]
    )


@asynccontextmanager
async def routing(**options: Any) -> AsyncIterator[str]:
    async with route(url_map(), "127.0.0.1", 0, **options) as server:
        yield f"127.0.0.1:{port_of(server)}"


def port_of(server: Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def first(uri: str, **options: Any) -> Any:
    async with connect(uri, **options) as ws:
        return await ws.recv()


async def ask(host: str, *lines: str) -> tuple[int, dict[str, str], str]:
    """Send a request by hand; status, headers and body of the answer."""
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *headers = head.split("\r\n")
    pairs = (line.partition(": ") for line in headers)
    return int(status.split()[1]), {key: value for key, _, value in pairs}, body


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/", "index"),
        ("/?a=b", "index"),
        ("/room/12", "int 12 nobody"),
        ("/room/12/ann%20lee?x=/", "int 12 ann lee"),
        ("/caf%C3%A9", "index"),
        ("/folder/", "index"),
    ],
)
async def test_path_chooses_the_handler_and_its_arguments(
    path: str, message: str
) -> None:
    async with routing() as host:
        assert await first(f"ws://{host}{path}") == message


@pytest.mark.parametrize(
    "path", ["/none", "/room/x", "/room/", "/%2e%2e", "//a.test/old"]
)
async def test_path_without_a_rule_is_404(path: str) -> None:
    async with routing() as host:
        with pytest.raises(InvalidStatus) as caught:
            await first(f"ws://{host}{path}")

        assert caught.value.response.status_code == 404
        assert caught.value.response.body == b"Not Found\n"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/old", "/room/3"),
        ("/folder", "/folder/"),
        ("/folder?q=1", "/folder/?q=1"),
    ],
)
async def test_redirect_names_the_host_of_the_request(path: str, target: str) -> None:
    async with routing() as host:
        status, headers, _ = await ask(host, f"GET {path} HTTP/1.1", "Host: a.test:81")

        assert (status, headers["Location"]) == (302, f"ws://a.test:81{target}")


async def test_our_client_follows_a_redirect() -> None:
    async with routing() as host:
        assert await first(f"ws://{host}/old") == "int 3 nobody"


async def test_server_name_and_tls_of_a_proxy_are_in_redirects() -> None:
    async with routing(server_name="public.test", ssl=True) as host:
        status, headers, _ = await ask(host, "GET /old HTTP/1.1", "Host: inside")

        assert (status, headers["Location"]) == (302, "wss://public.test/room/3")


@pytest.mark.parametrize(
    "lines", [(), ("Host: a", "Host: b"), ("Host: a/b@c",), ("Host: ",)]
)
async def test_host_that_is_missing_or_bad_is_400(lines: tuple[str, ...]) -> None:
    async with routing() as host:
        status, _, body = await ask(host, "GET /old HTTP/1.1", *lines)

        assert status == 400
        assert "Host" in body


async def test_tls_context_is_used(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with routing(ssl=server_tls) as host:
        port = host.partition(":")[2]
        uri = f"wss://localhost:{port}"

        assert await first(f"{uri}/old", ssl=client_tls, host="127.0.0.1") == (
            "int 3 nobody"
        )


def newer(connection: ServerConnection, request: Request) -> Response | None:
    if request.path == "/health":
        return connection.respond(200, "fine\n")
    return None


async def newer_waiting(
    connection: ServerConnection, request: Request
) -> Response | None:
    await asyncio.sleep(0)
    return newer(connection, request)


async def older(path: str, request_headers: Any) -> Any:
    return (200, [], b"fine\n") if path == "/health" else None


@pytest.mark.parametrize("hook", [newer, newer_waiting, older])
async def test_process_request_goes_first(hook: Callable[..., Any]) -> None:
    async with routing(process_request=hook) as host:
        status, _, body = await ask(host, "GET /health HTTP/1.1", f"Host: {host}")

        assert (status, body) == (200, "fine\n")
        assert await first(f"ws://{host}/room/1") == "int 1 nobody"


async def test_router_of_the_program_is_used() -> None:
    made = []

    class Mine(Router):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(args[1:])

        def not_found(self, connection: ServerConnection) -> Response:
            return connection.respond(410, "gone\n")

    async with routing(create_router=Mine) as host:
        status, _, body = await ask(host, "GET /x HTTP/1.1", f"Host: {host}")

    assert (status, body) == (410, "gone\n")
    assert made == [(None, "ws")]


async def test_unix_route_serves_on_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with (
        unix_route(url_map(), path),
        unix_connect(str(path), "ws://localhost/room/9") as ws,
    ):
        assert await ws.recv() == "int 9 nobody"


async def test_route_can_be_awaited() -> None:
    server = await route(url_map(), "127.0.0.1", 0)
    try:
        assert await first(f"ws://127.0.0.1:{port_of(server)}/") == "index"
    finally:
        server.close()
        await server.wait_closed()


async def test_ssl_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="ssl must be"):
        route(url_map(), ssl="yes")  # type: ignore[arg-type]


def test_missing_werkzeug_is_an_import_error_that_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['werkzeug'] = None\n"
        "from fullduplex import route, unix_route, Router\n"
        "for make in (route, unix_route, Router):\n"
        "    try: make(None)\n"
        "    except ImportError as exc: print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )

    assert done.stdout.count('pip install "fullduplex[routing]"') == 3
