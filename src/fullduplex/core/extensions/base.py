"""Interface of an extension (RFC 6455, 9).

A factory takes part in the opening handshake and makes an extension, which then
rewrites every frame of one connection.  Frames are encoded in the order in which
extensions were accepted and decoded in the reverse order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..frames.frame import Extension
from ..typing import ExtensionName, ExtensionParameter


class ClientExtensionFactory:
    """
    A client's part in negotiating an extension.

    Subclasses set :attr:`name` and override both methods.
    """

    __slots__ = ()

    name: ExtensionName
    """Name in ``Sec-WebSocket-Extensions``."""

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """
        Tell what to offer.

        Returns:
            Pairs of a parameter's name and value, ``None`` for no value.
        """
        raise NotImplementedError

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> Extension:
        """
        Make the extension that the server's answer describes.

        Args:
            params: pairs of a parameter's name and value, as the server sent them.
            accepted_extensions: extensions made from earlier items of the answer.

        Returns:
            The extension.

        Raises:
            NegotiationError: the answer does not fit the offer.  The opening
                handshake fails.
        """
        raise NotImplementedError


class ServerExtensionFactory:
    """
    A server's part in negotiating an extension.

    Subclasses set :attr:`name` and override the method.
    """

    __slots__ = ()

    name: ExtensionName
    """Name in ``Sec-WebSocket-Extensions``."""

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], Extension]:
        """
        Judge one offer of the client.

        Args:
            params: pairs of a parameter's name and value, as the client sent them.
            accepted_extensions: extensions made from earlier offers.

        Returns:
            The parameters to answer with, and the extension.

        Raises:
            NegotiationError: this offer cannot be accepted.  The client's next offer
                is tried; accepting none of them is not an error.
        """
        raise NotImplementedError


def check_factories(extensions: Sequence[Any] | None, side: str, method: str) -> None:
    """
    Refuse a list with other things than factories.

    Factories written for another library's base class work as well.

    Args:
        side: of the factories, for the text of the error.
        method: a method that only factories of this side have.

    Raises:
        TypeError: an item has no name or no such method.
    """
    for factory in extensions or ():
        if not hasattr(factory, "name") or not hasattr(factory, method):
            raise TypeError(
                f"extensions has {factory!r}, expected {side} extension factories"
            )
