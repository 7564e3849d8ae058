"""The sounds of a page: the clips of its worst sessions, compressed."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator

import soundfile

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.audio.pcm import Audio
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.report.page.chunks import block

MOST = 20  # clips of a page
LONGEST = 60.0  # s; a longer clip is left out, since the page must stay small
# Ogg Opus is smaller; libsndfile writes it only if it was built with it.
_CODEC = "OPUS" if "OPUS" in soundfile.available_subtypes("OGG") else "VORBIS"
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)  # Hz


class Clips:
    """Makes a data block for each clip of a page, but at most ``most`` blocks."""

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._seen: set[str] = set()

    def blocks(self, utterances: Iterable[Utterance]) -> Iterator[bytes]:
        """Yield a block for each clip that the page does not have yet."""
        for utterance in utterances:
            if self._left <= 0:
                return
            try:
                audio = utterance.audio
            except AudioError:
                continue  # the line of the session has the reason
            if audio.digest in self._seen or audio.seconds > LONGEST:
                continue
            self._seen.add(audio.digest)
            self._left -= 1
            yield block("clip", {"audio": audio.digest, "ogg": encoded(audio)})


def encoded(audio: Audio) -> str:
    """Return audio as an Ogg file in base64."""
    codec = _CODEC if audio.rate in _OPUS_RATES else "VORBIS"
    file = io.BytesIO()
    soundfile.write(file, audio.array, audio.rate, format="OGG", subtype=codec)
    return base64.b64encode(file.getvalue()).decode()
