"""Reports where the system has no room for another connection."""

from __future__ import annotations

from fullduplex.core.server.exhaustion import EPISODE, Exhaustion


def test_an_episode_is_reported_once_however_long_it_lasts() -> None:
    exhaustion = Exhaustion()

    assert exhaustion.begins(100)
    for now in range(101, 200):
        assert not exhaustion.begins(now)

    assert exhaustion.begins(199 + EPISODE)
    assert not exhaustion.begins(199 + EPISODE)
