"""Hooks of both generations of the API, with one calling convention.

Older programs write ``process_request(path, headers)``, newer ones
``process_request(connection, request)``.  The parameters of a function tell which of
the two it is; it is never called to find out.  Results of hooks are brought to one form
as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import Any, TypeVar

from ..errors import InvalidHandshake
from ..frames.close import ConnectionClosed
from ..http.headers import Headers, HeadersLike
from ..http.messages import Response

T = TypeVar("T")
Hook = Callable[..., Any]


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
