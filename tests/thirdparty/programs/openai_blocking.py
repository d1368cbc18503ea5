"""As ``openai_client.py``, with the SDK's blocking client."""

import base64
import sys

import websockets
from openai import OpenAI


def main(url: str) -> None:
    print(websockets.__file__, websockets.__version__)
    client = OpenAI(api_key="secret", websocket_base_url=url)
    with client.realtime.connect(model="a-model") as connection:
        connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"]}
        )
        connection.input_audio_buffer.append(
            audio=base64.b64encode(bytes(100_000)).decode()
        )
        connection.response.create()
        for event in connection:
            if event.type == "response.output_text.delta":
                print(event.delta, end="")
            elif event.type == "response.done":
                print()
                break
            else:
                print(event.type)
    print("closed")


main(sys.argv[1])
