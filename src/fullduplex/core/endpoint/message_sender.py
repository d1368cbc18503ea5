"""Messages to send: one value as one message, or many as the fragments of one."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any

from ..buffers import byte_view
from ..frames.close import ConnectionClosed
from ..typing import BytesLike
from . import operations
from .endpoint import Endpoint
from .hot import Waiter
from .operations import Operation


def message_payload(
    message: Any, text: bool | None
) -> tuple[str | BytesLike, bool] | None:
    """
    Tell how a value is sent as one message.

    Args:
        message: the argument of `send`.
        text: True sends bytes as text, False a `str` as binary, None goes by type.

    Returns:
        The payload and whether it is text; None if `message` is an iterable whose
        items are fragments.

    Raises:
        TypeError: it is none of these, or a mapping, whose keys would be sent.
    """
    if isinstance(message, str):
        return message, text is not False
    data = byte_view(message)
    if data is not None:
        return data, text is True
    if isinstance(message, Mapping):
        raise TypeError(
            "message is a mapping; send a text made of it, as json.dumps(message), or "
            "its keys() as the fragments of one message"
        )
    if isinstance(message, (Iterable, AsyncIterable)):
        return None
    raise TypeError(
        "message must be str, bytes-like, or an iterable of one of these, "
        f"not {type(message).__name__}"
    )


class FragmentSender:
    """
    Send a message fragment by fragment (RFC 6455, 5.4).

    Args:
        text: as for `single`; the same for all fragments, as is `compress`.
        compress: as for `PerMessageDeflate.compress_payload`.
    """

    def __init__(
        self, session: Endpoint, text: bool | None, compress: bool | None = None
    ) -> None:
        self._session = session
        self._text = text
        self._compress = compress
        self._kind: type | None = None
        self._intact = False

    def add(self, item: Any) -> Operation[None]:
        """
        Send the next fragment.

        Raises:
            TypeError: `item` is not `str` or bytes-like, or not of the kind of
                the items before it.
        """
        payload = item if isinstance(item, str) else byte_view(item)
        if payload is None:
            raise TypeError(
                f"fragments must be str or bytes-like, not {type(item).__name__}"
            )
        kind = str if isinstance(payload, str) else bytes
        if self._kind is not None and kind is not self._kind:
            raise TypeError(
                f"fragment is {type(item).__name__}, but the message began with "
                f"{'str' if self._kind is str else 'bytes'}"
            )
        # A fragment that cannot be encoded must fail before anything is sent.
        data = str.encode(payload) if isinstance(payload, str) else payload
        opcode = 0
        if self._kind is None:
            is_text = self._text if self._text is not None else kind is str
            opcode = 1 if is_text else 2
            yield from operations.begin_fragments(self._session)
            self._kind = kind
        yield from operations.send_fragment(
            self._session, opcode, data, fin=False, compress=self._compress
        )

    def end(self) -> Operation[None]:
        """Complete the message; nothing at all was sent if it had no fragment."""
        if self._kind is not None:
            yield from operations.send_fragment(self._session, 0, b"", fin=True)

    def release(self, exc: BaseException | None) -> list[Waiter]:
        """
        Let other senders in; returns what to fire.

        Args:
            exc: reason for which the message stays incomplete, if it does.
        """
        if self._kind is None:
            return []
        self._kind = None
        if self._intact or isinstance(exc, ConnectionClosed):
            exc = None
        return self._session.end_fragments(exc)
