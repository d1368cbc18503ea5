"""Interface of an extension (RFC 6455, 9).

A factory takes part in the opening handshake and makes an extension, which then
rewrites every frame of one connection.  Frames are encoded in the order in which
extensions were accepted and decoded in the reverse order.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..frames import Frame
from ..typing import ExtensionName, ExtensionParameter

__all__ = ["Extension", "ClientExtensionFactory", "ServerExtensionFactory"]


class Extension:
    """
    An extension in use on one connection.

    Subclasses set :attr:`name` and override :meth:`decode` and :meth:`encode`.
    """

    __slots__ = ()

    name: ExtensionName
    """Name in ``Sec-WebSocket-Extensions``."""

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """
        Rewrite a frame that was received.

        Args:
            frame: frame as it arrived, unmasked.  Control frames come too.
            max_size: largest payload to return, in bytes; a frame of exactly this
                size passes.  ``None`` sets no limit.

        Returns:
            The frame for the application or for the next extension.

        Raises:
            PayloadTooBig: the payload would be larger than ``max_size``.  Raise it
                before memory grows past the limit.  The connection fails with 1009.
            ProtocolError: the frame is not one this extension may receive.  The
                connection fails with 1002.
        """
        raise NotImplementedError

    def encode(self, frame: Frame) -> Frame:
        """
        Rewrite a frame that is about to be sent.

        Args:
            frame: frame of the application or of the previous extension, unmasked.
                Control frames come too.

        Returns:
            The frame to send.
        """
        raise NotImplementedError


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
