"""One session of vLLM's ``/v1/realtime``: events in, events out, without a socket."""

import base64
import json
import time
import uuid

MODEL = "stub"
RATE = 16_000  # Hz
TOKENS_PER_SECOND = 12.5  # of audio


class Session:
    """Answers the events of one client; ``recogniser`` turns its audio into text."""

    def __init__(self, recogniser):
        self.recogniser = recogniser
        self.model = None
        self.early = []  # audio before the next utterance
        self.stream = None  # the open utterance
        self.samples = 0

    def open(self):
        """Return the first event."""
        session = f"sess-{uuid.uuid4()}"
        return {"type": "session.created", "id": session, "created": int(time.time())}

    def handle(self, text):
        """Yield the answers to one frame; the text of a binary frame is ``None``."""
        try:
            event = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
            answers = {
                "session.update": self.update,
                "input_audio_buffer.append": self.append,
                "input_audio_buffer.commit": self.commit,
            }[event["type"]]
        except (KeyError, TypeError, IndexError):
            yield error("unknown_event", "the frame has no event of a known type")
        except (ValueError, RecursionError):
            yield error("invalid_json", "the event is not JSON")
        else:
            yield from answers(event)

    def update(self, event):
        if not isinstance(event.get("model"), str):
            yield error("invalid_event", "session.update has no model")
        elif event["model"] != MODEL:
            yield error("model_not_found", f"the only model is {MODEL}")
        else:
            self.model = MODEL

    def append(self, event):
        try:
            pcm = base64.b64decode(event["audio"], validate=True)
        except (KeyError, TypeError, ValueError):
            pcm = b""
        if not pcm or len(pcm) % 2:
            yield error("invalid_audio", "audio is base64 of PCM16")
        elif self.stream is None:
            self.early.append(pcm)
        else:
            yield from self.hear(pcm)

    def commit(self, event):
        final = event.get("final", False)
        if not isinstance(final, bool):
            yield error("invalid_event", "final is true or false")
        elif self.model is None:
            yield error("model_not_validated", "send session.update first")
        elif final:
            if self.early:  # no commit had started this audio
                yield from self.begin()
            if self.stream is not None:
                yield from self.finish()
        elif self.stream is None:
            yield from self.begin()

    def begin(self):
        self.stream = self.recogniser.listen(rate=RATE)
        self.samples = 0
        for pcm in self.early:
            yield from self.hear(pcm)
        self.early.clear()

    def hear(self, pcm):
        self.samples += len(pcm) // 2
        if delta := self.stream.feed(pcm):
            yield {"type": "transcription.delta", "delta": delta}

    def finish(self):
        stream, self.stream = self.stream, None
        if delta := stream.finish():
            yield {"type": "transcription.delta", "delta": delta}
        heard = round(self.samples / RATE * TOKENS_PER_SECOND)
        said = len(stream.text.split())
        usage = {
            "prompt_tokens": heard,
            "completion_tokens": said,
            "total_tokens": heard + said,
        }
        yield {"type": "transcription.done", "text": stream.text, "usage": usage}


def error(code, message):
    """Return an error event."""
    return {"type": "error", "error": message, "code": code}


def refuse(constant):
    """Refuse NaN and Infinity, which Python's parser accepts."""
    raise ValueError(f"{constant} is not JSON")


def unique(pairs):
    """Return the fields of an object; refuse a field that is stated twice."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is stated twice")
    return dict(pairs)
