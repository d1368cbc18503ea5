"""Router: a handler for each path of a request, with the maps of werkzeug.

`Router` is a `process_request` that finds the rule and a handler that calls what
the rule names; `route` gives both to `serve`.  A request that no rule matches is
answered before the handshake: it does not become a WebSocket connection.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._net.tls_context import CONTEXT
from ..core.http.messages import Request
from ..core.server.hook_forms import adapt_process_request
from ..core.server.routing import Routes, make_router
from ..core.typing import PathLike
from ..imports import reexport
from .server import Server, ServerConnection, serve, unix_serve

if TYPE_CHECKING:
    from werkzeug.routing import Map

__all__ = ["Router", "route", "unix_route"]

reexport(globals())


class Router(Routes):
    __doc__ = Routes.__doc__

    def handler(self, connection: ServerConnection) -> None:
        """Call the handler that `route_request` has found."""
        connection.handler(connection, **connection.handler_kwargs)


def route(
    url_map: Map,
    *args: Any,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | bool | None = None,
    create_router: Callable[..., Router] | None = None,
    **kwds: Any,
) -> Server:
    """
    Serve connections, each by the handler that its path names.

    Needs the extra ``routing``.  For example::

        def room(connection, number): ...

        url_map = Map([Rule("/room/<int:number>", endpoint=room)])
        with route(url_map, "localhost", 8765) as server: ...

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
    made: Server = _route(serve, url_map, args, server_name, ssl, create_router, kwds)
    return made


def unix_route(
    url_map: Map,
    path: PathLike | None = None,
    *,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | bool | None = None,
    create_router: Callable[..., Router] | None = None,
    **kwds: Any,
) -> Server:
    """
    Serve connections on a Unix socket, each by the handler that its path names.

    Args:
        path: path of the socket.

    The other parameters are as for `route`.
    """
    made: Server = _route(
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
    router: Any = make_router(
        create_router or Router, url_map, server_name, ssl, CONTEXT, kwds
    )
    first = adapt_process_request(kwds.pop("process_request", None))

    def process_request(connection: ServerConnection, request: Request) -> Any:
        if first is not None:
            answer = first(connection, request)
            if answer is not None:
                return answer
        return router.route_request(connection, request)

    return start(router.handler, *args, process_request=process_request, **kwds)
