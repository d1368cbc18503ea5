"""Routing: a handler for each path of a request, with the maps of werkzeug.

A request that no rule matches is answered before the handshake: it costs no WebSocket
connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..http.headers import MultipleValuesError
from ..http.messages import Request, Response

if TYPE_CHECKING:
    from werkzeug.routing import Map


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


class Routes:
    """
    Find the handler of a request in a map of URLs.

    The base of each face's ``Router``, which calls the handlers.  Connections are of
    that face's class.  A subclass may
    override any method; give it to `route` as ``create_router``.

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

    def get_server_name(self, connection: Any, request: Request) -> str:
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

    def redirect(self, connection: Any, url: str) -> Response:
        """Make the response for a rule that redirects: 302."""
        response = _respond(connection, HTTPStatus.FOUND, f"Found at {url}\n")
        response.headers["Location"] = url
        return response

    def not_found(self, connection: Any) -> Response:
        """Make the response for a path that no rule matches: 404."""
        return _respond(connection, HTTPStatus.NOT_FOUND, "Not Found\n")

    def route_request(self, connection: Any, request: Request) -> Response | None:
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
            return _respond(connection, exc.code or 400, f"{exc.name}\n")
        except ValueError as exc:
            return _respond(connection, HTTPStatus.BAD_REQUEST, f"{exc}\n")
        connection.handler = handler
        connection.handler_kwargs = dict(values)
        return None


def _respond(connection: Any, status: int, text: str) -> Response:
    response: Response = connection.respond(status, text)
    return response


def make_router(
    create: Callable[..., Routes],
    url_map: Map,
    server_name: str | None,
    ssl: Any,
    context: type,
    kwds: dict[str, Any],
) -> Routes:
    """
    Make the router of a `route` call.

    Args:
        create: the router's class.
        ssl: as for `route`; a TLS context is put into `kwds`.
        context: the class of TLS contexts.
        kwds: keyword arguments for `serve`.

    Raises:
        ImportError: werkzeug is not installed.
        TypeError: `ssl` is something else.
    """
    if isinstance(ssl, context):
        kwds["ssl"] = ssl
    elif ssl not in (None, True, False):
        raise TypeError(
            f"ssl must be an SSLContext, True or None, not {type(ssl).__name__}"
        )
    return create(url_map, server_name, "wss" if ssl else "ws")
