"""HTTP Basic authentication: who you are is known before the connection is open.

    python examples/auth.py [--host HOST] [--port PORT]

The users are ann (password "secret") and bob (password "swordfish").  Use TLS where
others can read along: the password travels with each handshake.
"""

import argparse
import asyncio
import functools
import signal

from fullduplex import basic_auth, serve

USERS = [("ann", "secret"), ("bob", "swordfish")]


async def greet(ws):
    await ws.send(f"hello, {ws.username}")
    async for message in ws:
        await ws.send(f"{ws.username}: {message}")


async def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    async with serve(
        greet,
        options.host,
        options.port,
        process_request=basic_auth("example", credentials=USERS),
    ) as server:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, functools.partial(server.close, drain=5))
        port = server.sockets[0].getsockname()[1]
        print(f"server at ws://{options.host}:{port}/", flush=True)
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
