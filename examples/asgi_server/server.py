"""A realtime transcription server as an ASGI application, with a stub recogniser.

It speaks the events of vLLM's ``/v1/realtime``. A real server puts its engine in the
place of `Stub`; the request handler, which the tests are about, stays the same.
"""

import base64
import binascii
import json
import time
import uuid

MODEL = "stub"
BYTES_PER_WORD = 16_000  # half a second of PCM16 audio at 16 kHz
WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")


class Stub:
    """Recognises one word in each half second of audio, whatever was said."""

    def __init__(self):
        self.heard = 0
        self.words = []

    def accept(self, audio):
        """Take audio; return the text that it adds."""
        self.heard += len(audio)
        delta = ""
        while len(self.words) < self.heard // BYTES_PER_WORD:
            word = WORDS[len(self.words) % len(WORDS)]
            delta += word if not self.words else f" {word}"
            self.words.append(word)
        return delta

    def result(self):
        """Return the whole text and the number of tokens of audio and text."""
        return " ".join(self.words), self.heard // 3200, len(self.words)


class Session:
    """One WebSocket session: takes events, yields events."""

    def __init__(self):
        self.model = None
        self.engine = Stub()
        self.started = False

    def handle(self, text):
        """Yield the answers to one event of the client."""
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            yield error("invalid_json", "the event is not JSON")
            return
        kind = event.get("type") if isinstance(event, dict) else None
        if kind == "session.update":
            yield from self.update(event)
        elif kind == "input_audio_buffer.append":
            yield from self.append(event)
        elif kind == "input_audio_buffer.commit":
            yield from self.commit(event)
        else:
            yield error("unknown_event", "the type of the event is not known")

    def update(self, event):
        if event.get("model") == MODEL:
            self.model = MODEL
        else:
            yield error("model_not_found", f"the only model is {MODEL}")

    def append(self, event):
        try:
            audio = base64.b64decode(event.get("audio"), validate=True)
        except (TypeError, ValueError, binascii.Error):
            yield error("invalid_audio", "audio is base64 of PCM16")
            return
        delta = self.engine.accept(audio)
        if delta:
            yield {"type": "transcription.delta", "delta": delta}

    def commit(self, event):
        if self.model is None:
            yield error("model_not_validated", "send session.update first")
        elif not event.get("final"):
            self.started = True
        elif self.started:
            text, heard, said = self.engine.result()
            usage = {
                "prompt_tokens": heard,
                "completion_tokens": said,
                "total_tokens": heard + said,
            }
            yield {"type": "transcription.done", "text": text, "usage": usage}
            self.engine = Stub()
            self.started = False


def error(code, message):
    """Return an error event."""
    return {"type": "error", "error": message, "code": code}


async def app(scope, receive, send):
    """Serve ``GET /v1/models`` and the WebSocket ``/v1/realtime``."""
    if scope["type"] == "http":
        await respond(scope, send)
    elif scope["type"] == "websocket":
        await receive()  # websocket.connect
        if scope["path"] != "/v1/realtime":
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        await converse(receive, send)


async def respond(scope, send):
    found = scope["path"] == "/v1/models"
    body = {"object": "list", "data": [{"id": MODEL}]} if found else {}
    headers = [(b"content-type", b"application/json")]
    status = 200 if found else 404
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def converse(receive, send):
    created = {
        "type": "session.created",
        "id": f"sess-{uuid.uuid4()}",
        "created": int(time.time()),
    }
    await send({"type": "websocket.send", "text": json.dumps(created)})
    session = Session()
    while (message := await receive())["type"] == "websocket.receive":
        for event in session.handle(message.get("text") or ""):
            await send({"type": "websocket.send", "text": json.dumps(event)})
