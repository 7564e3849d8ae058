"""What is done to a server so that its requirements show; judging is done elsewhere.

A scenario is held once in a process, and its traces serve all its requirements.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.ledger import Transcription
from pytest_realtime_asr.realtime import Realtime, Session
from pytest_realtime_asr.session import Lost
from pytest_realtime_asr.trace import Trace

ANSWER = 10.0  # s in which a refusal has to come
SETTLE = 0.3  # s after a final, in which nothing more should come


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a scenario gave: the trace of its session and the transcriptions in it."""

    trace: Trace
    takes: tuple[Transcription, ...] = ()


Scenario = Callable[[Realtime, Corpus], Evidence]


def utterance(realtime: Realtime, corpus: Corpus) -> Evidence:
    """One utterance, from its first frame to its final."""
    (clip,) = _clips(corpus, 1)
    (take,) = realtime.transcribe([clip])
    return Evidence(take.trace, (take,))


def utterances(realtime: Realtime, corpus: Corpus) -> Evidence:
    """Two different utterances, one after the other on one connection."""
    return _hold(realtime, lambda session: _speak(session, _clips(corpus, 2)))


def unknown_event(realtime: Realtime, corpus: Corpus) -> Evidence:
    """An event that no protocol knows, and an utterance after it."""
    return _refused(realtime, corpus, {"type": "realtime.asr.unknown"})


def bad_json(realtime: Realtime, corpus: Corpus) -> Evidence:
    """A text that is no JSON, and an utterance after it."""
    return _refused(realtime, corpus, '{"type": "session.update", ')


def early_commit(realtime: Realtime, corpus: Corpus) -> Evidence:
    """A commit before the session was set up, and an utterance after it."""
    return _refused(realtime, corpus, {"type": "input_audio_buffer.commit"})


SCENARIOS: Mapping[str, Scenario] = {
    "first-event": utterance,
    "order": utterances,
    "well-formed": utterances,
    "known-events": utterances,
    "unknown-event-refused": unknown_event,
    "bad-json-refused": bad_json,
    "early-commit-refused": early_commit,
    "deltas-add-up": utterances,
    "one-final": utterances,
    "usage-adds-up": utterances,
}
"""The scenario that provokes each requirement."""


def _clips(corpus: Corpus, count: int) -> list[Utterance]:
    """The shortest clips with different texts, in the order of the corpus."""
    spoken = {each.text: each for each in corpus if each.text}
    if len(spoken) < count:
        raise ValueError(f"the corpus {corpus.name} has fewer than {count} texts")
    return sorted(spoken.values(), key=lambda each: each.duration)[:count]


def _speak(session: Session, clips: list[Utterance]) -> tuple[Transcription, ...]:
    takes = []
    for clip in clips:
        takes.append(session.transcribe(clip))
        time.sleep(SETTLE)  # else a second final is that of the next utterance
    return tuple(takes)


def _refused(
    realtime: Realtime, corpus: Corpus, frame: Mapping[str, object] | str
) -> Evidence:
    def provoke(session: Session) -> tuple[Transcription, ...]:
        session.send_raw(frame)
        session.expect("error", timeout=ANSWER)
        session.configure()
        return _speak(session, _clips(corpus, 1))

    return _hold(realtime, provoke, configure=False)


def _hold(
    realtime: Realtime,
    act: Callable[[Session], tuple[Transcription, ...]],
    *,
    configure: bool = True,
) -> Evidence:
    """Act in a session; where the server loses it, the trace says how."""
    takes: tuple[Transcription, ...] = ()
    session: Session | None = None
    try:
        with realtime.connect(configure=configure) as session:
            takes = act(session)
    except Lost:
        if session is None:
            raise
    return Evidence(session.trace, takes)
