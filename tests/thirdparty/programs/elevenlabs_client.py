"""Speak and listen with the SDK of ElevenLabs: ``elevenlabs_client.py URL``."""

import asyncio
import logging
import sys
import threading
from typing import Any

import websockets
from elevenlabs.client import ElevenLabs
from elevenlabs.conversational_ai.conversation import AsyncConversation, Conversation
from elevenlabs.realtime import AudioFormat, RealtimeEvents
from elevenlabs.realtime.scribe import ScribeRealtime

logging.basicConfig(level=logging.ERROR)


def speak(client: ElevenLabs, url: str) -> None:
    speech: Any = client.text_to_speech
    speech._ws_base_url = url  # which it wants to be wss
    words = iter(["Hello ", "world. ", "Bye."])
    print(b"".join(speech.convert_realtime("voice", text=words, model_id="m")))
    try:
        print(list(speech.convert_realtime("refused", text=iter(["a "]), model_id="m")))
    except Exception as exc:
        print(type(exc).__name__, getattr(exc, "status_code", exc))


def talk(client: ElevenLabs) -> None:
    answers: list[str] = []
    answered = threading.Event()

    def take(text: str) -> None:
        answers.append(text)
        answered.set()

    conversation = Conversation(
        client,
        "agent",
        requires_auth=False,
        callback_agent_response=take,
        callback_disconnect=lambda details: print("disconnected", details.reason),
    )
    conversation.start_session()
    assert answered.wait(5)
    answered.clear()
    conversation.send_user_message("how are you?")
    assert answered.wait(5)
    conversation.end_session()
    print(conversation.wait_for_session_end(), answers)


async def talk_later(client: ElevenLabs) -> None:
    answers: asyncio.Queue[str] = asyncio.Queue()

    async def take(text: str) -> None:
        answers.put_nowait(text)

    conversation = AsyncConversation(
        client, "agent", requires_auth=False, callback_agent_response=take
    )
    await conversation.start_session()
    print(await asyncio.wait_for(answers.get(), 5))
    await conversation.send_user_message("end")
    # The server closes.
    print(await asyncio.wait_for(conversation.wait_for_session_end(), 5))


async def listen(url: str) -> None:
    scribe = ScribeRealtime("secret", url)
    options: Any = {
        "model_id": "scribe",
        "audio_format": AudioFormat.PCM_16000,
        "sample_rate": 16000,
    }
    connection = await scribe.connect(options)
    texts: asyncio.Queue[str] = asyncio.Queue()
    closed = asyncio.Event()
    connection.on(
        RealtimeEvents.COMMITTED_TRANSCRIPT, lambda data: texts.put_nowait(data["text"])
    )
    connection.on(RealtimeEvents.CLOSE, lambda details: print(details))
    connection.on(RealtimeEvents.CLOSE, closed.set)
    await connection.send({"audio_base_64": "AAAA"})
    await connection.commit()
    print(await asyncio.wait_for(texts.get(), 5))
    await connection.close()
    await asyncio.wait_for(closed.wait(), 5)


print(websockets.__file__, websockets.__version__)
url = sys.argv[1]
client = ElevenLabs(api_key="secret", base_url=url.replace("ws", "http", 1))
speak(client, url)
talk(client)
asyncio.run(talk_later(client))
asyncio.run(listen(url))
