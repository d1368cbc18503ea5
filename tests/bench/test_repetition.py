"""Who takes part in which round, and what the rounds add up to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from bench.measure.repetition import rounds, turn
from bench.report import markdown, report
from bench.report.result import Result, as_json, from_json
from bench.rows.rows import compiled
from bench.rows.table import ROWS

[ROW] = [row for row in ROWS if row.name == "recv-text-64"]
ONE = replace(ROW, targets=(compiled("picows.websockets", 0.4),))
CLIENTS = ["fullduplex", "fullduplex-pure", "picows.websockets", "websockets", "bare"]


def figures(micros: float, probe: float = 0.003) -> dict[str, Any]:
    seconds = micros / 1e6 * ROW.operations
    return {"cpu": seconds, "wall": 2 * seconds, "probe": [probe, probe]}


def result(*pairs: tuple[float, float]) -> Result:
    """One row, with a round for each pair of costs: ours, the peer's."""
    found = Result(ONE, {}, {})
    for number, (ours, peer) in enumerate(pairs):
        found.add("fullduplex", number, figures(ours))
        found.add("picows.websockets", number, figures(peer))
    return found


def test_turn_when_rounds_pass_then_another_begins_and_all_take_part() -> None:
    orders = [turn(ROW, CLIENTS, number) for number in range(4)]
    assert all(sorted(order) == sorted(CLIENTS) for order in orders)
    assert len({order[0] for order in orders}) > 1


def test_turn_when_a_target_names_two_then_they_follow_each_other_both_ways() -> None:
    both = ["fullduplex", "picows.websockets"]
    seen = set()
    for number in range(8):
        order = turn(ROW, CLIENTS, number)
        places = [order.index(name) for name in both]
        assert abs(places[0] - places[1]) == 1
        seen.add(places[0] < places[1])
    assert seen == {True, False}


def test_rounds_when_a_target_is_not_settled_then_its_clients_go_on() -> None:
    found = Result(ONE, {}, {})
    costs = {"fullduplex": [0.3, 0.7], "picows.websockets": [1.0, 1.4], "bare": [0.1]}
    taken = []
    for number, order in rounds(found, list(costs), least=5, most=8):
        taken.append(set(order))
        for client in order:
            cost = costs[client][number % len(costs[client])]
            found.add(client, number, figures(cost))
    two = {"fullduplex", "picows.websockets"}
    assert taken == [*[two | {"bare"}] * 5, *[two] * 3]


def test_rounds_when_the_verdict_is_beyond_doubt_then_there_are_no_more() -> None:
    found = Result(ONE, {}, {})
    for number, order in rounds(found, CLIENTS, least=5, most=50):
        for client in order:
            found.add(client, number, figures(0.1 + number / 1000))
    assert {len(each) for each in found.rounds.values()} == {5}


def test_rounds_when_a_peer_cannot_run_then_nobody_waits_for_its_ratio() -> None:
    found = Result(ONE, {}, {"picows.websockets": "picows is not installed"})
    seen = []
    for number, order in rounds(found, CLIENTS, least=2, most=9):
        seen.append(number)
        assert "picows.websockets" not in order
        found.add("fullduplex", number, figures(0.3))
    assert seen == [0, 1]


def test_ratio_when_the_machine_changes_speed_then_it_stays_what_it_was() -> None:
    found = result((0.4, 1.0), (0.8, 2.0), (0.4, 1.0), (0.82, 2.0), (0.41, 1.0))
    ratio = found.ratio("fullduplex", "picows.websockets")
    assert ratio is not None
    assert ratio.value == pytest.approx(0.4)


def test_ratio_when_speed_changed_within_rounds_then_these_are_left_out() -> None:
    found = result(*[(0.4, 1.0)] * 5)
    for number in range(5, 9):
        found.add("fullduplex", number, figures(0.7, probe=0.005))
        found.add("picows.websockets", number, figures(1.0))
    ratio = found.ratio("fullduplex", "picows.websockets")
    assert ratio is not None
    assert ratio.value == pytest.approx(0.4)
    assert (ratio.rounds, ratio.measured) == (5, 9)


def test_ratio_when_one_has_more_rounds_then_they_are_paired_by_number() -> None:
    found = result((0.4, 1.0))
    found.add("fullduplex", 1, figures(9.0))
    found.add("picows.websockets", 2, figures(0.1))
    ratio = found.ratio("fullduplex", "picows.websockets")
    assert ratio is not None
    assert ratio.value == pytest.approx(0.4)
    assert ratio.measured == 1


def test_verdict_when_a_target_is_missed_then_it_says_how_sure_and_the_rounds() -> None:
    found = result((0.42, 1.0), (0.43, 1.0), (0.44, 1.0), (0.43, 1.0), (0.45, 1.0))
    [(kept, text)] = report.verdicts([found])
    assert not kept
    assert text.startswith("MISSED recv-text-64")
    assert text.endswith("is 0.43 ± 0.01 of picows.websockets, at most 0.40 (5 rounds)")


def test_verdict_when_the_limit_is_within_the_error_then_it_is_too_close() -> None:
    found = result((0.3, 1.0), (0.35, 1.0), (0.39, 1.0), (0.45, 1.0), (0.5, 1.0))
    [(kept, text)] = report.verdicts([found])
    assert kept
    assert "too close to call" in text


def test_json_when_it_is_read_again_then_the_rounds_still_belong_together() -> None:
    found = result((0.4, 1.0), (0.5, 1.0))
    found.add("fullduplex", 4, figures(0.6))
    [again] = from_json(json.loads(json.dumps(as_json([found], {}))))
    assert again.rounds == found.rounds


def test_json_when_it_is_an_old_file_then_rounds_are_numbered_by_place() -> None:
    written = as_json([result((0.4, 1.0), (0.6, 1.0), (0.5, 1.0))], {})
    for client in written["rows"][0]["clients"].values():
        for each in client["rounds"]:
            del each["round"], each["probe"]
    [again] = from_json(written)
    ratio = again.ratio("fullduplex", "picows.websockets")
    assert ratio is not None
    assert ratio.value == pytest.approx(0.5)
    assert ratio.rounds == 3


def test_markdown_when_rounds_were_left_out_then_the_cell_says_how_many() -> None:
    found = result(*[(0.3, 1.0)] * 5)
    found.add("fullduplex", 5, figures(0.7, probe=0.005))
    found.add("picows.websockets", 5, figures(1.0))
    allowed, text = markdown.verdict(found)
    assert allowed == "0.4 x picows.websockets"
    assert text == "0.300 ± 0.000 (5/6)"


def test_unsteady_when_probes_differ_by_half_then_there_is_a_warning() -> None:
    found = result((0.4, 1.0))
    assert not list(report.unsteady([found]))
    found.add("fullduplex", 1, figures(0.4, probe=0.0045))
    [warning] = report.unsteady([found])
    assert "from 3.0 to 4.5 ms" in warning
