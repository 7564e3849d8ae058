"""A small client of vLLM's ``/v1/realtime``: the code under test."""

import base64
import json

from websockets.sync.client import connect

CHUNK = 3200  # bytes: 100 ms of PCM16 audio at 16 kHz


def transcribe(url, model, audio):
    """Return the text of PCM16 audio at 16 kHz."""
    address = url.replace("http", "ws", 1) + "/v1/realtime"
    with connect(address, proxy=None) as socket:
        expect(socket, "session.created")
        send(socket, {"type": "session.update", "model": model})
        send(socket, {"type": "input_audio_buffer.commit"})
        for start in range(0, len(audio), CHUNK):
            piece = base64.b64encode(audio[start : start + CHUNK]).decode()
            send(socket, {"type": "input_audio_buffer.append", "audio": piece})
        send(socket, {"type": "input_audio_buffer.commit", "final": True})
        return expect(socket, "transcription.done")["text"]


def send(socket, event):
    socket.send(json.dumps(event))


def expect(socket, kind):
    """Return the next event of this type; raise RuntimeError on an error event."""
    while (event := json.loads(socket.recv(timeout=10)))["type"] != kind:
        if event["type"] == "error":
            raise RuntimeError(event["error"])
    return event
