"""Follow trades with python-binance: ``binance_client.py URL``."""

import asyncio
import sys

import websockets
from binance import AsyncClient, BinanceSocketManager


async def main(url: str) -> None:
    print(websockets.__file__, websockets.__version__)
    BinanceSocketManager.STREAM_URL = url + "/"
    client = AsyncClient()
    manager = BinanceSocketManager(client)
    async with manager.multiplex_socket(["btcusdt@trade", "ethusdt@trade"]) as stream:
        for _ in range(3):
            message = await stream.recv()
            print(message["stream"], message["data"]["p"])
        # The server breaks off; the SDK says so, connects and goes on.
        while "stream" not in (message := await stream.recv()):
            print(message["e"])
        print("again", message["data"]["p"])
    await client.close_connection()
    print("closed")


asyncio.run(main(sys.argv[1]))
