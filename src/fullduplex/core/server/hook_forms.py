"""Signatures of hooks, those of websockets 10 among them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from ..http.messages import Request, Response
from .hooks import (
    Hook,
)

# Older names of the parameters; anything else is taken for the newer form.
OLD_FIRST = frozenset({"p", "uri", "url", "target"})
OLD_SECOND = frozenset({"h", "hdrs"})
OLD_LISTS = frozenset({"c", "s", "theirs", "ours", "offered", "offers"})


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
