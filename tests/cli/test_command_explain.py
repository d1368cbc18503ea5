"""`fullduplex explain`: the story of connections that open, and of those that don't."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from .raw import mute, refusing


def test_story_of_a_connection_that_works(server: Any, run: Any) -> None:
    uri = server.uri("/x?a=1").replace("//", "//user:secret@")
    result = run("explain", uri, "-H", "Cookie: secret", "-H", "X-Mine: shown")

    assert result.returncode == 0
    assert result.stderr == ""
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert lines[0].startswith("connection OPEN, open for ")
    for line in (
        "GET /x?a=1 HTTP/1.1",
        "Authorization: [hidden]",
        "Cookie: [hidden]",
        "X-Mine: shown",
        "HTTP/1.1 101 Switching Protocols",
        "subprotocol  none",
        "extensions   permessage-deflate",
        "pings        1 sent, 1 answered",
        "verdict      alive",
    ):
        assert line in lines
    assert lines[-1].startswith("verdict: works: open after ")
    assert ", a ping was answered after " in lines[-1]
    assert "secret" not in result.stdout
    assert server.closings.get(timeout=10) == (1000, "")


def test_story_of_tls_and_a_subprotocol(server: Any, run: Any) -> None:
    tls = run("explain", server.uri(kind="tls"), "--insecure", "--no-compression")
    chat = run("explain", server.uri(kind="chat"), "--subprotocol", "chat")

    assert tls.returncode == chat.returncode == 0
    assert "version      TLSv1." in tls.stdout
    assert "certificate  not checked" in tls.stdout
    assert "extensions   none" in tls.stdout
    assert "subprotocol  chat" in chat.stdout


def test_certificate_that_is_not_trusted_is_a_failure(server: Any, run: Any) -> None:
    result = run("explain", server.uri(kind="tls"))

    assert result.returncode == 1
    assert "by           we, TLS" in result.stdout
    assert "certificate not accepted: " in result.stderr


def test_refusal_shows_the_answer(run: Any) -> None:
    with refusing() as uri:
        result = run("explain", uri)

    assert result.returncode == 1
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert f"asked        {uri}" in lines
    assert "HTTP/1.1 403 Forbidden" in lines
    assert "Set-Cookie: [hidden]" in lines
    assert "X-Why: quota" in lines
    assert "not today\\x1b[1m" in lines
    assert "because      the server answered HTTP 403 Forbidden" in lines
    assert result.stderr.endswith(
        "the server answered HTTP 403 Forbidden, expected 101\n"
    )


def test_web_server_is_told_apart(run: Any) -> None:
    page = b"HTTP/1.0 200 OK\r\nServer: SimpleHTTP\r\nContent-Length: 9\r\n\r\n<html"
    with refusing(page) as uri:
        result = run("explain", uri)

    assert result.returncode == 1
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert "HTTP/1.0 200 OK" in lines
    assert "by           peer, handshake" in lines
    [because] = [line for line in lines if line.startswith("because")]
    told = "a web server, not a WebSocket server (at this path)"
    assert f"the server answered HTTP/1.0 200 OK: {told}" in because
    assert "its body is not whole" in because
    assert result.stderr.endswith(
        f"the server answered HTTP/1.0 200 OK, expected 101: {told}\n"
    )


def test_nobody_there_is_a_failure(run: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = run("explain", f"ws://127.0.0.1:{free.getsockname()[1]}/")

    assert result.returncode == 1
    assert "by           peer, RST" in result.stdout
    assert result.stderr.endswith(": connection refused\n")


def test_server_that_answers_no_ping_still_works(run: Any) -> None:
    with mute() as uri:
        result = run("explain", uri)

    assert result.returncode == 0
    assert "but a ping was not answered within 3 s" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["localhost"], ["ws://a/", "--nonsense"]])
def test_wrong_usage_is_status_2(run: Any, arguments: list[str]) -> None:
    result = run("explain", *arguments)

    assert result.returncode == 2
    assert "Usage: fullduplex explain" in result.stderr
