"""Fragments of received messages: joined for `recv`, streamed, or discarded."""

from __future__ import annotations

from ..errors import ConcurrencyError
from ..frames.messages import Fragment, MessageAssembler, TextDecoder
from .hot import RECEIVING, HotEndpoint

# The third bit of `recv_blockers`, beside those of `HotEndpoint`.
FRAGMENTS = 4


class ReceiveQueue:
    """
    Receiver of the fragments in the queue of an endpoint.

    The messages themselves are in ``endpoint.messages``, which the hot path reads.
    """

    __slots__ = ("_assembler", "_decoder", "_discarding", "streaming")

    def __init__(self) -> None:
        # Of the message that `recv` has taken a part of; most are whole.
        self._assembler: MessageAssembler | None = None
        self._decoder: TextDecoder | None = None
        self._discarding = False
        #: whether a message was begun that is received fragment by fragment
        self.streaming = False

    def begin(self, endpoint: HotEndpoint, *, streaming: bool) -> None:
        """
        Let a receiver in; it calls ``endpoint.end_wait`` at its end.

        Args:
            streaming: whether it goes on with a message.

        Raises:
            ConcurrencyError: another one is waiting or streaming.
        """
        if endpoint.recv_blockers & RECEIVING or self.streaming != streaming:
            raise ConcurrencyError(
                "recv() is already waiting elsewhere; a connection has one reader"
            )
        endpoint.recv_blockers |= RECEIVING

    def join(self, endpoint: HotEndpoint, fragment: Fragment) -> str | bytes | None:
        """Return the whole message after its last fragment; None before."""
        if self._assembler is None:
            self._assembler = MessageAssembler()
        self._assembler.add(fragment.data)
        if not fragment.fin:
            return None
        message = self._assembler.take()
        self.reckon(endpoint)
        return message

    def take_joined(self) -> Fragment | None:
        """Return what a cancelled `recv` has joined, as the first part."""
        if self._assembler:
            return Fragment(self._assembler.take(), False)
        return None

    def stream(
        self, endpoint: HotEndpoint, part: Fragment, *, first: bool
    ) -> TextDecoder:
        """Note that a part of a message is taken; returns what decodes it."""
        if first or self._decoder is None:
            self._decoder = TextDecoder()
        self.streaming = not part.fin
        if part.fin:
            self.reckon(endpoint)
        return self._decoder

    def abandon(self, endpoint: HotEndpoint) -> None:
        """Discard the rest of the message that is streamed."""
        self.streaming = False
        self._discarding = True
        self.take_fragments(endpoint)

    def take_fragments(self, endpoint: HotEndpoint) -> None:
        """Note that fragments are queued; drop those of an abandoned message."""
        messages = endpoint.messages
        while messages and self._discarding:
            item = messages.popleft()
            assert isinstance(item, Fragment)
            self._discarding = not item.fin
        self.reckon(endpoint)

    def reckon(self, endpoint: HotEndpoint) -> None:
        """Close the fast path of `recv` while fragments are in the way."""
        if (
            self._assembler
            or self.streaming
            or self._discarding
            or any(isinstance(item, Fragment) for item in endpoint.messages)
        ):
            endpoint.recv_blockers |= FRAGMENTS
        else:
            endpoint.recv_blockers &= ~FRAGMENTS
