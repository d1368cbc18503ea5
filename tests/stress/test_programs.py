"""Programs that end, drop their loop, get signals or run out of descriptors."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fullduplex import IMPLEMENTATION

from .kit import FACES, LIMIT, LOST, Face, Subject, certificate, well_behaved

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="counts with /proc"),
    pytest.mark.timeout(180),
]

ROOT = Path(__file__).parents[2]
LOOPS = [face for face in FACES if face.program in ("asyncio", "uvloop")]

# Programs with a server and clients of their own, which leave things undone.
START = """
import asyncio, gc, os, sys, signal
from fullduplex import connect, serve

if sys.argv[1] == "uvloop":
    import uvloop
    new_loop = uvloop.new_event_loop
else:
    new_loop = asyncio.new_event_loop

async def echo(ws):
    async for message in ws:
        await ws.send(message)

async def open_both():
    server = await serve(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ws = await connect(f"ws://127.0.0.1:{port}/", proxy=None)
    await ws.send("hello")
    assert await ws.recv() == "hello"
    return server, ws
"""
PENDING = """
def pending(ws):
    async def iterate():
        async for _ in ws:
            pass
    return [asyncio.ensure_future(iterate()), asyncio.ensure_future(ws.wait_closed())]
"""
# A loop that is stopped, closed and dropped with everything on it, many times.
DROPPED = (
    START
    + PENDING
    + """
async def leave():
    server, ws = await open_both()
    left = [asyncio.ensure_future(ws.recv())] if number % 2 else pending(ws)
    await asyncio.sleep(0)
    return server, ws, left

for number in range(20):
    loop = new_loop()
    asyncio.set_event_loop(loop)
    kept = loop.run_until_complete(leave())
    if number % 4 < 2:
        loop.close()
    del kept, loop
    asyncio.set_event_loop(None)
    gc.collect()
print("well")
"""
)
# The program ends while a call waits.
ENDED = (
    START
    + """
async def main():
    server, ws = await open_both()
    task = asyncio.ensure_future(ws.recv())
    gathered = asyncio.gather(ws.wait_closed(), return_exceptions=True)
    await asyncio.sleep(0)
    globals().update(locals())

loop = new_loop()
loop.run_until_complete(main())
print("well")
"""
)
# So many signals that calls of the system are interrupted all the time.
SIGNALS = (
    START
    + """
count = 0
def on_alarm(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)

async def main():
    server, ws = await open_both()
    for number in range(1000):
        await ws.send(str(number) * 100)
        assert await ws.recv() == str(number) * 100
    await ws.close()
    server.close()
    await server.wait_closed()

loop = new_loop()
loop.run_until_complete(main())
signal.setitimer(signal.ITIMER_REAL, 0)
assert count > 20, count
print("well")
"""
)
# Ctrl-C while messages go to and fro: it comes through, once.
INTERRUPTED = (
    START
    + """
import threading
async def main():
    server, ws = await open_both()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        await ws.send("x")
        await ws.recv()

try:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("well")
"""
)
PROGRAMS = {
    "dropped": DROPPED,
    "ended": ENDED,
    "signals": SIGNALS,
    "interrupted": INTERRUPTED,
}
# What asyncio itself says of tasks that a program leaves undone.
ALLOWED = ("Task was destroyed but it is pending", "coroutine ignored GeneratorExit")


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("face", LOOPS, ids=lambda face: face.name)
def test_a_program_ends_by_itself(face: Face, name: str) -> None:
    face.require()
    try:
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", PROGRAMS[name], face.program],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            cwd=ROOT,
            env={**face.environment(), "PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired as expired:
        pytest.fail(f"it hangs; it wrote {expired.stderr!r}")
    assert done.returncode == 0, f"status {done.returncode}:\n{done.stderr[-6000:]}"
    assert done.stdout == "well\n"
    if name in ("signals", "interrupted"):
        assert not any(word in done.stderr for word in LOST), done.stderr
    assert "Fatal" not in done.stderr


# Descriptors


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
def test_a_server_without_descriptors_serves_those_it_has(
    face: Face, secure: bool, tmp_path: Path
) -> None:
    face.require()
    tls = certificate(tmp_path) if secure else None
    with Subject(face, tls, descriptors=60) as subject:
        before = subject.report()
        with well_behaved(subject):
            crowd = []
            for _ in range(100):
                sock = socket.socket()
                sock.settimeout(LIMIT)
                sock.connect(("127.0.0.1", subject.port))
                crowd.append(sock)
            time.sleep(1)
            for sock in crowd:
                sock.close()
            # Somebody new is served soon, too.  libuv closes a connection for which
            # it had no descriptor.
            until = time.monotonic() + LIMIT
            while True:
                hostile = subject.hostile()
                try:
                    peer = hostile.open("/echo")
                    break
                except OSError:
                    assert time.monotonic() < until
            peer.send(1, "hello")
            assert peer.read_until(1).payload == b"hello"
            hostile.reset()
        now = subject.settled(before)
        new = now["records"][len(before["records"]) :]
        # It says so, and not for each attempt, unless the listener is asyncio's own,
        # which tells of each place in its backlog.
        stock = face.pure or IMPLEMENTATION == "pure" or face.program == "uvicorn"
        assert len(new) < 150 or stock, new[:5]
        assert not new or any(word in "".join(new) for word in ("accept", "open files"))
        subject.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM])
@pytest.mark.parametrize("face", FACES, ids=lambda face: face.name)
def test_a_signal_ends_a_server_whatever_its_clients_do(
    face: Face, number: int
) -> None:
    face.require()
    with Subject(face, None) as subject:
        for path in ("/echo", "/never", "/echo", "/slow"):
            subject.hostile().open(path)
        subject.hostile().sock.sendall(b"GET / HT")
        stuck = subject.hostile(small=True)
        stuck.stuff(stuck.open("/echo").frame(2, bytes(60_000)), size=2**20)
        subject.stop()
