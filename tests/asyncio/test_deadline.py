"""The deadline of opening does what `asyncio.timeout` does."""

from __future__ import annotations

import asyncio

import pytest

from fullduplex.asyncio._timeout import Deadline

pytestmark = pytest.mark.variants("two")


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("seconds", [0.01, 0, -1])
async def test_block_that_takes_too_long_times_out_and_the_task_goes_on(
    seconds: float,
) -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError) as caught, Deadline(loop, seconds):
        await forever()

    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)


@pytest.mark.parametrize("seconds", [None, 60])
async def test_block_that_ends_in_time_leaves_nothing_behind(
    seconds: float | None,
) -> None:
    with Deadline(asyncio.get_running_loop(), seconds):
        await asyncio.sleep(0)
    with pytest.raises(LookupError), Deadline(asyncio.get_running_loop(), seconds):
        raise LookupError


async def test_cancelling_from_outside_stays_a_cancellation() -> None:
    async def run() -> None:
        with Deadline(asyncio.get_running_loop(), 60):
            await forever()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelling_from_outside_wins_when_both_come_at_once() -> None:
    async def run() -> None:
        with Deadline(asyncio.get_running_loop(), 0):
            await forever()

    task = asyncio.create_task(run())
    await asyncio.sleep(0)
    # The deadline is due in this turn as well.
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_outer_timeout_is_told_from_the_deadline() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            try:
                with Deadline(asyncio.get_running_loop(), 60):
                    await forever()
            except TimeoutError:  # pragma: no cover - the wrong one
                pytest.fail("the deadline was not over")


def test_limit_without_a_task_is_refused() -> None:
    loop = asyncio.new_event_loop()
    try:
        Deadline(loop, None)
        with pytest.raises(RuntimeError, match="works in a task only"):
            Deadline(loop, 1)
    finally:
        loop.close()
