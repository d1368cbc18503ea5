"""TLS sessions kept for the next connection."""

from __future__ import annotations

from fullduplex.core.client.tls_sessions import WINDOW, SessionCache


def test_session_is_kept_for_its_server_only() -> None:
    tickets: SessionCache[str] = SessionCache()
    tickets.put(("a", 1), "session", 0)

    assert tickets.get(("a", 1), 0) == "session"
    assert tickets.get(("a", 2), 0) is None


def test_newest_session_takes_the_place_of_the_last() -> None:
    tickets: SessionCache[str] = SessionCache()
    tickets.put("a", "old", 0)
    tickets.put("a", "new", 0)
    tickets.put("a", None, 0)

    assert tickets.get("a", 0) == "new"
    assert len(tickets) == 1


def test_server_longest_unused_is_forgotten_first() -> None:
    tickets: SessionCache[str] = SessionCache(limit=2)
    tickets.put("a", "A", 0)
    tickets.put("b", "B", 0)
    tickets.get("a", 0)
    tickets.put("c", "C", 0)

    found = [tickets.get(name, 0) for name in "abc"]
    assert found == ["A", None, "C"]


def test_session_is_used_again_within_the_window_only() -> None:
    tickets: SessionCache[str] = SessionCache()
    tickets.put("a", "session", 10)

    assert tickets.get("a", 10) == "session"
    assert tickets.get("a", 10 + WINDOW) == "session"
    assert tickets.get("a", 11 + WINDOW) is None
    assert len(tickets) == 0


def test_session_may_be_used_once_at_any_time() -> None:
    tickets: SessionCache[str] = SessionCache()
    tickets.put("a", "session", 10)

    assert tickets.get("a", 10_000) == "session"
    assert tickets.get("a", 10_000) is None


def test_new_session_needs_no_other() -> None:
    tickets: SessionCache[str] = SessionCache()
    assert not tickets.serves("a", 10)
    tickets.put("a", "session", 10)

    assert tickets.serves("a", 10 + WINDOW)
    assert not tickets.serves("a", 11 + WINDOW)
