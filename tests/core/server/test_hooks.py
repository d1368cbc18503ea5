"""Telling the forms of hooks apart, and what they return."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest

from fullduplex.core.errors import NegotiationError
from fullduplex.core.frames.close import ConnectionClosedError, ConnectionClosedOK
from fullduplex.core.http.headers import Headers
from fullduplex.core.http.messages import Request, Response
from fullduplex.core.server.hook_forms import (
    adapt_handler,
    adapt_process_request,
    adapt_process_response,
    adapt_select_subprotocol,
)
from fullduplex.core.server.hooks import (
    HookError,
    as_response,
    call_hook,
    complete_response,
    only_closed,
)

REQUEST = Request("/path", Headers({"Host": "a"}))
OLD, NEW = ("/path", REQUEST.headers), ("connection", REQUEST)


def typed_old(a: str, b: Headers) -> Any:
    return a, b


def typed_new(a: Any, b: Request) -> Any:
    return a, b


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        (lambda path, headers: (path, headers), OLD),
        (lambda path, request_headers: (path, request_headers), OLD),
        (lambda _path, _headers: (_path, _headers), OLD),
        (lambda path, _: (path, _), OLD),
        (lambda _, headers: (_, headers), OLD),
        (lambda request_path, h: (request_path, h), OLD),
        (typed_old, OLD),
        (lambda connection, request: (connection, request), NEW),
        (lambda ws, req: (ws, req), NEW),
        (lambda _, request: (_, request), NEW),
        (lambda a, b: (a, b), NEW),
        (lambda *args: args, NEW),
        (typed_new, NEW),
        (functools.partial(lambda x, path, headers: (path, headers), 1), OLD),
    ],
)
def test_process_request_is_called_in_its_own_form(
    hook: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    adapted = adapt_process_request(hook)
    assert adapted is not None
    assert adapted("connection", REQUEST) == arguments


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        (lambda client, server: (client, server), (["a"], ["b"])),
        (lambda client_list, server_list: (client_list, server_list), (["a"], ["b"])),
        (lambda offered, available: (offered, available), (["a"], ["b"])),
        (lambda client_subprotocols, _: (client_subprotocols, _), (["a"], ["b"])),
        (lambda connection, client: (connection, client), ("connection", ["a"])),
        (lambda ws, subprotocols: (ws, subprotocols), ("connection", ["a"])),
        (lambda _, names: (_, names), ("connection", ["a"])),
    ],
)
def test_select_subprotocol_is_called_in_its_own_form(
    hook: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    adapted: Any = adapt_select_subprotocol(hook)
    assert adapted("connection", ["a"], ["b"]) == arguments


def test_older_select_subprotocol_is_called_with_something_to_choose_only() -> None:
    adapted = adapt_select_subprotocol(lambda client, server: "x")
    assert adapted is not None
    assert adapted("connection", [], ["b"]) is None
    assert adapted("connection", ["a"], []) is None


class Connection:
    path = "/path"


@pytest.mark.parametrize(
    ("handler", "result"),
    [
        (lambda ws: ws.path, "/path"),
        (lambda ws, path="default": path, "default"),
        (lambda ws, path: path, "/path"),
        (lambda *args: len(args), 1),
        (functools.partial(lambda extra, ws, path: path, 1), "/path"),
        (operator.attrgetter("path"), "/path"),
    ],
)
def test_handler_is_called_with_what_it_takes(handler: Any, result: Any) -> None:
    assert adapt_handler(handler)(Connection()) == result


@pytest.mark.parametrize(
    ("adapt", "hook", "name"),
    [
        (adapt_handler, lambda: None, "handler"),
        (adapt_handler, "x", "handler"),
        (adapt_process_request, lambda request: None, "process_request"),
        (adapt_process_request, "x", "process_request"),
        (adapt_process_response, lambda request, response: None, "process_response"),
        (adapt_select_subprotocol, lambda names: None, "select_subprotocol"),
    ],
)
def test_hook_of_another_shape_is_refused(adapt: Any, hook: Any, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        adapt(hook)


def test_no_hook_stays_none() -> None:
    assert adapt_process_request(None) is None
    assert adapt_process_response(None) is None
    assert adapt_select_subprotocol(None) is None


@pytest.mark.parametrize(
    ("value", "status", "reason"),
    [
        ((HTTPStatus.OK, [], b"x"), 200, "OK"),
        ((404, {"A": "b"}, b"x"), 404, "Not Found"),
        ((299, Headers(), bytearray(b"x")), 299, ""),
        (Response(200, "Fine", Headers(), b"x"), 200, "Fine"),
    ],
)
def test_as_response_brings_all_forms_to_one(
    value: Any, status: int, reason: str
) -> None:
    response = as_response("process_request", value)
    assert response is not None
    assert (response.status_code, response.reason_phrase) == (status, reason)
    assert bytes(response.body) == b"x"


def test_as_response_lets_none_be_none_and_no_body_be_empty() -> None:
    assert as_response("process_request", None) is None
    empty: Any = Response(200, "OK", Headers(), None)  # type: ignore[arg-type]
    response = as_response("process_request", empty)
    assert response is not None
    assert response.body == b""


@pytest.mark.parametrize("value", [b"", 200, (200, []), (200, [], "text"), object()])
def test_as_response_names_the_hook_that_returned_something_else(value: Any) -> None:
    with pytest.raises(TypeError, match="process_request returned"):
        as_response("process_request", value)


def test_complete_response_adds_only_what_is_missing() -> None:
    response = Response(200, "OK", Headers(), b"abc")
    complete_response(response, "now")
    assert dict(response.headers) == {
        "date": "now",
        "connection": "close",
        "content-length": "3",
    }
    response = Response(204, "No Content", Headers({"Date": "then"}))
    complete_response(response, "now")
    assert dict(response.headers) == {"date": "then", "connection": "close"}


def test_call_hook_names_the_hook_that_failed() -> None:
    def fails(exc: Exception) -> None:
        raise exc

    with pytest.raises(HookError, match="mine failed") as raised:
        call_hook("mine", fails, KeyError("x"))
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(NegotiationError):
        call_hook("mine", fails, NegotiationError())
    with pytest.raises(HookError, match="inner failed"):
        call_hook("mine", fails, HookError("inner"))


def test_only_closed_looks_into_groups() -> None:
    closed = [ConnectionClosedOK(None, None), ConnectionClosedError(None, None)]
    assert only_closed(closed[0])
    assert only_closed(ExceptionGroup("", [closed[0], ExceptionGroup("", closed)]))
    assert not only_closed(ExceptionGroup("", [closed[0], ValueError()]))
    assert not only_closed(ValueError())
