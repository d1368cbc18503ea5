"""TLS sessions kept for the next connection."""

from __future__ import annotations

from fullduplex.core.tickets import Tickets


def test_session_is_kept_for_its_server_only() -> None:
    tickets: Tickets[str] = Tickets()
    tickets.put(("a", 1), "session")

    assert tickets.get(("a", 1)) == "session"
    assert tickets.get(("a", 2)) is None


def test_newest_session_takes_the_place_of_the_last() -> None:
    tickets: Tickets[str] = Tickets()
    tickets.put("a", "old")
    tickets.put("a", "new")
    tickets.put("a", None)

    assert tickets.get("a") == "new"
    assert len(tickets) == 1


def test_server_longest_unused_is_forgotten_first() -> None:
    tickets: Tickets[str] = Tickets(limit=2)
    tickets.put("a", "A")
    tickets.put("b", "B")
    tickets.get("a")
    tickets.put("c", "C")

    assert (tickets.get("a"), tickets.get("b"), tickets.get("c")) == ("A", None, "C")
