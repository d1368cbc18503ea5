"""HTTP Basic authentication for `serve`: the protocol factory, beside the hook."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from .._async.auth import Check, basic_auth
from ..core.http.headers import Headers
from ..core.http.messages import Request
from ..core.server.auth import Credentials, authenticate, challenge, checker
from ..core.server.hooks import waited
from ._server_connection import ServerConnection

__all__ = [
    "BasicAuthWebSocketServerProtocol",
    "basic_auth",
    "basic_auth_protocol_factory",
]


class BasicAuthWebSocketServerProtocol(ServerConnection):
    """
    A connection whose client has to give a user name and a password.

    Made by `basic_auth_protocol_factory`, or subclassed with a `realm` and a
    `check_credentials` of its own.

    Args:
        realm: replaces the attribute of the class.
        check_credentials: replaces the method.
        *args: as for `ServerConnection`, as is ``**kwds``.
    """

    #: name of the protected space, shown to the client
    realm: str = ""

    def __init__(
        self,
        *args: Any,
        realm: str | None = None,
        check_credentials: Check | None = None,
        **kwds: Any,
    ) -> None:
        super().__init__(*args, **kwds)
        if realm is not None:
            self.realm = realm
        self._check_credentials = check_credentials

    async def check_credentials(self, username: str, password: str) -> bool:
        """
        Override to tell whether a user name and a password are right.

        An exception is logged, and the client is answered 500.
        """
        if self._check_credentials is None:
            return False
        verdict = self._check_credentials(username, password)
        if inspect.isawaitable(verdict):
            verdict = await verdict
        return bool(verdict)

    async def process_request(self, path: str, request_headers: Headers) -> Any:
        """Check the credentials.  Override to add checks, and call this one."""
        refusal = await waited(
            authenticate(
                self,
                Request(path, request_headers),
                self.check_credentials,
                challenge(self.realm),
            )
        )
        if refusal is not None:
            return refusal
        return await super().process_request(path, request_headers)


def basic_auth_protocol_factory(
    realm: str | None = None,
    credentials: Credentials | None = None,
    check_credentials: Check | None = None,
    create_protocol: Callable[..., BasicAuthWebSocketServerProtocol] | None = None,
) -> Callable[..., BasicAuthWebSocketServerProtocol]:
    """
    Make a ``create_protocol`` that asks for a user name and a password.

    `basic_auth` does the same as a `process_request`.

    Args:
        realm: as for `basic_auth`.
        credentials: as for `basic_auth`.
        check_credentials: as for `basic_auth`.
        create_protocol: `BasicAuthWebSocketServerProtocol` or a subclass.

    Raises:
        TypeError: both or neither of `credentials` and `check_credentials` are
            given, or `credentials` has the wrong shape.
        ValueError: `realm` cannot be sent.
    """
    if (credentials is None) == (check_credentials is None):
        raise TypeError("give either credentials or check_credentials")
    if realm is not None:
        challenge(realm)
    return functools.partial(
        create_protocol or BasicAuthWebSocketServerProtocol,
        realm=realm,
        check_credentials=(
            checker(credentials) if check_credentials is None else check_credentials
        ),
    )
