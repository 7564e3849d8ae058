"""Parity: under other conditions, the same clip must give the same text.

No reference transcript is needed. The server's texts of a clip sent alone, several
times, give its solo transcript (`pytest_realtime_asr.requirements.pseudo_reference`)
and the server's own noise. A text under the condition is different if it differs by
more than that noise and 5 % of the words. One different text may be chance: a clip
differs where two of three of its texts do, and the server differs where two of three of
all texts do. Where a clip has fewer than three texts under the condition and one of
them is different, nothing is decided.

A lost session has no text, and so no difference. Where two of three sessions are lost,
of a clip or of all, the test fails for that; where the lost ones would decide whether
the texts differ, nothing is decided.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.pseudo_reference import (
    SoloTranscript,
    at_equal_noise,
    not_random,
    solo_transcript,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

LEAST_ALONE = 2  # texts alone, without which the noise of a clip is not known
LEAST_TEXTS = 2  # texts under the condition, without which nothing is judged
REPEATS = 3  # texts of a clip, of which a single different one is chance


class Condition(enum.StrEnum):
    """The condition under which the clips are sent again."""

    CHUNK = "chunk"
    PACE = "pace"
    REPEAT = "repeat"
    CROWD = "crowd"


@dataclass(frozen=True, slots=True)
class LostSession:
    """A session without a final: ``how`` it was lost, in a word, and the reason."""

    how: str
    reason: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with its texts ``alone`` and under the condition (``then``)."""

    utterance: Utterance
    alone: tuple[str | LostSession, ...]
    then: tuple[str | LostSession, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A clip of which ``texts`` under the condition, of ``of``, are different."""

    solo: SoloTranscript
    texts: tuple[str, ...]
    of: int


@dataclass(frozen=True, slots=True)
class Losses:
    """Lost sessions: ``count`` of ``of``, and the first of them with its clip.

    ``alone`` says that the clips were sent alone.
    """

    count: int
    of: int
    utterance: str
    first: LostSession
    alone: bool


class Cause(enum.Enum):
    """Why a parity is undecided, or fails without a different text."""

    LOST = enum.auto()  # sessions under the condition were lost
    NOISE = enum.auto()  # the noise leaves too few clips
    UNKNOWN_NOISE = enum.auto()  # too few texts alone
    FEW_REPEATS = enum.auto()  # a different text may be chance


@dataclass(frozen=True, slots=True)
class Parity:
    """The result of a parity check under one condition.

    ``judged`` counts the clips that were judged, ``texts`` their texts under the
    condition, and ``lost`` the sessions without one. ``noise`` is in words, ``None``
    where it is not known. ``unused`` are the ids of the clips that could not be judged.
    ``cause`` says why the verdict is ``INCONCLUSIVE``, or that it is due to lost
    sessions; then ``losses`` holds these, and ``repeat`` the ids of the clips to send
    `REPEATS` times.
    """

    over: Condition
    verdict: Verdict
    judged: int
    texts: int
    lost: int
    noise: int | None
    differences: tuple[Difference, ...]
    unused: tuple[str, ...]
    cause: Cause | None = None
    losses: Losses | None = None
    repeat: tuple[str, ...] = ()


@dataclass(slots=True)
class _Counts:
    """What was found under the condition, by clip and of all clips.

    ``rows`` holds, for each clip and last for all, the counts of different texts, of
    lost sessions, and of sessions.
    """

    differences: list[Difference] = field(default_factory=list)
    few: list[str] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)


def judge(over: Condition, clips: Iterable[Clip]) -> Parity:
    """Judge whether clips have the same text under a condition as alone.

    Each clip is given once. ``FAIL`` where a clip differs, or the server, or where too
    many sessions are lost. A clip cannot be judged if it has fewer than `LEAST_ALONE`
    texts alone, or is too short for the noise. ``INCONCLUSIVE`` where that is so for
    more than half of the clips, where fewer than `LEAST_TEXTS` texts are left, or where
    a clip has a different text but fewer than `REPEATS` texts.
    """
    every = list(clips)
    alone = _solo_transcripts(every)
    known = at_equal_noise(alone)
    used = [clip for clip in every if clip.utterance.id in known and clip.then]
    judged = {clip.utterance.id for clip in used}
    counts = _count(used, known)
    _, lost, sessions = counts.rows[-1]
    verdict, cause = _verdict(counts, used=len(used), of=len(every), known=bool(alone))
    losses = None
    if cause is Cause.LOST:
        losses = _losses(used, alone=False)
    elif cause is Cause.UNKNOWN_NOISE:
        losses = _losses(every, alone=True)
    return Parity(
        over=over,
        verdict=verdict,
        judged=len(used),
        texts=sessions - lost,
        lost=lost,
        noise=max((each.noise for each in alone.values()), default=None),
        differences=tuple(counts.differences),
        unused=tuple(
            clip.utterance.id for clip in every if clip.utterance.id not in judged
        ),
        cause=cause,
        losses=losses,
        repeat=tuple(counts.few) if cause is Cause.FEW_REPEATS else (),
    )


def _solo_transcripts(clips: Iterable[Clip]) -> dict[str, SoloTranscript]:
    """Return the solo transcripts of the clips with enough texts alone."""
    found = {}
    for clip in clips:
        texts = [text for text in clip.alone if isinstance(text, str)]
        if len(texts) >= LEAST_ALONE:
            found[clip.utterance.id] = solo_transcript(clip.utterance, texts)
    return found


def _count(used: Iterable[Clip], known: Mapping[str, SoloTranscript]) -> _Counts:
    found = _Counts()
    for clip in used:
        solo = known[clip.utterance.id]
        texts = [text for text in clip.then if isinstance(text, str)]
        others = tuple(filter(solo.differs, texts))
        if others:
            found.differences.append(Difference(solo, others, len(clip.then)))
        found.rows.append((len(others), len(clip.then) - len(texts), len(clip.then)))
        if len(texts) - len(others) < len(clip.then) < REPEATS:
            found.few.append(clip.utterance.id)
    differ, lost, sessions = (sum(row[i] for row in found.rows) for i in range(3))
    found.rows.append((differ, lost, sessions))
    return found


def _verdict(
    counts: _Counts, *, used: int, of: int, known: bool
) -> tuple[Verdict, Cause | None]:
    """Return the verdict, for ``used`` of ``of`` clips; ``known`` is the noise."""
    sessions = counts.rows[-1][2]
    if any(not_random(others, of) for others, _, of in counts.rows):
        return Verdict.FAIL, None
    if any(not_random(lost, of) for _, lost, of in counts.rows):
        return Verdict.FAIL, Cause.LOST
    if any(not_random(others + lost, of) for others, lost, of in counts.rows):
        return Verdict.INCONCLUSIVE, Cause.LOST
    if sessions < LEAST_TEXTS or 2 * used < of:
        return Verdict.INCONCLUSIVE, Cause.NOISE if known else Cause.UNKNOWN_NOISE
    if counts.few:
        return Verdict.INCONCLUSIVE, Cause.FEW_REPEATS
    return Verdict.PASS, None


def _losses(clips: Sequence[Clip], *, alone: bool) -> Losses | None:
    sent = [
        (clip.utterance.id, text)
        for clip in clips
        for text in (clip.alone if alone else clip.then)
    ]
    lost = [(name, text) for name, text in sent if isinstance(text, LostSession)]
    if not lost:
        return None
    name, first = lost[0]
    return Losses(len(lost), len(sent), name, first, alone)
