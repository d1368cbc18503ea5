"""Router: a handler for each path of a request, with the maps of werkzeug.

`Router` is a `process_request` that finds the rule and a handler that calls what
the rule names; `route` gives both to `serve`.
"""

from __future__ import annotations

import ssl as tls
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from .._async.router import AsyncRouter, add_router
from .._net.tls_context import CONTEXT
from ..core.typing import PathLike
from ..imports import reexport
from .server import Server, serve, unix_serve

if TYPE_CHECKING:
    from werkzeug.routing import Map

__all__ = ["Router", "route", "unix_route"]

reexport(globals())


class Router(AsyncRouter):
    """
    Find the handler of a request in a map of URLs, and call it.

    A subclass may override any method; give it to `route` as ``create_router``.

    Args:
        url_map: rules whose endpoints are handlers.
        server_name: host, and port unless it is the usual one, of the URLs in
            redirects; None takes the ``Host`` header of each request.
        url_scheme: ``"ws"`` or ``"wss"``, of the URLs in redirects.

    Raises:
        ImportError: werkzeug is not installed.
    """


async def route(
    url_map: Map,
    *args: Any,
    server_name: str | None = None,
    ssl: tls.SSLContext | bool | None = None,
    create_router: Callable[..., Router] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwds: Any,
) -> None:
    """
    Serve connections, each by the handler that its path names.

    Needs the extra ``routing``.  For example::

        async def room(connection, number): ...

        url_map = Map([Rule("/room/<int:number>", endpoint=room)])
        server = await nursery.start(route, url_map, 8765)

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
        task_status: for `trio.Nursery.start`, which returns the `Server`.

    The other parameters are those of `serve` behind ``handler``.

    Raises:
        ImportError: werkzeug is not installed.
    """
    handler = add_router(
        create_router or Router, url_map, server_name, ssl, CONTEXT, kwds
    )
    await serve(handler, *args, task_status=task_status, **kwds)


async def unix_route(
    url_map: Map,
    path: PathLike | None = None,
    *,
    server_name: str | None = None,
    ssl: tls.SSLContext | bool | None = None,
    create_router: Callable[..., Router] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
    **kwds: Any,
) -> None:
    """
    Serve connections on a Unix socket, each by the handler that its path names.

    Args:
        path: path of the socket.

    The other parameters are as for `route`.
    """
    handler = add_router(
        create_router or Router, url_map, server_name, ssl, CONTEXT, kwds
    )
    await unix_serve(handler, path, task_status=task_status, **kwds)
