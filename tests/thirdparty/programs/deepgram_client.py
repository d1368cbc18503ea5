"""Send audio with the SDK of Deepgram: ``deepgram_client.py URL``."""

import asyncio
import sys

import websockets
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment


async def main(url: str) -> None:
    print(websockets.__file__, websockets.__version__)
    environment = DeepgramClientEnvironment(
        base=url, production=url, agent=url, agent_rest=url
    )
    client = AsyncDeepgramClient(api_key="secret", environment=environment)
    async with client.listen.v1.connect(model="nova-3", encoding="linear16") as ws:
        opened = asyncio.Event()
        ws.on(EventType.OPEN, lambda _: opened.set())
        ws.on(EventType.MESSAGE, lambda message: print(type(message).__name__))
        ws.on(EventType.ERROR, lambda error: print("error", error))
        ws.on(EventType.CLOSE, lambda _: print("close"))
        listening = asyncio.create_task(ws.start_listening())
        await opened.wait()
        for _ in range(10):
            await ws.send_media(bytes(8000))
        await ws.send_close_stream()
        await listening
    try:
        async with client.listen.v1.connect(model="refused"):
            pass
    except ApiError as exc:
        print("refused", exc.status_code)


asyncio.run(main(sys.argv[1]))
