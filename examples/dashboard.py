"""A live dashboard: the server draws a plot and pushes it to all open pages.

    python examples/dashboard.py [--host HOST] [--port PORT] [--interval SECONDS]

The plot is an SVG image, drawn once for everybody.  A page that cannot keep up
misses pictures instead of getting old ones.
"""

import argparse
import asyncio
import functools
import os
import signal
import time
from collections import deque

from fullduplex import Headers, Response, broadcast, serve

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Dashboard</title>
<style>body { font: 16px system-ui, sans-serif; margin: 2rem; }</style>
<h1>Load of this machine</h1>
<div id="plot">waiting for the first picture</div>
<script>
  const plot = document.getElementById("plot");
  function connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/`);
    socket.onmessage = ({ data }) => { plot.innerHTML = data; };
    socket.onclose = () => setTimeout(connect, 1000);
  }
  connect();
</script>
</html>
"""

WIDTH, HEIGHT, MARGIN = 640, 240, 40
SAMPLES = 60


def draw(values):
    """Draw values over their number as an SVG image."""
    top = max([1.0, *values]) * 1.1
    step = (WIDTH - 2 * MARGIN) / (SAMPLES - 1)
    points = " ".join(
        f"{WIDTH - MARGIN - step * age:.1f},"
        f"{HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN):.1f}"
        for age, value in enumerate(reversed(values))
    )
    now = values[-1] if values else 0.0
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<path d="M{MARGIN},{MARGIN} V{HEIGHT - MARGIN} H{WIDTH - MARGIN}" '
        'fill="none" stroke="#999"/>'
        f'<text x="{MARGIN - 6}" y="{MARGIN}" text-anchor="end">{top:.1f}</text>'
        f'<text x="{MARGIN - 6}" y="{HEIGHT - MARGIN}" text-anchor="end">0</text>'
        f'<text x="{WIDTH - MARGIN}" y="{MARGIN - 8}" text-anchor="end">'
        f"now {now:.2f}</text>"
        f'<polyline points="{points}" fill="none" stroke="#1f6feb" '
        'stroke-width="2"/></svg>'
    )


class Load:
    """CPU seconds per second of this process, and the machine's load average."""

    def __init__(self):
        self.values = deque(maxlen=SAMPLES)
        self._at = time.monotonic(), time.process_time()

    def sample(self):
        before, used = self._at
        now, total = self._at = time.monotonic(), time.process_time()
        own = (total - used) / max(now - before, 1e-9)
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        self.values.append(load + own)


async def push(server, interval):
    load = Load()
    while True:
        load.sample()
        broadcast(server.connections, draw(load.values), on_slow="drop")
        await asyncio.sleep(interval)


def page(connection, request):
    """Answer what is not a WebSocket handshake."""
    if "Upgrade" in request.headers:
        return None
    headers = Headers({"Content-Type": "text/html; charset=utf-8"})
    return Response(200, "OK", headers, PAGE)


async def watch(ws):
    await ws.wait_closed()


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--interval", type=float, default=1.0)
    options = parser.parse_args()
    async with serve(watch, options.host, options.port, process_request=page) as server:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, functools.partial(server.close, drain=5))
        port = server.sockets[0].getsockname()[1]
        print(f"dashboard at http://{options.host}:{port}/", flush=True)
        pushing = asyncio.create_task(push(server, options.interval))
        await server.wait_closed()
        pushing.cancel()


if __name__ == "__main__":
    asyncio.run(main())
