"""Choosing a handler by the path of the request, with the maps of werkzeug.

`Router` is a `process_request` that finds the rule and a handler that calls what
the rule names; `route` gives both to `serve`.  What no rule matches is answered
before the handshake: it costs neither a task nor a WebSocket connection.
"""

from __future__ import annotations

import inspect
import re
import ssl as ssl_module
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..core.datastructures import MultipleValuesError
from ..core.hooks import adapt_process_request
from ..core.http1 import Request, Response
from ..core.typing import PathLike
from .server import ServerConnection, serve, unix_serve

if TYPE_CHECKING:
    from werkzeug.routing import Map

__all__ = ["Router", "route", "unix_route"]

# RFC 3986, 3.2.2 and 3.2.3, as far as it matters for building a URL.
HOST = re.compile(r"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]+")


def _werkzeug() -> tuple[Any, Any]:
    try:
        import werkzeug.exceptions
        import werkzeug.routing
    except ImportError:
        raise ImportError(
            'routing needs werkzeug: pip install "fullduplex[routing]"'
        ) from None
    return werkzeug.routing, werkzeug.exceptions


class Router:
    """
    Find the handler of a request in a map of URLs.

    A subclass may override any method; give it to `route` as ``create_router``.

    Args:
        url_map: rules whose endpoints are handlers.
        server_name: host, and port unless it is the usual one, of the URLs in
            redirects; None takes the ``Host`` header of each request.
        url_scheme: ``"ws"`` or ``"wss"``, of the URLs in redirects.

    Raises:
        ImportError: werkzeug is not installed.
    """

    def __init__(
        self, url_map: Map, server_name: str | None = None, url_scheme: str = "ws"
    ) -> None:
        self._routing, self._exceptions = _werkzeug()
        self.url_map = url_map
        self.server_name = server_name
        self.url_scheme = url_scheme
        for rule in url_map.iter_rules():
            rule.websocket = True

    def get_server_name(self, connection: ServerConnection, request: Request) -> str:
        """
        Tell the host of the URLs in redirects.

        Raises:
            ValueError: the request has no usable ``Host``; it is answered with 400.
        """
        if self.server_name is not None:
            return self.server_name
        try:
            host = request.headers["Host"]
        except KeyError:
            raise ValueError("missing Host header") from None
        except MultipleValuesError:
            raise ValueError("more than one Host header") from None
        if not HOST.fullmatch(host):
            raise ValueError(f"Host header is {host[:64]!r}")
        return host

    def redirect(self, connection: ServerConnection, url: str) -> Response:
        """Make the response for a rule that redirects: 302."""
        response = connection.respond(HTTPStatus.FOUND, f"Found at {url}\n")
        response.headers["Location"] = url
        return response

    def not_found(self, connection: ServerConnection) -> Response:
        """Make the response for a path that no rule matches: 404."""
        return connection.respond(HTTPStatus.NOT_FOUND, "Not Found\n")

    def route_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """
        Find the rule and note its handler; a `process_request`.

        Returns:
            None, or the response for a request without a handler.
        """
        path, _, query = request.path.partition("?")
        try:
            server_name = self.get_server_name(connection, request)
            adapter = self.url_map.bind(server_name, url_scheme=self.url_scheme)
            handler, values = adapter.match(unquote(path), query_args=query)
        except self._routing.RequestRedirect as exc:
            return self.redirect(connection, exc.new_url)
        except self._exceptions.NotFound:
            return self.not_found(connection)
        except self._exceptions.HTTPException as exc:
            return connection.respond(exc.code or 400, f"{exc.name}\n")
        except ValueError as exc:
            return connection.respond(HTTPStatus.BAD_REQUEST, f"{exc}\n")
        connection.handler = handler
        connection.handler_kwargs = dict(values)
        return None

    async def handler(self, connection: ServerConnection) -> None:
        """Call the handler that `route_request` has found."""
        await connection.handler(connection, **connection.handler_kwargs)


def route(
    url_map: Map,
    *args: Any,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | bool | None = None,
    create_router: Callable[..., Router] | None = None,
    **kwds: Any,
) -> serve:
    """
    Serve connections, each by the handler that its path names.

    Needs the extra ``routing``.  For example::

        async def room(connection, number): ...

        url_map = Map([Rule("/room/<int:number>", endpoint=room)])
        async with route(url_map, "localhost", 8765) as server: ...

    A path without a rule is answered with 404, one that a rule redirects, or that
    lacks a final slash, with 302.  A `process_request` goes first, and a response
    of its own is the answer.

    Args:
        url_map: rules whose endpoints are handlers; they are called with the
            connection and the variable parts of the path as keywords.
        server_name: see `Router`.
        ssl: as for `serve`; True tells that a proxy does TLS, so that
            redirects go to ``wss:`` although this server does not.
        create_router: makes the `Router`; by default, the class itself.

    The other parameters are those of `serve` behind ``handler``.

    Raises:
        ImportError: werkzeug is not installed.
    """
    made: serve = _route(serve, url_map, args, server_name, ssl, create_router, kwds)
    return made


def unix_route(
    url_map: Map,
    path: PathLike | None = None,
    *,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | bool | None = None,
    create_router: Callable[..., Router] | None = None,
    **kwds: Any,
) -> unix_serve:
    """
    Serve connections on a Unix socket, each by the handler that its path names.

    Args:
        path: path of the socket.

    The other parameters are as for `route`.
    """
    made: unix_serve = _route(
        unix_serve, url_map, (path,), server_name, ssl, create_router, kwds
    )
    return made


def _route(
    start: Callable[..., Any],
    url_map: Map,
    args: tuple[Any, ...],
    server_name: str | None,
    ssl: ssl_module.SSLContext | bool | None,
    create_router: Callable[..., Router] | None,
    kwds: dict[str, Any],
) -> Any:
    router = (create_router or Router)(url_map, server_name, "wss" if ssl else "ws")
    if isinstance(ssl, ssl_module.SSLContext):
        kwds["ssl"] = ssl
    elif ssl not in (None, True, False):
        raise TypeError(
            f"ssl must be an SSLContext, True or None, not {type(ssl).__name__}"
        )
    first = adapt_process_request(kwds.pop("process_request", None))

    async def process_request(connection: ServerConnection, request: Request) -> Any:
        if first is not None:
            answer = await _maybe(first(connection, request))
            if answer is not None:
                return answer
        return await _maybe(router.route_request(connection, request))

    return start(router.handler, *args, process_request=process_request, **kwds)


async def _maybe(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
