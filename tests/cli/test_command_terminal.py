"""The command in a terminal: prompt, history, and messages above the prompt."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="needs pseudo-terminals"
)

CTRL_A, CTRL_C, CTRL_D = "\x01", "\x03", "\x04"
UP = "\x1b[A"


def test_line_is_sent_and_echo_shown_then_ctrl_d_exits_0(
    server: Any, terminal: Any
) -> None:
    session = terminal(server.uri())
    session.expect(f"Connected to {server.uri()}")
    session.expect(">")
    session.type("hello\r")
    session.expect("< hello")
    session.type(CTRL_D)
    session.expect("Connection closed: 1000 (OK)")

    assert session.finish() == (0, "")
    assert server.messages.get(timeout=10) == "hello"
    assert server.closings.get(timeout=10) == (1000, "")


def test_ctrl_c_at_the_prompt_closes_normally(server: Any, terminal: Any) -> None:
    session = terminal(server.uri())
    session.expect(">")
    session.type(CTRL_C)

    assert session.finish() == (0, "")
    assert server.closings.get(timeout=10) == (1000, "")


def test_line_can_be_edited_before_it_is_sent(server: Any, terminal: Any) -> None:
    session = terminal(server.uri())
    session.expect(">")
    session.type("bc" + CTRL_A + "a\r")
    session.expect("< abc")
    session.type(CTRL_D)

    assert session.finish() == (0, "")


def test_history_is_kept_for_the_next_session(
    server: Any, terminal: Any, environment: dict[str, str]
) -> None:
    session = terminal(server.uri())
    session.expect(">")
    session.type("remember me\r")
    session.expect("< remember me")
    session.type(CTRL_D)
    session.finish()

    session = terminal(server.uri())
    session.expect(">")
    session.type(UP + "\r")
    session.expect("< remember me")
    session.type(CTRL_D)

    assert session.finish() == (0, "")
    history = Path(environment["XDG_STATE_HOME"], "fullduplex", "history")
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_history_that_cannot_be_written_is_no_error(
    server: Any, terminal: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")  # where a directory is wanted
    session = terminal(server.uri(), XDG_STATE_HOME=str(tmp_path / "file"))
    session.expect(">")
    session.type("hello\r")
    session.expect("< hello")
    session.type(CTRL_D)

    assert session.finish() == (0, "")


def test_message_that_arrives_while_typing_leaves_the_line_alone(
    server: Any, terminal: Any
) -> None:
    session = terminal(server.uri("/on-request"))
    session.expect(">")
    session.type("go\r" + "cl")
    session.expect("< message from the server")
    session.expect("> cl")
    session.type("ose\r")
    session.expect("Connection closed: 1000 (OK) as you wish")

    assert session.finish() == (0, "")


def test_server_that_goes_away_ends_the_prompt(server: Any, terminal: Any) -> None:
    session = terminal(server.uri("/close-1001"))
    session.expect("Connection closed: 1001 (going away) bye")

    assert session.finish() == (0, "")


def test_abnormal_end_gives_one_line_and_exit_1(server: Any, terminal: Any) -> None:
    session = terminal(server.uri("/close-4001-after-one"))
    session.expect(">")
    session.type("hello\r")
    status, errors = session.finish()

    assert status == 1
    assert errors.count("\n") == 1
    assert "4001" in errors
    assert "\x1b" not in errors


def test_binary_is_marked_and_shown_as_hex(server: Any, terminal: Any) -> None:
    session = terminal(server.uri("/binary"))
    session.expect(">")
    session.type("go\r")
    session.expect("< (binary) 001bff")
    session.type(CTRL_D)

    assert session.finish() == (0, "")


def test_control_characters_do_not_reach_the_terminal(
    server: Any, terminal: Any
) -> None:
    session = terminal(server.uri("/evil"))
    session.expect(">")
    session.type("go\r")
    session.expect(r"< \x1b]0;title\x07 \x9b31m \u202etxt\nnext")
    session.type(CTRL_D)
    session.finish()

    assert "\x1b]0;" not in session.raw
    assert "\x9b" not in session.raw
    assert "\u202e" not in session.raw


def test_json_is_coloured(server: Any, terminal: Any) -> None:
    session = terminal(server.uri("/json"))
    session.expect(">")
    session.type("go\r")
    session.expect('< {"name": "\\u202evalue", "list": [1, true, null]}')
    session.type(CTRL_D)
    session.finish()

    line = next(part for part in session.raw.split("\n") if "value" in part)
    assert '{"name"' not in line  # the key has a colour of its own
    assert "\x1b[" in line.partition("{")[2]


def test_json_has_no_colour_when_the_user_wants_none(
    server: Any, terminal: Any
) -> None:
    session = terminal(server.uri("/json"), NO_COLOR="1")
    session.expect(">")
    session.type("go\r")
    session.expect('"list"')
    session.type(CTRL_D)
    session.finish()

    assert not re.search(r"\x1b\[(\d+;)*[39][0-8][;m]", session.raw)


def test_long_message_is_cut_with_its_size(server: Any, terminal: Any) -> None:
    session = terminal(server.uri("/long"))
    session.expect(">")
    session.type("go\r")
    session.expect("(20,000 bytes in all)")
    session.type(CTRL_D)

    assert session.finish() == (0, "")
    assert session.text.count("é") == 4_000


def test_subprotocol_is_shown(server: Any, terminal: Any) -> None:
    session = terminal(server.uri(kind="chat"), "--subprotocol", "chat")
    session.expect("subprotocol chat")
    session.expect(">")
    session.type(CTRL_D)

    assert session.finish() == (0, "")
