"""HTTP Basic authentication (RFC 7617): reading credentials and comparing them.

Comparing takes the same steps whether the user name is known or not, and whatever
the password is: what can be measured from outside tells neither.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Generator, Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

from ..errors import InvalidHeader
from ..http.grammar import build_www_authenticate_basic, parse_authorization_basic
from ..http.messages import Request, Response

Credentials: TypeAlias = tuple[str, str] | Iterable[tuple[str, str]]
"""A user name and a password, or several such pairs."""


class Refused(Exception):
    """The request is to be answered 401; the text is the body of the answer."""


def the_check(
    credentials: Any, check_credentials: Callable[[str, str], Any] | None
) -> Callable[[str, str], Any]:
    """
    Return what tells whether a user name and a password are right.

    Args:
        credentials: see `checker`.
        check_credentials: the function, instead of `credentials`.

    Raises:
        TypeError: `credentials` has the wrong shape.
        ValueError: both or neither are given.
    """
    if (credentials is None) == (check_credentials is None):
        raise ValueError("give either credentials or check_credentials")
    return checker(credentials) if check_credentials is None else check_credentials


def authenticate(
    connection: Any, request: Request, check: Callable[[str, str], Any], demand: str
) -> Generator[Any, Any, Response | None]:
    """
    Answer 401 unless the credentials are right; else note the user name.

    Yields what `check` returned, and is sent what that became.

    Args:
        connection: of the server.
        demand: see `challenge`.
    """
    try:
        username, password = read_credentials(request)
        if not (yield check(username, password)):
            raise Refused("Invalid credentials\n")
    except Refused as exc:
        response: Response = connection.respond(HTTPStatus.UNAUTHORIZED, str(exc))
        response.headers["WWW-Authenticate"] = demand
        return response
    connection.username = username
    return None


def read_credentials(request: Request) -> tuple[str, str]:
    """
    Read the user name and the password from a request.

    Raises:
        Refused: there are none, or none that can be understood.
    """
    values = request.headers.get_all("Authorization")
    if not values:
        raise Refused("Missing credentials\n")
    if len(values) > 1:
        raise Refused("Unsupported credentials\n")
    try:
        return parse_authorization_basic(values[0])
    except InvalidHeader as exc:
        raise Refused("Unsupported credentials\n") from exc


def challenge(realm: str) -> str:
    """
    Build the value of ``WWW-Authenticate``.

    Raises:
        TypeError: `realm` is no `str`.
        ValueError: `realm` holds a character that cannot be sent.
    """
    if not isinstance(realm, str):
        raise TypeError(f"realm must be a str, not {type(realm).__name__}")
    return build_www_authenticate_basic(realm)


def checker(credentials: Any) -> Callable[[str, str], bool]:
    """
    Make a function that tells whether a user name and a password are right.

    Args:
        credentials: see `Credentials`.

    Raises:
        TypeError: it is neither a pair of `str` nor an iterable of such pairs.
    """
    known = {user: digest(password) for user, password in _pairs(credentials)}
    nobody = digest("")

    def check(username: str, password: str) -> bool:
        expected = known.get(username)
        equal = hmac.compare_digest(digest(password), expected or nobody)
        return equal and expected is not None

    return check


def digest(password: str) -> bytes:
    """Hash a password, so that comparing does not tell how long it is."""
    return hashlib.sha256(password.encode(errors="surrogatepass")).digest()


def _pairs(credentials: Any) -> list[tuple[str, str]]:
    if _is_pair(credentials):
        return [credentials]
    if isinstance(credentials, Iterable) and not isinstance(credentials, (str, bytes)):
        pairs = list(credentials)
        if all(_is_pair(pair) for pair in pairs):
            return [(user, password) for user, password in pairs]
    # Its value is a secret, so only its type is shown.
    raise TypeError(
        "credentials must be a pair (username, password) of str or an iterable of "
        f"such pairs; it is of type {type(credentials).__name__}"
    )


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(item, str) for item in value)
    )
