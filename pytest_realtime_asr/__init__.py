"""Tests realtime speech-recognition servers with pytest.

Every pytest run in this Python environment loads this package, since it contains the
plugin. To load fast, the package imports each public name only when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_realtime_asr.audio import Audio as Audio
    from pytest_realtime_asr.client.loss import Lost as Lost
    from pytest_realtime_asr.client.transcription import Transcription as Transcription
    from pytest_realtime_asr.corpus import Corpus as Corpus
    from pytest_realtime_asr.corpus import Utterance as Utterance
    from pytest_realtime_asr.corpus import Word as Word
    from pytest_realtime_asr.fake.process import FakeServer as FakeServer
    from pytest_realtime_asr.fake.recognisers.stub import (
        StubRecogniser as StubRecogniser,
    )
    from pytest_realtime_asr.load.capacity import Capacity as Capacity
    from pytest_realtime_asr.load.drain import Drain as Drain
    from pytest_realtime_asr.load.level import Level as Level
    from pytest_realtime_asr.load.soak import Soak as Soak
    from pytest_realtime_asr.perturb import babble as babble
    from pytest_realtime_asr.perturb import clipping as clipping
    from pytest_realtime_asr.perturb import dither as dither
    from pytest_realtime_asr.perturb import gain as gain
    from pytest_realtime_asr.perturb import lead_silence as lead_silence
    from pytest_realtime_asr.perturb import noise as noise
    from pytest_realtime_asr.perturb import packet_loss as packet_loss
    from pytest_realtime_asr.perturb import reverberation as reverberation
    from pytest_realtime_asr.perturb import speed as speed
    from pytest_realtime_asr.perturb import telephone as telephone
    from pytest_realtime_asr.run.realtime import Realtime as Realtime
    from pytest_realtime_asr.run.session import AsyncSession as AsyncSession
    from pytest_realtime_asr.run.session import Session as Session
    from pytest_realtime_asr.run.statistics import keyword_recall as keyword_recall
    from pytest_realtime_asr.trace.records import Trace as Trace
    from pytest_realtime_asr.trace.timeline import Timeline as Timeline
    from pytest_realtime_asr.verdicts.parity import Parity as Parity
    from pytest_realtime_asr.verdicts.verdict import (
        UndecidedWarning as UndecidedWarning,
    )

_HOMES = {
    "AsyncSession": "run.session.AsyncSession",
    "Audio": "audio.Audio",
    "Capacity": "load.capacity.Capacity",
    "Corpus": "corpus.Corpus",
    "Drain": "load.drain.Drain",
    "FakeServer": "fake.process.FakeServer",
    "Level": "load.level.Level",
    "Lost": "client.loss.Lost",
    "Parity": "verdicts.parity.Parity",
    "Realtime": "run.realtime.Realtime",
    "Session": "run.session.Session",
    "Soak": "load.soak.Soak",
    "StubRecogniser": "fake.recognisers.stub.StubRecogniser",
    "Timeline": "trace.timeline.Timeline",
    "Trace": "trace.records.Trace",
    "Transcription": "client.transcription.Transcription",
    "UndecidedWarning": "verdicts.verdict.UndecidedWarning",
    "Utterance": "corpus.Utterance",
    "Word": "corpus.Word",
    "babble": "perturb.babble",
    "clipping": "perturb.clipping",
    "dither": "perturb.dither",
    "gain": "perturb.gain",
    "keyword_recall": "run.statistics.keyword_recall",
    "lead_silence": "perturb.lead_silence",
    "noise": "perturb.noise",
    "packet_loss": "perturb.packet_loss",
    "reverberation": "perturb.reverberation",
    "speed": "perturb.speed",
    "telephone": "perturb.telephone",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
