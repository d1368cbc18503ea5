"""A chat: a web page and its WebSocket on one port.

    python examples/chat/server.py [--host HOST] [--port PORT]

A plain GET gets the page.  A message of a page, text or a file, goes to all pages.
"""

import argparse
import asyncio
import functools
import signal
from pathlib import Path

from fullduplex import Headers, Response, broadcast, serve

PAGE = Path(__file__).with_name("index.html").read_bytes()


def page(connection, request):
    """Answer what is not a WebSocket handshake."""
    if "Upgrade" in request.headers:
        return None
    if request.path != "/":
        return connection.respond(404, "Not found\n")
    headers = Headers({"Content-Type": "text/html; charset=utf-8"})
    return Response(200, "OK", headers, PAGE)


async def chat(ws):
    async for message in ws:
        # A client that does not read is closed in the end, and delays nobody until
        # then.
        broadcast(ws.server.connections, message)


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    async with serve(
        chat,
        options.host,
        options.port,
        process_request=page,
        max_size=16 * 2**20,
    ) as server:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # 1012: the service restarts; the pages come back.
            stop = functools.partial(server.close, code=1012, drain=5)
            loop.add_signal_handler(number, stop)
        port = server.sockets[0].getsockname()[1]
        print(f"chat at http://{options.host}:{port}/", flush=True)
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
