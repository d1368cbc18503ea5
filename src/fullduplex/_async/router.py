"""Base of the routers on asyncio and trio, which call coroutine functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.http.messages import Request
from ..core.server.hook_forms import adapt_process_request
from ..core.server.hooks import maybe
from ..core.server.routing import Routes, make_router

if TYPE_CHECKING:
    from werkzeug.routing import Map


class AsyncRouter(Routes):
    """Find the handler of a request in a map of URLs, and call it."""

    async def handler(self, connection: Any) -> None:
        """Call the handler that `route_request` has found."""
        await connection.handler(connection, **connection.handler_kwargs)


def add_router(
    create: Callable[..., AsyncRouter],
    url_map: Map,
    server_name: str | None,
    ssl: Any,
    context: type,
    kwds: dict[str, Any],
) -> Any:
    """
    Make the router of a `route` call and put it behind the program's `process_request`.

    Args:
        create: as for `make_router`, as are the next four.
        kwds: keyword arguments for `serve`, which get another `process_request`.

    Returns:
        The handler for `serve`.

    Raises:
        ImportError: werkzeug is not installed.
        TypeError: `ssl` is something else.
    """
    router: Any = make_router(create, url_map, server_name, ssl, context, kwds)
    first = adapt_process_request(kwds.pop("process_request", None))

    async def process_request(connection: Any, request: Request) -> Any:
        if first is not None:
            answer = await maybe(first(connection, request))
            if answer is not None:
                return answer
        return await maybe(router.route_request(connection, request))

    kwds["process_request"] = process_request
    return router.handler
