"""The command between pipes: what is sent, what is printed, how it exits."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest


def test_line_is_sent_and_reply_printed_then_exit_is_0(server: Any, run: Any) -> None:
    result = run(server.uri(), input="hi\n")

    assert (result.returncode, result.stdout, result.stderr) == (0, "hi\n", "")
    assert server.closings.get(timeout=10) == (1000, "")


def test_each_line_is_one_message_whatever_its_end(server: Any, run: Any) -> None:
    result = run(server.uri(), input="one\r\n\nthree é 🦆\nno end")

    assert result.stdout == "one\n\nthree é 🦆\nno end\n"
    assert [server.messages.get(timeout=10) for _ in range(4)] == [
        "one",
        "",
        "three é 🦆",
        "no end",
    ]


def test_many_lines_come_back_in_order(server: Any, run: Any) -> None:
    lines = "".join(f"line {number}\n" for number in range(20_000))

    result = run(server.uri(), input=lines)

    assert (result.returncode, result.stdout) == (0, lines)


def test_line_longer_than_one_read_stays_one_message(server: Any, run: Any) -> None:
    line = "x" * 300_000 + "\n"

    result = run(server.uri(), input=line)

    assert (result.returncode, result.stdout) == (0, line)


def test_silent_server_is_left_after_the_quiet_period(server: Any, run: Any) -> None:
    result = run(server.uri("/silent"), "--wait", "0.05", input="hi\n")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert server.messages.get(timeout=10) == "hi"
    assert server.closings.get(timeout=10) == (1000, "")


def test_binary_reply_is_printed_as_hex(server: Any, run: Any) -> None:
    result = run(server.uri("/binary"), input="go\n")

    assert result.stdout == "001bff\n"


def test_control_characters_of_a_reply_are_escaped(server: Any, run: Any) -> None:
    result = run(server.uri("/evil"), input="go\n")

    assert result.stdout == r"\x1b]0;title\x07 \x9b31m \u202etxt\nnext" + "\n"


def test_json_reply_stays_the_same_json_on_one_line(server: Any, run: Any) -> None:
    result = run(server.uri("/json"), input="go\n")

    assert result.stdout == '{"name": "\\u202evalue", "list": [1, true, null]}\n'
    assert json.loads(result.stdout)["name"] == "\u202evalue"


def test_long_reply_is_whole_when_output_is_no_terminal(server: Any, run: Any) -> None:
    result = run(server.uri("/long"), input="go\n")

    assert result.stdout == "é" * 10_000 + "\n"


def test_server_that_goes_away_is_a_normal_end(server: Any, run: Any) -> None:
    result = run(server.uri("/close-1001"))

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_server_that_closes_ends_it_while_input_is_still_open(
    server: Any, environment: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "fullduplex", server.uri("/close-1001")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        assert process.wait(30) == 0


def test_abnormal_close_code_gives_one_line_and_exit_1(server: Any, run: Any) -> None:
    result = run(server.uri("/close-4001-after-one"), input="hi\n")

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "4001" in result.stderr
    assert "such thing" in result.stderr
    assert "\x1b" not in result.stderr


def test_cut_connection_gives_one_line_and_exit_1(server: Any, run: Any) -> None:
    result = run(server.uri("/abort-after-one"), input="hi\n")

    assert result.returncode == 1
    assert result.stderr.startswith("fullduplex: connection to ws://127.0.0.1:")
    assert result.stderr.count("\n") == 1


def test_refused_connection_gives_one_line_without_credentials(run: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        port = unused.getsockname()[1]
        result = run(f"ws://user:secret@127.0.0.1:{port}/x")

    assert result.returncode == 1
    assert result.stderr == (
        f"fullduplex: cannot connect to ws://***@127.0.0.1:{port}/x:"
        " connection refused\n"
    )


def test_server_that_speaks_no_http_gives_one_line(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-m", "fullduplex", f"ws://127.0.0.1:{port}/"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"220 \x1b[31mmail.example ESMTP\r\n\r\n")
                _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert errors.startswith(f"fullduplex: cannot connect to ws://127.0.0.1:{port}/: ")
    assert errors.count("\n") == 1
    assert "\x1b" not in errors


def test_unverified_certificate_is_refused_with_a_hint(server: Any, run: Any) -> None:
    result = run(server.uri(kind="tls"), input="hi\n")

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "--insecure" in result.stderr


def test_insecure_accepts_any_certificate(server: Any, run: Any) -> None:
    result = run(server.uri(kind="tls"), "--insecure", input="hi\n")

    assert (result.returncode, result.stdout, result.stderr) == (0, "hi\n", "")


def test_options_reach_the_handshake(server: Any, run: Any) -> None:
    result = run(
        server.uri(kind="chat"),
        "-H",
        "X-One: a: b",
        "-H",
        "Authorization:Bearer t",
        "--origin",
        "https://example.org",
        "--subprotocol",
        "chat",
        "--no-compression",
        "--wait",
        "0",
    )

    headers = server.headers.get(timeout=10)
    assert result.returncode == 0
    assert headers["X-One"] == "a: b"
    assert headers["Authorization"] == "Bearer t"
    assert headers["Origin"] == "https://example.org"
    assert headers["Sec-WebSocket-Protocol"] == "chat"
    assert "Sec-WebSocket-Extensions" not in headers


def test_compression_is_offered_by_default(server: Any, run: Any) -> None:
    run(server.uri(), "--wait", "0")

    headers = server.headers.get(timeout=10)
    assert headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["not-a-uri"],
        ["http://127.0.0.1/"],
        ["ws://127.0.0.1:99999/"],
        ["ws://127.0.0.1/#fragment"],
        ["ws://127.0.0.1/", "--no-such-option"],
        ["ws://127.0.0.1/", "-H", "no colon"],
        ["ws://127.0.0.1/", "-H", "name: a\r\nb: c"],
        ["ws://127.0.0.1/", "-H", "bad name: value"],
        ["ws://127.0.0.1/", "--origin", "a\nb"],
        ["ws://127.0.0.1/", "--subprotocol", "not a token"],
        ["ws://127.0.0.1/", "--insecure"],
        ["ws://127.0.0.1/", "--ping-interval", "-1"],
        ["ws://127.0.0.1/", "--wait", "nan"],
        ["ws://127.0.0.1/", "another"],
        ["demo", "--messages", "0"],
    ],
)
def test_wrong_usage_exits_2_before_anything_is_sent(
    run: Any, arguments: list[str]
) -> None:
    result = run(*arguments)

    assert result.returncode == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert "Error" in result.stderr or "Usage" in result.stderr


def test_password_in_a_uri_that_does_not_parse_is_not_shown(run: Any) -> None:
    result = run("http://user:to/ken@127.0.0.1/")

    assert result.returncode == 2
    assert "ken" not in result.stderr


def test_input_that_is_not_text_exits_2_and_names_the_line(
    server: Any, run: Any
) -> None:
    result = run(server.uri(), input=b"good\n\xff\xfe\n")

    assert result.returncode == 2
    assert "line 2 of standard input is not UTF-8" in result.stderr
    assert server.messages.get(timeout=10) == "good"
    assert server.closings.get(timeout=10) == (1000, "")


def test_closed_output_is_a_normal_end(
    server: Any, environment: dict[str, str]
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = subprocess.run(
        [sys.executable, "-m", "fullduplex", server.uri()],
        input=b"hi\n" * 100,
        stdout=write_end,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=30,
    )
    os.close(write_end)

    assert (result.returncode, result.stderr) == (0, b"")
    assert server.closings.get(timeout=10) == (1000, "")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupt_closes_the_connection_and_exits_130(
    server: Any, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fullduplex", server.uri()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"hi\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"hi\n"
        process.send_signal(signal.SIGINT)

        assert process.wait(30) == 130
        assert process.stderr.read() == b""
    assert server.closings.get(timeout=10) == (1001, "")
