"""Voice activity detection by energy; the fake server uses it to end turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FRAME = 0.01  # s
_ONSET = 3  # loud frames in a row that start speech
_LOUD = 300.0  # RMS of speech at a threshold of 1; full scale is 32768


@dataclass(frozen=True, slots=True)
class Detected:
    """The start and the end of speech that were detected in a piece of audio.

    Positions are in samples from the start of the session. ``start`` is the start of
    the padding before the speech. ``end`` is the end of the silence that follows the
    speech and ends the turn. A position is ``None`` if it was not detected in this
    piece. ``pcm`` is the audio to add to the turn.
    """

    start: int | None
    end: int | None
    pcm: bytes


class Detector:
    """A detector of speech: loud audio starts the speech, a period of silence ends it.

    Audio counts as speech if its loudness is above ``threshold``, which is from 0 to 1.
    ``padding`` and ``silence`` are in seconds. ``first`` is the position of the first
    sample. Audio is analysed in frames of 10 ms; an incomplete frame is kept until more
    audio comes.
    """

    def __init__(
        self,
        rate: int,
        *,
        threshold: float,
        padding: float,
        silence: float,
        first: int = 0,
    ) -> None:
        self._size = max(1, round(_FRAME * rate))
        self._loud = _LOUD * threshold
        self._padding = round(padding / _FRAME)
        self._silence = max(1, round(silence / _FRAME))
        self._place = first  # position of the next frame
        self._rest = b""  # audio that is not analysed yet
        self._before: list[bytes] = []  # frames that may belong to the next turn
        self._onset = 0
        self._quiet = 0
        self._speaking = False

    def detect(self, pcm: bytes) -> Detected:
        """Analyse more audio, but stop at the end of a turn.

        The audio after this end is kept for the next call.
        """
        audio = self._rest + pcm
        size = 2 * self._size
        speech: list[bytes] = []
        start = end = None
        done = 0
        while end is None and done + size <= len(audio):
            frame = audio[done : done + size]
            done += size
            self._place += self._size
            loud = _rms(frame) > self._loud
            if not self._speaking:
                self._before.append(frame)
                del self._before[: -(self._padding + _ONSET)]
                self._onset = self._onset + 1 if loud else 0
                if self._onset == _ONSET:
                    start = self._place - len(self._before) * self._size
                    speech, self._before = self._before, []
                    self._speaking, self._onset, self._quiet = True, 0, 0
                continue
            speech.append(frame)
            self._quiet = 0 if loud else self._quiet + 1
            if self._quiet == self._silence:
                end = self._place
                self._speaking = False
        self._rest = audio[done:]
        return Detected(start, end, b"".join(speech))


def _rms(frame: bytes) -> float:
    samples = np.frombuffer(frame, "<i2").astype(np.float64)
    return float(np.sqrt(np.mean(samples * samples)))
