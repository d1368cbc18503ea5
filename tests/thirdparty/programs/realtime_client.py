"""Join a channel with the realtime SDK of Supabase: ``realtime_client.py URL``."""

import asyncio
import logging
import sys
from typing import Any

import websockets
from realtime import AsyncRealtimeClient

logging.basicConfig(level=logging.ERROR)


async def main(url: str) -> None:
    print(websockets.__file__, websockets.__version__)
    client = AsyncRealtimeClient(url, "secret", initial_backoff=0.05)
    got: asyncio.Queue[Any] = asyncio.Queue()
    joined = asyncio.Event()
    channel = client.channel("room", {"config": {"broadcast": {"self": True}}})
    channel.on_broadcast("said", got.put_nowait)
    await channel.subscribe(lambda status, error: joined.set())
    await asyncio.wait_for(joined.wait(), 5)
    for number in range(3):
        await channel.send_broadcast("said", {"number": number})
        print((await asyncio.wait_for(got.get(), 5))["payload"])
    # The server leaves without a word; the SDK connects and joins again.
    await channel.send_broadcast("leave", {})
    async with asyncio.timeout(10):
        while True:
            try:
                await channel.send_broadcast("said", {"number": "again"})
                answer = await asyncio.wait_for(got.get(), 0.3)
                break
            except (TimeoutError, Exception):
                await asyncio.sleep(0.05)
    print(answer["payload"])
    await client.close()
    print("closed")


asyncio.run(main(sys.argv[1]))
