"""The corpora that come with the package: synthesised speech, and odd audio."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from pytest_realtime_asr.audio import Audio, from_float, join, silence
from pytest_realtime_asr.corpus import nemo
from pytest_realtime_asr.corpus.collection import collect
from pytest_realtime_asr.corpus.utterance import Corpus, Utterance, Word

PREFIX = "bundled:"
BUNDLED = ("english", "languages", "odd")
_FOLDER = Path(__file__).parent / "bundled"
_ODD_RATE = 16000


def names() -> str:
    """Return the specs of all bundled corpora, separated by commas."""
    return ", ".join(f"{PREFIX}{name}" for name in BUNDLED)


def bundled(name: str) -> Corpus:
    """Return the bundled corpus of a spec such as ``bundled:english``."""
    which = name.removeprefix(PREFIX)
    if which == "odd":
        found = Corpus(name, _odd())
    else:
        found = collect(name, nemo.read(_FOLDER / f"{which}.jsonl"), seconds=0)
    return found.map(lambda utterance: replace(utterance, synthetic=True))


def _odd() -> tuple[Utterance, ...]:
    """Return the odd audio: utterances without speech, and one very long utterance."""
    noise = np.random.default_rng(30).standard_normal(3 * _ODD_RATE)
    return (
        Utterance("silence", "", silence(3.0, rate=_ODD_RATE), language="en"),
        Utterance(
            "noise", "", from_float(noise * 10 ** (-30 / 20), _ODD_RATE), language="en"
        ),
        Utterance("tone", "", _tone(2.0), language="en"),
        Utterance("blip", "", _tone(0.06), language="en"),
        _long(bundled(f"{PREFIX}english")),
    )


def _tone(seconds: float) -> Audio:
    """Return a tone of 440 Hz."""
    times = np.arange(round(seconds * _ODD_RATE)) / _ODD_RATE
    return from_float(0.3 * np.sin(2 * math.pi * 440 * times), _ODD_RATE)


def _long(english: Corpus) -> Utterance:
    """Return more than 30 s of speech; many recognisers cut their input at 30 s."""
    pause = silence(0.5, rate=_ODD_RATE)
    parts: list[Audio] = []
    words: list[Word] = []
    texts: list[str] = []
    at = 0.0
    spoken = itertools.cycle(english)
    while at < 31:
        utterance = next(spoken)
        audio = utterance.audio.resample(_ODD_RATE)
        parts += [audio, pause]
        texts.append(utterance.text)
        words += [Word(w.text, at + w.start, at + w.end) for w in utterance.words]
        at += audio.seconds + pause.seconds
    return Utterance(
        "long", " ".join(texts), join(*parts), words=tuple(words), language="en"
    )
