"""Programs that leave calls behind end as any other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

BEGINNING = """
    import asyncio, gc, sys, weakref
    import fullduplex

    async def handler(ws):
        await ws.wait_closed()

    async def opened():
        server = await fullduplex.serve(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        return server, await fullduplex.connect(f"ws://127.0.0.1:{port}/")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    server, ws = loop.run_until_complete(opened())

    async def waiting(calls):
        tasks = [loop.create_task(call) for call in calls]
        await asyncio.sleep(0.01)
        return tasks
"""
PROGRAMS = {
    "the program ends": """
        tasks = loop.run_until_complete(waiting([ws.recv()]))
    """,
    "the program ends with an iterator": """
        tasks = loop.run_until_complete(waiting([anext(aiter(ws))]))
    """,
    "the loop is dropped": """
        tasks = loop.run_until_complete(waiting([ws.recv()]))
        asyncio.set_event_loop(None)
        del tasks, ws, server, loop
        gc.collect()
    """,
    "the loop is closed": """
        tasks = loop.run_until_complete(waiting([ws.recv()]))
        loop.close()
        del tasks, ws
        gc.collect()
    """,
    "a cycle that the collector clears in any order": """
        class Holder: pass

        async def cycles():
            for _ in range(20):
                holder = Holder()
                holder.call = ws.recv()
                holder.call.send(None)
                holder.driver = ws._driver
                holder.itself = holder
                del holder
                gc.collect()

        loop.run_until_complete(cycles())
        del ws, server, loop
        asyncio.set_event_loop(None)
        gc.collect()
    """,
    "a call is made of nothing": """
        async def calls():
            for call in (ws.recv(), ws.send("x")):
                try:
                    type(call)().send(None)
                except Exception as exc:
                    print(repr(exc))
                call.close()

        loop.run_until_complete(calls())
    """,
    "a driver has lost its session": """
        async def lose():
            driver, call = ws._driver, ws.recv()
            call.send(None)
            driver.session = None
            for step in (
                driver.schedule_flush,
                driver.end_wait,
                driver.write_queued,
                lambda: driver.buffer_updated(1),
                lambda: driver.send_now("x"),
                lambda: ws.send("x").send(None),
                lambda: ws.recv().send(None),
                lambda: call.send(None),
                call.close,
            ):
                try:
                    step()
                except BaseException as exc:
                    print(repr(exc))

        loop.run_until_complete(lose())
    """,
}


@pytest.mark.parametrize("implementation", ["auto", "pure"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_that_leaves_calls_behind_ends(
    name: str, implementation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FULLDUPLEX_IMPL", implementation)
    program = textwrap.dedent(BEGINNING) + textwrap.dedent(PROGRAMS[name])

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr.replace("Task was destroyed", "")
