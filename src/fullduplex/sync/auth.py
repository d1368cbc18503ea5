"""HTTP Basic authentication for `serve`, as a hook."""

from __future__ import annotations

from collections.abc import Callable

from ..core.http.messages import Request, Response
from ..core.server.auth import Credentials, authenticate, challenge, the_check
from ._server_connection import ServerConnection

__all__ = ["basic_auth"]


def basic_auth(
    realm: str = "",
    credentials: Credentials | None = None,
    check_credentials: Callable[[str, str], bool] | None = None,
) -> Callable[[ServerConnection, Request], Response | None]:
    """
    Make a `process_request` that asks for a user name and a password (RFC 7617).

    The user name is then found in `ServerConnection.username`.  Use it with TLS:
    both travel readable otherwise.

    Args:
        realm: name of the protected space, shown to the client.
        credentials: a pair (username, password), or an iterable of pairs.
        check_credentials: tells whether a user name and a password are right.  Give
            either this or `credentials`.

    Raises:
        TypeError: `credentials` has the wrong shape.
        ValueError: both or neither of `credentials` and `check_credentials` are
            given, or `realm` cannot be sent.
    """
    check = the_check(credentials, check_credentials)
    demand = challenge(realm)

    def process_request(
        connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer 401 unless the credentials are right."""
        steps = authenticate(connection, request, check, demand)
        try:
            steps.send(next(steps))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        raise AssertionError  # it asks once

    return process_request
