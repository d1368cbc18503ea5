"""Talk to a realtime API with the SDK of OpenAI: ``openai_client.py URL``."""

import asyncio
import base64
import sys

import websockets
from openai import AsyncOpenAI


async def main(url: str) -> None:
    print(websockets.__file__, websockets.__version__)
    client = AsyncOpenAI(api_key="secret", websocket_base_url=url)
    async with client.realtime.connect(model="a-model") as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"]}
        )
        await connection.input_audio_buffer.append(
            audio=base64.b64encode(bytes(100_000)).decode()
        )
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hello"}],
            }
        )
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_text.delta":
                print(event.delta, end="")
            elif event.type == "response.done":
                print()
                break
            else:
                print(event.type)
    print("closed")


asyncio.run(main(sys.argv[1]))
