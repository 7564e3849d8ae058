"""The client's side of OpenAI's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from urllib.parse import quote

import msgspec

from pytest_realtime_asr.dialects.openai import session_setup
from pytest_realtime_asr.dialects.openai.events import COMMIT, DONE
from pytest_realtime_asr.dialects.openai.profile import Profile
from pytest_realtime_asr.text import encoded_bytes


class Caller:
    """The client's side of a session, which writes the events of the client.

    Each event except audio has an event id, which an error of the server can name.
    """

    binary = False
    headers: Mapping[str, str] = {}

    def __init__(
        self, profile: Profile, model: str, options: Mapping[str, object]
    ) -> None:
        self._profile = profile
        self.query = profile.query.replace("{model}", quote(model, safe=""))
        self._session = session_setup.written(model, options, profile)
        it = session_setup.audio_format(options.get("format"), profile)
        self.rate = session_setup.rate(it, profile.rates[0])
        self._law = session_setup.LAWS.get(it.type)
        turns = session_setup.detection(options.get("turn_detection"))
        self._detects = turns is not None
        self.tail = session_setup.longest(turns)
        self._numbers = count(1)

    def configure(self) -> Sequence[str]:
        return (self._event(self._profile.update, session=self._session),)

    def begin(self) -> Sequence[str]:
        return ()

    def append(self, pcm: bytes) -> bytes:
        data = pcm if self._law is None else self._law.encode(pcm)
        audio = encoded_bytes.base64(data)
        return b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'

    def finish(self) -> Sequence[str]:
        if self._detects:
            return ()
        kinds = (COMMIT, DONE) if self._profile.done else (COMMIT,)
        return tuple(self._event(kind) for kind in kinds)

    def _event(self, kind: str, **content: object) -> str:
        named = {"type": kind, "event_id": f"client_{next(self._numbers)}", **content}
        return msgspec.json.encode(named).decode()
