"""Counting instructions: what Callgrind writes, and one count of its own."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace

import pytest
from bench.measure import callgrind, instructions
from bench.measure.instructions import Count, counted
from bench.measure.runner import Cores
from bench.rows.messages import flood
from bench.rows.table import ROWS

BY_NAME = {row.name: row for row in ROWS}

WRITTEN = """\
# callgrind format
events: Ir

ob=(1) /usr/lib/libc.so.6
fn=(1) memcpy
0 100

ob=(2) /usr/lib/libpython3.so
fn=(2) evaluate
0 10
cob=(1)
cfn=(1)
calls=3 0
0 90
cfn=(3) evaluate'2
calls=1 0
0 7
0 5

fn=(3)
0 2

totals: 117
"""


def test_functions_when_one_calls_another_then_each_has_its_own_instructions() -> None:
    found = callgrind.functions(WRITTEN)
    assert found == {"memcpy [libc.so.6]": 100, "evaluate [libpython3.so]": 17}


def test_counted_when_a_row_floods_then_all_runs_build_the_same_frames() -> None:
    row = counted(replace(BY_NAME["recv-binary-8k"], warmup=1))
    rests = {
        len(flood(replace(row, operations=k * row.operations)).rest) for k in (1, 2)
    }
    assert len(rests) == 1


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.measures == "cpu"])
def test_counted_when_a_row_is_long_then_it_is_shorter_and_in_whole_turns(
    name: str,
) -> None:
    row = BY_NAME[name]
    found = counted(row).operations
    assert found % (row.burst * row.connections) == 0
    assert 0 < found <= row.operations


def test_table_when_functions_are_asked_for_then_the_dearest_come_first() -> None:
    row = replace(BY_NAME["echo-256"], operations=10)
    costs = {"fullduplex": {"a [x]": 200, "b [x]": 600}, "picows": {"a [x]": 400}}
    found = {client: Counter(cost) for client, cost in costs.items()}
    lines = [line.split() for line in instructions.table(Count(row, found), 1)]
    assert lines[2:6] == [
        ["picows", "40", "2.00"],
        ["40", "a", "[x]"],
        ["fullduplex", "80", "1.00"],
        ["60", "b", "[x]"],
    ]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
@pytest.mark.timeout(240)
def test_count_when_a_socket_is_all_then_a_round_trip_takes_thousands() -> None:
    row = replace(BY_NAME["sync-echo-256"], operations=300, warmup=20)
    found = instructions.count(
        row, "bare", loop="asyncio", cores=Cores.choose(), files={}
    )
    assert 1_000 < found["functions"].total() / row.operations < 50_000
