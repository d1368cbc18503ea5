"""Negotiation of permessage-deflate (RFC 7692, 7.1).

Agreements of the two sides, and the cost of each:

    parameter                    about the messages of   what it limits
    --------------------------   ---------------------   --------------------------
    server_no_context_takeover   the server              memory between messages
    client_no_context_takeover   the client              memory between messages
    server_max_window_bits       the server              memory of both streams
    client_max_window_bits       the client              memory of both streams

A window of 8 bits can be read but not written: zlib has no raw stream with a window
of 256 bytes.  So a side never promises 8 for its own messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
)
from ..frames.frame import Extension
from ..typing import ExtensionParameter
from .base import ClientExtensionFactory, ServerExtensionFactory
from .compression_policy import check_policy
from .deflate import NAME, PerMessageDeflate, check_compress_settings, check_window_bits

# Window 12 and level 5 keep both streams below 64 KiB a connection and compress short
# messages as well as the larger defaults of zlib.
DEFAULT_WINDOW_BITS: Final = 12
DEFAULT_COMPRESS_SETTINGS: Final[Mapping[str, Any]] = {"memLevel": 5}

WINDOW_BITS: Final = tuple(str(bits) for bits in range(8, 16))


class ClientPerMessageDeflateFactory(ClientExtensionFactory):
    """
    Offer permessage-deflate, and judge the server's answer (RFC 7692, 7.1).

    Args:
        server_no_context_takeover: ask the server to start every message with an
            empty window.  It must agree.
        client_no_context_takeover: start every message with an empty window.
        server_max_window_bits: ask the server for a window of at most this power of
            two, 8 to 15.  It must agree.
        client_max_window_bits: let the server limit our window; a number, 9 to 15,
            limits it already, ``None`` doesn't let it.
        compress_settings: further keyword arguments of :func:`zlib.compressobj`.
        min_size: bytes; smaller messages go out uncompressed.  By default 0 where our
            window is kept between messages, and 64 where it is not.  Messages in
            fragments have no known size and are compressed.
        adaptive: whether to stop compressing where it does not pay.  After 8 messages
            in a row that lost less than a sixteenth of their size, the next 64 go out
            uncompressed.  The one after them is compressed to try again.  Where our
            window is not kept, a message that would not get smaller goes out
            uncompressed in any case.

    Raises:
        TypeError: ``min_size`` is not an int.
        ValueError: a size is out of range, ``compress_settings`` has ``wbits``, or
            zlib refuses the settings.
    """

    __slots__ = (
        "adaptive",
        "client_max_window_bits",
        "client_no_context_takeover",
        "compress_settings",
        "min_size",
        "server_max_window_bits",
        "server_no_context_takeover",
    )

    name = NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | bool | None = True,
        compress_settings: Mapping[str, Any] | None = None,
        *,
        min_size: int | None = None,
        adaptive: bool = True,
    ) -> None:
        check_policy(min_size)
        if server_max_window_bits is not None:
            check_window_bits("server_max_window_bits", server_max_window_bits, 8)
        if client_max_window_bits is not None and client_max_window_bits is not True:
            check_window_bits("client_max_window_bits", client_max_window_bits, 9)
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = check_compress_settings(compress_settings)
        self.min_size = min_size
        self.adaptive = adaptive

    def get_request_params(self) -> list[ExtensionParameter]:
        """Tell what to offer."""
        return build_parameters(
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        )

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> PerMessageDeflate:
        """
        Make the extension that the server's answer describes.

        Raises:
            NegotiationError: the answer does not fit the offer, or it is the second
                one for this extension.
        """
        refuse_second(accepted_extensions)
        answer = Parameters(params, is_offer=False)

        if self.server_no_context_takeover and not answer.server_no_context_takeover:
            raise NegotiationError(
                "server did not agree to server_no_context_takeover, which was asked"
            )

        server_bits = answer.server_max_window_bits
        asked = self.server_max_window_bits
        if asked is not None:
            if server_bits is None:
                raise NegotiationError(
                    f"server did not agree to server_max_window_bits={asked}"
                )
            if server_bits > asked:
                raise NegotiationError(
                    f"server_max_window_bits is {server_bits}, asked was {asked}"
                )

        client_bits = answer.client_max_window_bits
        offered = self.client_max_window_bits
        if client_bits is None:
            if offered is not None and offered is not True:
                client_bits = offered
        elif offered is None:
            raise NegotiationError(
                f"client_max_window_bits is {client_bits}, but it was not offered"
            )
        elif offered is not True and client_bits > offered:
            raise NegotiationError(
                f"client_max_window_bits is {client_bits}, offered was {offered}"
            )
        elif client_bits == 8:
            raise InvalidParameterValue("client_max_window_bits", "8")

        return PerMessageDeflate(
            answer.server_no_context_takeover,
            self.client_no_context_takeover or answer.client_no_context_takeover,
            15 if server_bits is None else server_bits,
            15 if client_bits is None else client_bits,
            self.compress_settings,
            min_size=self.min_size,
            adaptive=self.adaptive,
        )


class ServerPerMessageDeflateFactory(ServerExtensionFactory):
    """
    Accept permessage-deflate (RFC 7692, 7.1).

    Args:
        server_no_context_takeover: start every message with an empty window.
        client_no_context_takeover: ask the client to do so.
        server_max_window_bits: limit our window to this power of two, 9 to 15.
        client_max_window_bits: limit the client's window, 8 to 15, where the client
            lets us.
        compress_settings: further keyword arguments of :func:`zlib.compressobj`.
        require_client_max_window_bits: refuse offers that don't let us limit the
            client's window.
        min_size: as for `ClientPerMessageDeflateFactory`, as is `adaptive`.

    Raises:
        TypeError: ``min_size`` is not an int.
        ValueError: a size is out of range, ``compress_settings`` has ``wbits``, zlib
            refuses the settings, or ``require_client_max_window_bits`` comes without
            ``client_max_window_bits``.
    """

    __slots__ = (
        "adaptive",
        "client_max_window_bits",
        "client_no_context_takeover",
        "compress_settings",
        "min_size",
        "require_client_max_window_bits",
        "server_max_window_bits",
        "server_no_context_takeover",
    )

    name = NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        compress_settings: Mapping[str, Any] | None = None,
        require_client_max_window_bits: bool = False,
        *,
        min_size: int | None = None,
        adaptive: bool = True,
    ) -> None:
        check_policy(min_size)
        if server_max_window_bits is not None:
            check_window_bits("server_max_window_bits", server_max_window_bits, 9)
        if client_max_window_bits is not None:
            check_window_bits("client_max_window_bits", client_max_window_bits, 8)
        elif require_client_max_window_bits:
            raise ValueError(
                "require_client_max_window_bits needs client_max_window_bits"
            )
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings = check_compress_settings(compress_settings)
        self.min_size = min_size
        self.adaptive = adaptive
        self.require_client_max_window_bits = require_client_max_window_bits

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """
        Judge one offer of the client.

        Raises:
            NegotiationError: the offer can't be accepted, or an earlier one was.
        """
        refuse_second(accepted_extensions)
        offer = Parameters(params, is_offer=True)

        server_no_context_takeover = (
            self.server_no_context_takeover or offer.server_no_context_takeover
        )
        client_no_context_takeover = (
            self.client_no_context_takeover or offer.client_no_context_takeover
        )

        server_bits = smaller(self.server_max_window_bits, offer.server_max_window_bits)
        if server_bits == 8:
            # A client may ask for it, and we can't compress with it.
            raise InvalidParameterValue("server_max_window_bits", "8")

        offered = offer.client_max_window_bits
        client_bits: int | None
        if offered is None:
            # The client doesn't know the parameter: we must not answer with it.
            if self.require_client_max_window_bits:
                raise NegotiationError("client does not offer client_max_window_bits")
            client_bits = None
        elif offered is True:
            client_bits = self.client_max_window_bits
        else:
            client_bits = smaller(self.client_max_window_bits, offered)

        return (
            build_parameters(
                server_no_context_takeover,
                client_no_context_takeover,
                server_bits,
                client_bits,
            ),
            PerMessageDeflate(
                client_no_context_takeover,
                server_no_context_takeover,
                15 if client_bits is None else client_bits,
                15 if server_bits is None else server_bits,
                self.compress_settings,
                min_size=self.min_size,
                adaptive=self.adaptive,
            ),
        )


def enable_client_permessage_deflate(
    extensions: Sequence[ClientExtensionFactory] | None,
) -> list[ClientExtensionFactory]:
    """Add the default factory, unless one for this extension is there already."""
    extensions = [] if extensions is None else list(extensions)
    if all(factory.name != NAME for factory in extensions):
        extensions.append(
            ClientPerMessageDeflateFactory(compress_settings=DEFAULT_COMPRESS_SETTINGS)
        )
    return extensions


def enable_server_permessage_deflate(
    extensions: Sequence[ServerExtensionFactory] | None,
) -> list[ServerExtensionFactory]:
    """Add the default factory, unless one for this extension is there already."""
    extensions = [] if extensions is None else list(extensions)
    if all(factory.name != NAME for factory in extensions):
        extensions.append(
            ServerPerMessageDeflateFactory(
                server_max_window_bits=DEFAULT_WINDOW_BITS,
                client_max_window_bits=DEFAULT_WINDOW_BITS,
                compress_settings=DEFAULT_COMPRESS_SETTINGS,
            )
        )
    return extensions


# -- Parameters ----------------------------------------------------------------


class Parameters:
    """
    The parameters of one offer or answer, checked (RFC 7692, 7.1).

    Args:
        params: pairs as parsed from the header.
        is_offer: whether a client sent them; only an offer may have
            ``client_max_window_bits`` without a value, which gives True here.

    Raises:
        NegotiationError: a parameter is unknown, repeated, or has a wrong value.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | bool | None = None

    def __init__(self, params: Sequence[ExtensionParameter], *, is_offer: bool) -> None:
        seen = set()
        for name, value in params:
            if name in seen:
                raise DuplicateParameter(name)
            seen.add(name)
            if name == "server_no_context_takeover":
                self.server_no_context_takeover = no_value(name, value)
            elif name == "client_no_context_takeover":
                self.client_no_context_takeover = no_value(name, value)
            elif name == "server_max_window_bits":
                self.server_max_window_bits = window_bits(name, value)
            elif name == "client_max_window_bits":
                if value is None and is_offer:
                    self.client_max_window_bits = True
                else:
                    self.client_max_window_bits = window_bits(name, value)
            else:
                raise InvalidParameterName(name)


def no_value(name: str, value: str | None) -> bool:
    """Check a parameter that has no value; it says something by being there."""
    if value is not None:
        raise InvalidParameterValue(name, value)
    return True


def window_bits(name: str, value: str | None) -> int:
    """Check the size of a window: 8 to 15, without leading zeros (RFC 7692, 7.1.2)."""
    # Compared as text: int() takes signs, spaces, underscores and other digits.
    if value not in WINDOW_BITS:
        raise InvalidParameterValue(name, value)
    return int(value)


def build_parameters(
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: int | None,
    client_max_window_bits: int | bool | None,
) -> list[ExtensionParameter]:
    """Make the pairs of an offer or answer."""
    params: list[ExtensionParameter] = []
    if server_no_context_takeover:
        params.append(("server_no_context_takeover", None))
    if client_no_context_takeover:
        params.append(("client_no_context_takeover", None))
    if server_max_window_bits is not None:
        params.append(("server_max_window_bits", str(server_max_window_bits)))
    if client_max_window_bits is True:
        params.append(("client_max_window_bits", None))
    elif client_max_window_bits is not None:
        params.append(("client_max_window_bits", str(client_max_window_bits)))
    return params


def refuse_second(accepted_extensions: Sequence[Extension]) -> None:
    """Refuse to compress what is compressed already."""
    if any(extension.name == NAME for extension in accepted_extensions):
        raise NegotiationError(f"{NAME} was accepted already")


def smaller(ours: int | None, theirs: int | None) -> int | None:
    """Take the smaller of two limits, of which each may be missing."""
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    return min(ours, theirs)


def wants_deflate(compression: Any) -> bool:
    """
    Check the parameter `compression`.

    Returns:
        Whether permessage-deflate is to be offered or supported.

    Raises:
        ValueError: it is neither ``"deflate"`` nor None.
    """
    if compression is None:
        return False
    if compression != "deflate":
        raise ValueError(
            f"compression is {compression!r}; it must be 'deflate' or None"
        )
    return True
