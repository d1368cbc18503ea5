"""Hooks of both generations of the API behind one calling convention.

Older programs write ``process_request(path, headers)``, newer ones
``process_request(connection, request)``.  The parameters of a function tell which of
the two it is; it is never called to find out.  Results of hooks are brought to one form
as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from http import HTTPStatus
from typing import Any, TypeVar

from .datastructures import Headers, HeadersLike
from .errors import ConnectionClosed, InvalidHandshake
from .http1 import Request, Response

__all__ = [
    "HookError",
    "adapt_handler",
    "adapt_process_request",
    "adapt_process_response",
    "adapt_select_subprotocol",
    "as_response",
    "call_hook",
    "complete_response",
    "maybe",
    "only_closed",
    "waited",
]

T = TypeVar("T")
Hook = Callable[..., Any]

# Older names of the parameters; anything else is taken for the newer form.
OLD_FIRST = frozenset({"p", "uri", "url", "target"})
OLD_SECOND = frozenset({"h", "hdrs"})
OLD_LISTS = frozenset({"c", "s", "theirs", "ours", "offered", "offers"})


class HookError(Exception):
    """
    A hook of the application failed; the cause tells how.

    Args:
        hook: its name.
    """

    def __init__(self, hook: str) -> None:
        super().__init__(f"{hook} failed")
        self.hook = hook


def call_hook(name: str, hook: Callable[..., T], *args: Any) -> T:
    """
    Call a hook that does not wait.

    Raises:
        InvalidHandshake: the hook raised it, to refuse the handshake.
        HookError: the hook raised anything else, which is its cause; or a hook
            that it called did.
    """
    try:
        return hook(*args)
    except (InvalidHandshake, HookError):
        raise
    except Exception as exc:
        raise HookError(name) from exc


# Telling the forms apart


def _signature(hook: Hook) -> inspect.Signature | None:
    try:
        return inspect.signature(hook)
    except (TypeError, ValueError):
        return None  # some that are written in C do not tell


def _takes(hook: Hook, count: int) -> bool:
    signature = _signature(hook)
    if signature is None:
        return True
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        return False
    return True


def _words(hook: Hook) -> list[tuple[str, str]]:
    """Name and annotation of the first two positional parameters, as text."""
    signature = _signature(hook)
    found = []
    for parameter in () if signature is None else signature.parameters.values():
        if parameter.kind <= parameter.POSITIONAL_OR_KEYWORD:
            noted = parameter.annotation
            text = noted if isinstance(noted, str) else getattr(noted, "__name__", "")
            found.append((parameter.name.strip("_").lower(), text))
    return (found + [("", "")] * 2)[:2]


def _check(name: str, hook: Any, count: int, forms: str) -> None:
    if not callable(hook):
        raise TypeError(f"{name} must be a function, not {type(hook).__name__}")
    if not _takes(hook, count):
        raise TypeError(f"{name} must take {forms}")


def adapt_handler(handler: Any) -> Callable[[Any], Awaitable[None]]:
    """
    Make a handler take the connection, and nothing else.

    Args:
        handler: takes the connection, or the connection and the path.

    Raises:
        TypeError: it takes neither.
    """
    if not callable(handler):
        raise TypeError(f"handler must be a function, not {type(handler).__name__}")
    if _takes(handler, 1):
        return handler  # type: ignore[no-any-return]
    _check("handler", handler, 2, "one parameter, the connection")
    hook: Any = handler
    return lambda connection: hook(connection, connection.path)


def adapt_process_request(hook: Any) -> Callable[[Any, Request], Any] | None:
    """
    Make `process_request` take the connection and the request.

    Args:
        hook: takes ``(connection, request)`` or ``(path, headers)``.  A parameter
            whose name tells of a path or of headers marks the latter.

    Raises:
        TypeError: it takes neither.
    """
    if hook is None:
        return None
    _check("process_request", hook, 2, "(connection, request) or (path, headers)")
    (first, first_type), (second, second_type) = _words(hook)
    if "header" in second or second in OLD_SECOND or "Headers" in second_type:
        old = True
    elif "req" in second or "Request" in second_type or "Connection" in first_type:
        old = False
    else:
        old = "path" in first or first in OLD_FIRST or first_type == "str"
    if old:
        return lambda connection, request: hook(request.path, request.headers)
    return hook  # type: ignore[no-any-return]


def adapt_process_response(hook: Any) -> Callable[[Any, Request, Response], Any] | None:
    """
    Check `process_response`, which has one form.

    Raises:
        TypeError: it does not take ``(connection, request, response)``.
    """
    if hook is not None:
        _check("process_response", hook, 3, "(connection, request, response)")
    return hook  # type: ignore[no-any-return]


def adapt_select_subprotocol(
    hook: Any,
) -> Callable[[Any, list[Any], list[Any]], str | None] | None:
    """
    Make `select_subprotocol` take the connection and both lists.

    Args:
        hook: takes ``(connection, client_list)``, or ``(client_list, server_list)``
            and is then called only if neither is empty.

    Raises:
        TypeError: it takes neither.
    """
    if hook is None:
        return None
    _check("select_subprotocol", hook, 2, "(connection, client) or (client, server)")
    (first, first_type), (second, _) = _words(hook)
    old = (
        "server" in second
        or "available" in second
        or "supported" in second
        or "client" in first
        or "subprotocols" in first
        or {first, second} & OLD_LISTS != set()
        or first_type.lower().startswith(("list", "sequence"))
    )
    if not old:
        return lambda connection, client, server: hook(connection, client)
    return lambda connection, client, server: (
        hook(client, server) if client and server else None
    )


# Results of hooks


def as_response(name: str, value: Any) -> Response | None:
    """
    Bring what a hook returned to one form.

    Args:
        name: of the hook.
        value: None, a `Response`, or ``(status, headers, body)``.

    Raises:
        TypeError: it is none of these, or parts of it have a wrong type.
        ValueError: the status code is not in 100 to 599.
    """
    if value is None:
        return None
    if isinstance(value, Response):
        response = value
    elif isinstance(value, tuple) and len(value) == 3:
        response = _from_parts(*value)
    else:
        raise TypeError(
            f"{name} returned {type(value).__name__}; expected None, a Response or "
            "(status, headers, body)"
        )
    if response.body is None:
        response.body = b""
    if not isinstance(response.body, (bytes, bytearray, memoryview)):
        raise TypeError(
            f"{name} returned a body that is {type(response.body).__name__}; "
            "expected bytes"
        )
    if not isinstance(response.headers, Headers):
        response.headers = Headers(response.headers)
    if not 100 <= int(response.status_code) <= 599:
        raise ValueError(
            f"{name} returned status {int(response.status_code)}; "
            "allowed are 100 to 599"
        )
    return response


def _from_parts(status: Any, headers: HeadersLike, body: Any) -> Response:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    response = Response(int(status), phrase, Headers(headers), body)
    if "Content-Type" not in response.headers:
        response.headers["Content-Type"] = "text/plain; charset=utf-8"
    return response


def complete_response(response: Response, now_date: str) -> None:
    """Add what a response without upgrade needs and a hook may leave to us."""
    headers = response.headers
    if "Date" not in headers:
        headers["Date"] = now_date
    if "Connection" not in headers:
        headers["Connection"] = "close"
    if (
        response.status_code >= 200
        and response.status_code not in (204, 304)
        and "Content-Length" not in headers
        and "Transfer-Encoding" not in headers
    ):
        headers["Content-Length"] = str(len(response.body))


def only_closed(exc: BaseException) -> bool:
    """Whether an exception says nothing but that a connection was closed."""
    if isinstance(exc, BaseExceptionGroup):
        return all(only_closed(inner) for inner in exc.exceptions)
    return isinstance(exc, ConnectionClosed)


# For faces that can wait


async def maybe(value: Any) -> Any:
    """Wait for what a hook returned, if it was a coroutine function."""
    return await value if inspect.isawaitable(value) else value


async def waited(steps: Generator[Any, Any, T]) -> T:
    """Wait for what hooks return, until there is a result."""
    try:
        value = next(steps)
        while True:
            try:
                value = await maybe(value)
            except Exception as exc:
                value = steps.throw(exc)
            else:
                value = steps.send(value)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    finally:
        steps.close()
