"""Asking an HTTP proxy for a tunnel."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullduplex.core.client.proxy.address import parse_proxy
from fullduplex.core.client.proxy.http_tunnel import Tunnel
from fullduplex.core.errors import SecurityError
from fullduplex.core.handshake.errors import (
    InvalidProxyMessage,
    InvalidProxyStatus,
    ProxyError,
)
from fullduplex.core.http.messages import MAX_BODY_SIZE

OK = b"HTTP/1.1 200 OK\r\n\r\n"


def tunnel(address: str = "http://proxy:3128", host: str = "example.com") -> Tunnel:
    return Tunnel(
        parse_proxy(address), host, 443, reason="given as proxy", user_agent="agent"
    )


def refusal(data: bytes) -> InvalidProxyStatus:
    with pytest.raises(InvalidProxyStatus) as caught:
        tunnel().data_received(data)
    return caught.value


def test_request_asks_for_host_and_port() -> None:
    assert tunnel().request_bytes() == (
        b"CONNECT example.com:443 HTTP/1.1\r\n"
        b"Host: example.com:443\r\n"
        b"User-Agent: agent\r\n"
        b"\r\n"
    )


def test_request_has_the_credentials_of_the_proxy() -> None:
    request = tunnel("http://user:p%3Aw@proxy").request
    assert request.headers["Proxy-Authorization"] == "Basic dXNlcjpwOnc="
    assert "Authorization" not in request.headers


def test_request_writes_ipv6_addresses_in_brackets_and_without_zone() -> None:
    request = tunnel(host="fe80::1%eth0").request
    assert request.path == "[fe80::1]:443"


def test_request_without_user_agent_has_no_such_header() -> None:
    proxy = parse_proxy("http://proxy")
    for value in (None, ""):
        request = Tunnel(proxy, "a", 1, user_agent=value).request
        assert "User-Agent" not in request.headers


@pytest.mark.parametrize(
    "head",
    [
        OK,
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nVia: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
)
def test_any_2xx_opens_the_tunnel_whatever_it_says_of_a_body(head: bytes) -> None:
    asking = tunnel()
    for byte in head[:-1]:
        assert not asking.data_received(bytes([byte]))
    assert asking.data_received(head[-1:])
    assert asking.response is not None
    assert 200 <= asking.response.status_code < 300


def test_refusal_has_status_headers_body_and_the_proxy() -> None:
    exc = refusal(
        b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n"
        b"\r\nwhy"
    )
    assert exc.response.status_code == 407
    assert exc.response.headers["Proxy-Authenticate"] == "Basic"
    assert exc.response.body == b"why"
    assert str(exc) == (
        "proxy rejected connection: HTTP 407 (proxy http://proxy:3128, given as proxy)"
    )
    assert str(pickle.loads(pickle.dumps(exc))) == str(exc)


def test_refusal_whose_body_may_never_end_is_not_waited_for() -> None:
    exc = refusal(b"HTTP/1.1 502 Bad Gateway\r\nX: y\r\n\r\nparts")
    assert exc.response.body == b"parts"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 403 No\r\n\r\n",
        b"HTTP/1.1 403 No\r\nConnection: Close\r\n\r\n",
        b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\n",
    ],
)
def test_refusal_whose_body_ends_with_the_connection_is_read_to_the_end(
    head: bytes,
) -> None:
    asking = tunnel()
    assert not asking.data_received(head + b"bo")
    assert not asking.data_received(b"dy")
    with pytest.raises(InvalidProxyStatus) as caught:
        asking.eof_received()
    if b"Length" not in head:
        assert caught.value.response.body == b"body"


def test_refusal_counts_even_with_a_body_over_the_limit() -> None:
    head = b"HTTP/1.1 503 x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_SIZE + 1)
    exc = refusal(head + bytes(MAX_BODY_SIZE + 1))
    assert len(exc.response.body) == MAX_BODY_SIZE
    assert exc.response.status_code == 503
    assert isinstance(exc.__cause__, SecurityError)


def test_refusal_counts_whatever_its_status_and_may_be_cut() -> None:
    asking = tunnel()
    assert not asking.data_received(b"HTTP/1.0 600 x\r\n\r\nwh")
    assert asking.refused
    exc = asking.cut(TimeoutError("late"))
    assert isinstance(exc, InvalidProxyStatus)
    assert exc.proxy == "http://proxy:3128"
    assert (exc.response.status_code, exc.response.body) == (600, b"wh")
    assert isinstance(exc.__cause__, TimeoutError)


@pytest.mark.parametrize(
    "data",
    [
        b"\x05\x00\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200 OK\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n",
        b"x" * 9000,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200,
    ],
)
def test_what_is_no_http_is_refused_with_its_cause(data: bytes) -> None:
    with pytest.raises(InvalidProxyMessage, match="from the proxy") as caught:
        tunnel().data_received(data)
    assert isinstance(caught.value.__cause__, ValueError | SecurityError)
    assert caught.value.proxy == "http://proxy:3128"


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 2", OK[:-2]])
def test_end_in_the_middle_is_refused_with_its_cause(data: bytes) -> None:
    asking = tunnel()
    if data:
        asking.data_received(data)
    with pytest.raises(InvalidProxyMessage) as caught:
        asking.eof_received()
    assert isinstance(caught.value.__cause__, EOFError)


def test_bytes_behind_the_response_are_refused() -> None:
    with pytest.raises(ProxyError, match="the proxy sent 5 bytes after"):
        tunnel().data_received(OK + b"hello")


def test_end_of_an_open_tunnel_is_an_error_of_the_proxy() -> None:
    asking = tunnel()
    assert asking.data_received(OK)
    with pytest.raises(ProxyError, match="closed the tunnel"):
        asking.eof_received()


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50))
def test_any_bytes_give_a_tunnel_or_an_error_of_the_proxy(
    data: bytes, size: int
) -> None:
    asking = tunnel()
    error: ProxyError | None = None
    try:
        for start in range(0, len(data), size):
            if asking.data_received(data[start : start + size]):
                return
        asking.eof_received()
    except ProxyError as exc:
        error = exc
    assert error is not None
    assert error.proxy == "http://proxy:3128"
