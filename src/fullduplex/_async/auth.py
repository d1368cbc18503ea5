"""HTTP Basic authentication for `serve` on asyncio and trio, as a hook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..core.http.messages import Request, Response
from ..core.server.auth import Credentials, authenticate, challenge, the_check
from ..core.server.hooks import waited

Check = Callable[[str, str], Awaitable[bool] | bool]


def basic_auth(
    realm: str = "",
    credentials: Credentials | None = None,
    check_credentials: Check | None = None,
) -> Callable[[Any, Request], Awaitable[Response | None]]:
    """
    Make a `process_request` that asks for a user name and a password (RFC 7617).

    The user name is then found in `ServerConnection.username`.  Use it with TLS:
    both travel readable otherwise.

    Args:
        realm: name of the protected space, shown to the client.
        credentials: a pair (username, password), or an iterable of pairs.
        check_credentials: tells whether a user name and a password are right; may
            be a coroutine function.  Give either this or `credentials`.

    Raises:
        TypeError: `credentials` has the wrong shape.
        ValueError: both or neither of `credentials` and `check_credentials` are
            given, or `realm` cannot be sent.
    """
    check = the_check(credentials, check_credentials)
    demand = challenge(realm)

    async def process_request(connection: Any, request: Request) -> Response | None:
        """Answer 401 unless the credentials are right."""
        return await waited(authenticate(connection, request, check, demand))

    return process_request


# Where programs find it.
basic_auth.__module__ = "fullduplex"
