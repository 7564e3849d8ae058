"""Warms up a server by sessions whose times do not count.

The warm-up ends when the latencies of two finals agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.client.dialect_detection import silent_dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.probe import PATIENCE, sent_nothing
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.corpus import Corpus, CorpusError, Utterance
from pytest_realtime_asr.metrics.causality import PREMATURE
from pytest_realtime_asr.run.config import time_limits
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending, Sender

WARMUPS = 5  # the largest number of sessions
WARMUP_TIME = 300.0  # s for all sessions together
LONG_WARMUP = 5.0  # s; a longer warm-up is reported to the user
# Two latencies agree if they differ by at most one of these: a share, or ms.
AGREEMENT = 0.25
SAME_MS = 20.0


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The result of a warm-up.

    ``cold`` is the latency of the first final in ms. ``note`` tells the user about the
    warm-up, and is empty if there is nothing to tell. ``failed`` says that a session
    got no usable final. ``mute`` is a message if the server sent nothing at all, and
    otherwise empty.
    """

    cold: float | None = None
    note: str = ""
    failed: bool = False
    mute: str = ""


class _Failed(Exception):
    """A session of the warm-up has no usable final; the message says why.

    ``mute`` is a message if the server sent nothing at all, and otherwise empty.
    """

    def __init__(self, message: str, *, mute: str = "") -> None:
        super().__init__(message)
        self.mute = mute


def warm_up(
    loop: Loop,
    plan: Plan,
    corpus: Callable[[], Corpus],
    *,
    sessions: int | None,
    timeout: float,
    wait: float,
    progress: Callable[[str], None],
) -> WarmUp:
    """Warm up a server by sessions with the shortest utterance of a corpus.

    ``sessions`` is the number of sessions; with ``None``, sessions run until the
    latencies of two finals agree. ``timeout`` is the idle timeout in seconds. In the
    first session, each time limit is at least ``wait`` seconds. Raises `Unreachable` if
    the server refuses a session or speaks another dialect. Any other failure is
    described in the note of the result and not raised.
    """
    most = WARMUPS if sessions is None else sessions
    if not most:
        return WarmUp()
    try:
        clip = _shortest(corpus())
    except (AudioError, CorpusError) as error:
        return WarmUp(note=f"no warm-up: {error}")
    started = time.monotonic()
    finals: list[float] = []
    for number in range(1, most + 1):
        progress(f"warming up the server, session {number} with {clip.id}")
        left = max(WARMUP_TIME, wait) - (time.monotonic() - started)
        if left <= 0:
            break
        limits = time_limits(timeout, most=left, wait=0.0 if finals else wait)
        limited = replace(plan, limits=limits)
        try:
            finals.append(_final(loop, limited, clip))
        except _Failed as error:
            note = f"the warm-up failed: {error}"
            return WarmUp(note=note, failed=True, mute=error.mute)
        if sessions is None and len(finals) > 1 and _agree(*finals[-2:]):
            break
    took = time.monotonic() - started
    note = ""
    if took > LONG_WARMUP:
        ran = several(len(finals), "session")
        note = f"the warm-up took {took:.0f} s: {ran} with {clip.id}"
    return WarmUp(finals[0] if finals else None, note)


def _final(loop: Loop, plan: Plan, clip: Utterance) -> float:
    """Run one session and return the latency of its final in ms.

    Raises `Unreachable` if the server refuses the session or speaks another dialect,
    and `_Failed` if there is no usable final.
    """
    live = Live(loop, plan)
    take: Transcription = loop.run(run_utterance(live, clip))
    end = take.trace.end
    if end.how is Ending.REFUSED:
        raise Unreachable(end.reason, status=end.code)
    if live.misfit:
        raise Unreachable(live.misfit)
    # A session in which the server detects turns has no commit.
    for name in ("final_from_commit", "final_from_speech_end"):
        if (final := take.metrics[name]) is not None:
            break
    if final is None or name in take.premature:
        early = take.premature.get(name)
        hint = f"; {PATIENCE}" if end.how is Ending.DEADLINE else ""
        if early is not None:
            raise _Failed(PREMATURE[early])
        raise _Failed(f"{take.reason}{hint}", mute=silence(plan, take.recording))
    return final


def silence(plan: Plan, recording: Recording) -> str:
    """Return a message if a session timed out and the server had sent nothing, else "".

    The message names the dialects whose servers wait for the client to begin.
    """
    trace = recording.trace
    spoke = any(each.sender is Sender.SERVER for each in trace.records)
    ready = recording.timeline.ready is not None
    if spoke or ready or trace.end.how is not Ending.DEADLINE:
        return ""
    said = sent_nothing(plan.limits.ready)
    other = silent_dialects()
    advice = f"{PATIENCE}; {other}" if other else PATIENCE
    return f"{plan.access.target.shown}: {said}; {advice}"


def _shortest(corpus: Corpus) -> Utterance:
    """Return the shortest utterance with a reference transcript.

    Raises AudioError or CorpusError if the corpus cannot be read, and CorpusError if
    the corpus has no such utterance.
    """
    spoken = [utterance for utterance in corpus if utterance.text]
    if not spoken:
        raise CorpusError("no utterance of the corpus has a reference transcript")
    found = min(spoken, key=lambda utterance: utterance.duration)
    return replace(found, source=found.audio)


def _agree(one: float, other: float) -> bool:
    apart = abs(one - other)
    return apart <= SAME_MS or apart <= AGREEMENT * max(one, other)
