"""The grammar of the headers that take part in a handshake.

Lists follow RFC 9110, 5.6.1: items are separated by commas, optional white space
is allowed around them, and empty items are skipped.  Values come from
:class:`~fullduplex.core.http.headers.Headers`, so they are stripped already.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, cast

from ..arguments import exact_str
from ..credentials import HIDDEN
from ..errors import InvalidHeaderFormat, InvalidHeaderValue
from ..typing import (
    ConnectionOption,
    ExtensionHeader,
    ExtensionName,
    ExtensionParameter,
    Subprotocol,
    UpgradeProtocol,
)

T = TypeVar("T")

MAX_LIST_ITEMS: Final = 128
"""Largest number of items in a list of a header, empty ones and parameters included."""

TCHAR: Final = "-!#$%&'*+.^_`|~0-9A-Za-z"
"""Characters of a token, for a class of a pattern (RFC 9110, 5.6.2)."""

_space = re.compile(r"[\t ]*")
_token = re.compile(f"[{TCHAR}]+")
_protocol = re.compile(rf"{_token.pattern}(?:/{_token.pattern})?")
_quoted_string = re.compile(
    r'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*)"'
)
_token68 = re.compile(r"[-._~+/0-9A-Za-z]+=*")  # RFC 9110, 11.2


# -- Building blocks -----------------------------------------------------------

# A parse function takes (header, position, header name) and returns what it
# found there and the position after it.
_Parse = Callable[[str, int, str], tuple[T, int]]


def _skip_space(header: str, pos: int) -> int:
    match = _space.match(header, pos)
    assert match  # an empty match always succeeds
    return match.end()


def parse_token(header: str, pos: int, name: str) -> tuple[str, int]:
    match = _token.match(header, pos)
    if match is None:
        raise InvalidHeaderFormat(name, "expected token", header, pos)
    return match[0], match.end()


def check_items(name: str, values: Sequence[str]) -> None:
    """
    Refuse lists of more items, empty ones and parameters included, than make sense.

    RFC 9110, 5.6.1.2 wants empty items to be skipped, but not so many that this
    could be used against a recipient.

    Args:
        name: name of the header.
        values: its values, which are one list (RFC 9110, 5.3).

    Raises:
        InvalidHeaderValue: there are more than `MAX_LIST_ITEMS`.
    """
    # No item that is valid holds either of them.
    count = sum(1 + value.count(",") + value.count(";") for value in values)
    if count > MAX_LIST_ITEMS:
        raise InvalidHeaderValue(
            name, f"{count} items and parameters; allowed are {MAX_LIST_ITEMS}"
        )


def _parse_list(parse_item: _Parse[T], header: str, name: str) -> list[T]:
    check_items(name, (header,))
    items: list[T] = []
    pos = 0
    while True:
        pos = _skip_space(header, pos)
        if pos == len(header):
            break
        if header[pos] != ",":
            item, pos = parse_item(header, pos, name)
            items.append(item)
            pos = _skip_space(header, pos)
            if pos == len(header):
                break
            if header[pos] != ",":
                raise InvalidHeaderFormat(name, "expected comma", header, pos)
        pos += 1
    if not items:
        raise InvalidHeaderFormat(name, "expected an item", header, pos)
    return items


# -- Host, Connection, Upgrade -------------------------------------------------


def build_host(
    host: str, port: int, secure: bool, always_include_port: bool = False
) -> str:
    """
    Build a ``Host`` header (RFC 9110, 7.2).

    Args:
        host: a name or an address; IPv6 addresses get their brackets here and
            lose their zone, which means nothing to the peer (RFC 6874, 1).
        port: left out if it is the default port.
        secure: whether the connection uses TLS.
        always_include_port: keep the default port, as ``CONNECT`` wants it.
    """
    host = exact_str(host)
    if ":" in host:
        host = f"[{host.partition('%')[0]}]"
    if always_include_port or port != (443 if secure else 80):
        return f"{host}:{port}"
    return host


def parse_connection(header: str) -> list[ConnectionOption]:
    """
    Parse a ``Connection`` header (RFC 9110, 7.6.1).

    Raises:
        InvalidHeaderFormat: it is no list of tokens.
    """
    return cast(list[ConnectionOption], _parse_list(parse_token, header, "Connection"))


def parse_upgrade(header: str) -> list[UpgradeProtocol]:
    """
    Parse an ``Upgrade`` header (RFC 9110, 7.8).

    Raises:
        InvalidHeaderFormat: it is no list of protocols.
    """
    return _parse_list(parse_upgrade_protocol, header, "Upgrade")


def parse_upgrade_protocol(
    header: str, pos: int, name: str
) -> tuple[UpgradeProtocol, int]:
    match = _protocol.match(header, pos)
    if match is None:
        raise InvalidHeaderFormat(name, "expected protocol", header, pos)
    return UpgradeProtocol(match[0]), match.end()


# -- Sec-WebSocket-Extensions --------------------------------------------------


def parse_extension(header: str) -> list[ExtensionHeader]:
    """
    Parse a ``Sec-WebSocket-Extensions`` header (RFC 6455, 9.1).

    Returns:
        For each extension its name and its parameters; a parameter is a name and
        a value, None if it has no ``=``.

    Raises:
        InvalidHeaderFormat: the header is malformed, or a quoted value is not a
            token when unquoted.
    """
    return _parse_list(parse_extension_item, header, "Sec-WebSocket-Extensions")


def parse_extension_item(
    header: str, pos: int, name: str
) -> tuple[ExtensionHeader, int]:
    extension, pos = parse_token(header, pos, name)
    parameters: list[ExtensionParameter] = []
    while True:
        after = _skip_space(header, pos)
        if not header.startswith(";", after):
            return (ExtensionName(extension), parameters), pos
        pos = _skip_space(header, after + 1)
        parameter, pos = parse_extension_item_param(header, pos, name)
        parameters.append(parameter)


def parse_extension_item_param(
    header: str, pos: int, name: str
) -> tuple[ExtensionParameter, int]:
    parameter, pos = parse_token(header, pos, name)
    after = _skip_space(header, pos)
    if not header.startswith("=", after):
        return (parameter, None), pos
    pos = _skip_space(header, after + 1)
    if not header.startswith('"', pos):
        value, pos = parse_token(header, pos, name)
        return (parameter, value), pos
    match = _quoted_string.match(header, pos)
    if match is None:
        raise InvalidHeaderFormat(name, "expected quoted string", header, pos)
    # A backslash that is quoted itself is in no token, so each of them quotes.
    value = match[1].replace("\\", "")
    if "\\\\" in match[1] or not _token.fullmatch(value):
        raise InvalidHeaderFormat(name, "expected token in quotes", header, pos)
    return (parameter, value), match.end()


def build_extension(extensions: Sequence[ExtensionHeader]) -> str:
    """
    Build a ``Sec-WebSocket-Extensions`` header; the inverse of parsing it.

    Raises:
        ValueError: a name or a value is not a token.
    """
    return ", ".join(
        "; ".join([_check_token(name), *map(_build_parameter, parameters)])
        for name, parameters in extensions
    )


def _build_parameter(parameter: ExtensionParameter) -> str:
    name, value = parameter
    if value is None:
        return _check_token(name)
    return f"{_check_token(name)}={_check_token(value)}"


def _check_token(text: str) -> str:
    text = exact_str(text)
    if not _token.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is not a token")
    return text


# -- Sec-WebSocket-Protocol ----------------------------------------------------


def parse_subprotocol(header: str) -> list[Subprotocol]:
    """
    Parse a ``Sec-WebSocket-Protocol`` header (RFC 6455, 11.3.4).

    Raises:
        InvalidHeaderFormat: it is no list of tokens.
    """
    return cast(
        list[Subprotocol],
        _parse_list(parse_token, header, "Sec-WebSocket-Protocol"),
    )


def build_subprotocol(subprotocols: Sequence[str]) -> str:
    """
    Build a ``Sec-WebSocket-Protocol`` header.

    Raises:
        ValueError: an item is not a token.
    """
    return ", ".join(map(_check_token, subprotocols))


def validate_subprotocols(subprotocols: Sequence[str]) -> None:
    """
    Check an argument called ``subprotocols``.

    Raises:
        TypeError: it is a str, or no sequence, so that its order means nothing.
        ValueError: an item is not a token.
    """
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Sequence):
        raise TypeError(
            f"subprotocols must be a list of str, not {type(subprotocols).__name__}"
        )
    for subprotocol in subprotocols:
        if not isinstance(subprotocol, str) or not _token.fullmatch(subprotocol):
            raise ValueError(f"subprotocols has {subprotocol!r}, which is not a token")


# The names in websockets 10.
parse_extension_list = parse_extension
build_extension_list = build_extension
parse_subprotocol_list = parse_subprotocol
build_subprotocol_list = build_subprotocol


# -- Basic authentication ------------------------------------------------------


def build_www_authenticate_basic(realm: str) -> str:
    """
    Build a ``WWW-Authenticate`` header for Basic authentication (RFC 7617, 2).

    Args:
        realm: name of the protected space.

    Raises:
        ValueError: the realm holds a character that cannot be sent.
    """
    realm = exact_str(realm)
    if re.search(r"[^\t\x20-\x7e\x80-\xff]", realm):
        raise ValueError(f"realm {realm[:64]!r} cannot be sent")
    escaped = re.sub(r'(["\\])', r"\\\1", realm)
    return f'Basic realm="{escaped}", charset="UTF-8"'


def parse_authorization_basic(header: str) -> tuple[str, str]:
    """
    Parse an ``Authorization`` header for Basic authentication (RFC 7617, 2).

    Returns:
        The user name and the password.  Bytes that are not UTF-8 become lone
        surrogates, as with :func:`os.fsdecode`.

    Raises:
        InvalidHeaderFormat: the header is malformed.
        InvalidHeaderValue: the scheme is another, or the credentials are not
            Base64, or have no colon.
    """
    name = "Authorization"
    scheme, pos = parse_token(header, 0, name)
    if scheme.lower() != "basic":
        # A value without a space may be a credential without a scheme.
        shown = scheme[:64] if header.startswith(" ", pos) else HIDDEN
        raise InvalidHeaderValue(name, f"unsupported scheme: {shown}")
    # RFC 9110, 11.4 has one space or more, and no tab.
    start = len(header) - len(header[pos:].lstrip(" "))
    match = _token68.match(header, start)
    if start == pos or match is None:
        raise InvalidHeaderFormat(name, "expected Base64", header, start)
    if match.end() != len(header):
        raise InvalidHeaderFormat(name, "expected end", header, match.end())
    # Values stay out of the messages: these are credentials.
    try:
        credentials = base64.b64decode(match[0], validate=True)
    except binascii.Error as exc:
        raise InvalidHeaderValue(name, "credentials are not Base64") from exc
    username, colon, password = credentials.partition(b":")
    if not colon:
        raise InvalidHeaderValue(name, "credentials have no colon")
    return (
        username.decode("utf-8", "surrogateescape"),
        password.decode("utf-8", "surrogateescape"),
    )


def build_authorization_basic(username: str, password: str) -> str:
    """
    Build an ``Authorization`` header for Basic authentication (RFC 7617, 2).

    Raises:
        ValueError: the user name has a colon, which would end it.
    """
    username, password = exact_str(username), exact_str(password)
    if ":" in username:
        raise ValueError("a user name for Basic authentication cannot have a colon")
    credentials = f"{username}:{password}".encode("utf-8", "surrogateescape")
    return "Basic " + base64.b64encode(credentials).decode()
