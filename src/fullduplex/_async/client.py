"""Base of `connect` on asyncio and trio: arguments, redirects, reconnecting."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from ..core.arguments import one_of
from ..core.client.backoff import (
    BACKOFF_FACTOR,
    BACKOFF_INITIAL_DELAY,
    BACKOFF_MAX_DELAY,
    BACKOFF_MIN_DELAY,
    Backoff,
)
from ..core.client.plan import ConnectPlan, Elsewhere, check_functions
from ..core.client.reconnect import (
    Reconnector,
    StateChange,
    delays_from,
    process_exception,
)
from ..core.client.redirect_steps import RedirectSteps
from ..core.client.redirects import display_uri
from ..core.diagnostics.connect_trace import ConnectTrace
from ..core.handshake.errors import InvalidStatus
from ..core.logs import check_logger
from ..core.typing import LoggerLike, PathLike

# The class below has an attribute of that name.
decide = process_exception


class AsyncConnect(RedirectSteps):
    """The part of ``connect`` that knows no event loop."""

    #: seconds; see `Backoff`
    BACKOFF_INITIAL = BACKOFF_INITIAL_DELAY
    BACKOFF_MIN = BACKOFF_MIN_DELAY
    BACKOFF_MAX = BACKOFF_MAX_DELAY
    BACKOFF_FACTOR = BACKOFF_FACTOR

    #: tells which failures may pass; may be set
    process_exception: Callable[[Exception], Exception | None]
    #: as it was given; what is set counts for the next loop
    reconnect_delays: Backoff | Callable[[], Iterator[float]] | None
    #: where reconnecting is logged; may be set
    logger: LoggerLike

    # The class of TLS contexts.
    _tls_context: type
    # The class of connections, unless the program has its own.
    _connection_class: Callable[..., Any]
    # A subclass may call `__init__` as late as when it is awaited.
    _plan: ConnectPlan | None = None
    _uri: str = ""
    _elsewhere: Elsewhere = None
    _unix_path: PathLike | None = None
    _on_state: Callable[[StateChange], Any] | None = None

    def _take_arguments(
        self,
        given: dict[str, Any],
        *,
        kwds: dict[str, Any],
        tls: dict[str, Any],
        elsewhere: Elsewhere,
    ) -> None:
        """
        Take the arguments of `connect`.

        Args:
            given: its parameters, by name.
            kwds: its other keywords.
            tls: arguments for TLS.
            elsewhere: as for `ConnectPlan`.

        Raises:
            InvalidURI, TypeError, ValueError: as `connect`.
        """
        check_functions(given)
        self._kwds = kwds
        self._tls_arguments = tls
        self._elsewhere = elsewhere
        self._make_plan(
            given["uri"],
            {name: given[name] for name in ConnectPlan.PARAMETERS},
        )
        self._create: Callable[..., Any] = (
            one_of(
                "create_protocol",
                given["create_protocol"],
                "create_connection",
                given["create_connection"],
            )
            or self._connection_class
        )
        self.process_exception = given["process_exception"]
        self.reconnect_delays = given["reconnect_delays"]
        self.logger = check_logger(given["logger"], "fullduplex.client")
        self._on_open = given["on_open"]
        self._on_state = given["on_state"]

    def _make_plan(self, uri: str, given: dict[str, Any]) -> None:
        plan = ConnectPlan(uri, given, elsewhere=self._elsewhere)
        plan.check_tls(self._tls_arguments, self._tls_context)
        self._plan, self._uri, self._keywords = plan, uri, given

    def _checked_plan(self) -> ConnectPlan:
        if self._plan is None:
            raise RuntimeError(
                f"{type(self).__qualname__} has not called super().__init__() yet"
            )
        return self._plan

    async def _attempt(self, plan: ConnectPlan, opening: ConnectTrace) -> Any:
        """Open a connection to `plan.uri`, or raise."""
        raise NotImplementedError

    async def _follow_redirects(self, plan: ConnectPlan, opening: ConnectTrace) -> Any:
        """Open a connection, along redirects; within the time for opening."""
        plan.begin()
        if plan.headers_factory is not None:
            headers = plan.headers_factory()
            if inspect.isawaitable(headers):
                headers = await headers
            plan.set_headers(headers)
        while True:
            try:
                return await self._attempt(plan, opening)
            except InvalidStatus as exc:
                if not plan.redirected(self._judged(exc)):
                    raise
                opening.redirected(display_uri(plan.uri))

    def _reconnector(self) -> Reconnector:
        return Reconnector(
            delays_from(self.reconnect_delays, self),
            lambda exc: self.process_exception(exc),
            # A subclass may not have called `__init__` yet.
            check_logger(vars(self).get("logger"), "fullduplex.client"),
            self._on_state,
        )


def unix_uri(
    path: PathLike | None, uri: str | None, kwds: dict[str, Any], sock: str
) -> str:
    """
    Return the URI of a `unix_connect` call.

    Args:
        sock: the parameter that takes an open socket or stream.

    Raises:
        ValueError: neither `path` nor that is given, or both.
        TypeError: ``host`` or ``port`` is given.
    """
    if (path is None) == (kwds.get(sock) is None):
        raise ValueError(f"give either path or {sock}")
    for name in ("host", "port"):
        if name in kwds:
            raise TypeError(f"unix_connect() takes no {name}")
    if uri is not None:
        return uri
    return "ws://localhost/" if kwds.get("ssl") is None else "wss://localhost/"


def unix_signature(connect: type) -> inspect.Signature:
    """Return the signature of `unix_connect`: `path`, and that of `connect`."""
    signature = inspect.signature(connect)
    path = inspect.Parameter(
        "path",
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation="PathLike | None",
    )
    uri, *others = signature.parameters.values()
    uri = uri.replace(default=None, annotation="str | None")
    return signature.replace(parameters=[path, uri, *others])
