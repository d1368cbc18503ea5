"""Short paths of `recv` and `send`.  Pure-Python twin of ``_hot_c.pyx``.

It is the memory of a `Driver`, with two shortcuts past its general way.  Each does the
whole of the work where nothing stands against it, and otherwise nothing.  The compiled
body also reads and writes the socket; this one leaves that to the general way.
"""

from __future__ import annotations

import math
import threading
from typing import Any

from ..core.endpoint._hot import PAUSED
from ..core.endpoint.write_buffer import WriteBuffer
from ..core.wire.wire import ReadBuffer

NOTHING = object()
"""Result of `HotDriver.receive_now` where the general way must be taken."""

# Memory to read into: one for each thread that reads, not for each connection.
_spare: list[ReadBuffer] = []
SPARE = 16


def spare_buffer() -> ReadBuffer:
    """Return memory to read into; many readers may name it, one may use it."""
    if not _spare:
        _spare.append(ReadBuffer(65536))
    return _spare[-1]


def take_buffer() -> ReadBuffer:
    """Return memory that nobody else uses until it is given back."""
    try:
        return _spare.pop()
    except IndexError:
        return ReadBuffer(65536)


def give_buffer(buffer: ReadBuffer) -> None:
    """Let others use memory that one has taken."""
    if len(_spare) < SPARE:
        _spare.append(buffer)


class HotDriver:
    """
    The base of `Driver`.

    Args:
        sock: in blocking mode.
        session: the session to drive.
        tls: encryption; None if there is none.
        tick: seconds for which a blocking read waits.
        guest: whether the socket is the program's too, which may close it: its number
            may be another's then, so it is asked for each time.
    """

    __slots__ = (
        "aside",
        "backlog",
        "blocked",
        "buffer",
        "due",
        "ended",
        "eof",
        "followers",
        "leader",
        "lock",
        "mid_transition",
        "session",
        "sock",
        "tls",
        "unparsed_reads",
        "unseen",
        "view",
    )

    def __init__(
        self, sock: Any, session: Any, tls: Any, tick: float, guest: bool = False
    ) -> None:
        self.sock = sock
        self.session = session
        self.tls = tls
        self.new_lock()
        #: whether a change of the session is under way
        self.mid_transition = False
        #: whether TCP has ended
        self.ended = False
        #: whether the housekeeper wants to hear when it may watch again
        self.aside = False
        #: whether the peer has ended its direction of it
        self.eof = False
        #: when the session wants to be told the time
        self.due = math.inf
        #: the waiter of the thread that reads; `self` where that one has none
        self.leader: Any = None
        #: waiters of threads that sleep
        self.followers: list[Any] = []
        #: waiters of threads that are in a system call on the socket; a leader
        #: that has none is in one as well
        self.blocked: list[Any] = []
        #: bytes that the system has not taken yet
        self.backlog = WriteBuffer()
        #: sending calls since input was looked for
        self.unseen = 0
        #: size of what was read and not parsed yet
        self.unparsed_reads: list[int] = []
        #: memory that the leader reads into, and the part of it that comes next
        self.buffer: Any = None
        self.view: Any = None

    def new_lock(self) -> None:
        """Make another lock, where threads that held it are gone."""
        #: guards everything here
        self.lock = threading.Lock()

    def send_now(self, message: Any) -> bool | None:
        """
        Send a message if it can be sent as it is.

        Returns:
            True if the system has taken it, None if it has taken a part only, False
            if nothing was done.
        """
        return False

    def receive_now(self, deadline: float) -> Any:
        """
        Receive a message if it is there.  The compiled body also waits for it.

        Args:
            deadline: until when to wait at most.

        Returns:
            The message or `NOTHING`.
        """
        session = self.session
        with self.lock:
            if self.mid_transition or session.recv_blockers & ~PAUSED:
                return NOTHING
            if session.holder.holding or session.recv_blockers:
                message = session.take_held()
                if session.needs_sync:
                    self.step()
                return NOTHING if message is None else message
            return session.messages.popleft() if session.messages else NOTHING

    def glance(self) -> None:
        """Read what is there, where nobody else does; the lock is held."""
        raise NotImplementedError

    def step(self) -> None:
        """Carry out what the session wants; the lock is held."""
        raise NotImplementedError
