"""Parity: under another condition, the server must give the same text for a clip.

No reference transcript is needed. Each clip is first sent alone, several times. These
texts give the solo transcript of the clip
(`pytest_realtime_asr.requirements.pseudo_reference`) and the own variation (``noise``):
the number of words by which the server's own texts of a clip differ. A text under the
condition is different if it differs from the solo transcript by more than the own
variation plus a margin, which is 5 % of the words, but at least one word. A single
different text may be due to chance. So a clip differs only if at least two thirds of
its texts are different, and the server differs only if at least two thirds of all texts
are different; in both cases, at least two texts must be different. If a clip has fewer
than three sessions under the condition, and one of its texts is different or missing,
the verdict is INCONCLUSIVE.

A lost session has no text, and so no difference. If at least two thirds of the sessions
of a clip, or of all sessions, are lost, the test fails for this reason. The verdict is
INCONCLUSIVE if a clip or the server would differ when each lost session counted as a
different text.
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

LEAST_ALONE = 2  # texts of a clip sent alone that are needed to know its variation
LEAST_SESSIONS = 2  # sessions under the condition that are needed for a verdict
REPEATS = 3  # sessions of a clip of which one different text is attributed to chance


class Condition(enum.StrEnum):
    """The condition under which the clips are sent again."""

    CHUNK = "chunk"
    PACE = "pace"
    REPEAT = "repeat"
    CROWD = "crowd"


@dataclass(frozen=True, slots=True)
class LostSession:
    """A session without a final; ``how`` is a word such as ``hung``."""

    how: str
    reason: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with its texts.

    ``alone`` are its texts when it was sent alone, and ``then`` its texts under the
    condition.
    """

    utterance: Utterance
    alone: tuple[str | LostSession, ...]
    then: tuple[str | LostSession, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A clip whose ``texts`` differ from its solo transcript.

    ``texts`` has only the different texts. ``of`` is the number of sessions of the clip
    under the condition, including lost sessions.
    """

    solo: SoloTranscript
    texts: tuple[str, ...]
    of: int


@dataclass(frozen=True, slots=True)
class Losses:
    """The number of lost sessions (``count``) and of all sessions (``of``).

    ``first`` is the first lost session, and ``utterance`` the id of its clip. ``alone``
    is true for sessions that sent the clips alone, false for sessions under the
    condition.
    """

    count: int
    of: int
    utterance: str
    first: LostSession
    alone: bool


class Cause(enum.Enum):
    """The reason why a parity check is undecided, or fails without a different text."""

    LOST = enum.auto()  # sessions under the condition were lost
    NOISE = enum.auto()  # too few sessions, or clips that are long enough
    UNKNOWN_NOISE = enum.auto()  # too few texts of clips sent alone
    FEW_REPEATS = enum.auto()  # a different or missing text may be chance


@dataclass(frozen=True, slots=True)
class Parity:
    """The result of a parity check under one condition.

    ``judged`` is the number of clips that were judged. ``texts`` is the number of their
    texts under the condition. ``lost`` is the number of their sessions without a text.
    ``noise`` is the own variation in words; ``None`` if it is not known. ``unused`` are
    the ids of the clips that could not be judged. ``cause`` says why the verdict is
    ``INCONCLUSIVE``, or that it is ``FAIL`` because of lost sessions. ``losses``
    describes the lost sessions if they are the cause. ``repeat`` are the ids of the
    clips that must be sent `REPEATS` times for a verdict.
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
    """The counts of texts and sessions under the condition.

    ``rows`` holds the numbers of different texts, of lost sessions and of all sessions:
    a row for each clip, and a last row with the sums. ``few`` are the ids of the clips
    that have a different or missing text, but fewer than `REPEATS` sessions.
    """

    differences: list[Difference] = field(default_factory=list)
    few: list[str] = field(default_factory=list)
    rows: list[tuple[int, int, int]] = field(default_factory=list)


def judge(over: Condition, clips: Iterable[Clip]) -> Parity:
    """Judge whether clips have the same text under a condition as when sent alone.

    Each clip is given once. The verdict is ``FAIL`` if too many texts of a clip, or of
    all clips together, are different, or if too many sessions are lost. A clip cannot
    be judged if it has fewer than `LEAST_ALONE` texts sent alone, or if it is so short
    that a text with none of its words would not count as different.

    The verdict is ``INCONCLUSIVE`` in each of these cases:

    - more than half of the clips cannot be judged,
    - the clips that can be judged have fewer than `LEAST_SESSIONS` sessions together,
    - a clip has a different or missing text, but fewer than `REPEATS` sessions,
    - the verdict would be ``FAIL`` if each lost session counted as a different text.
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
    """Return the solo transcripts of the clips that were sent alone often enough."""
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
    """Return the verdict and its cause.

    ``of`` is the number of clips, and ``used`` is the number of clips that could be
    judged. ``known`` is true if the own variation is known.
    """
    sessions = counts.rows[-1][2]
    if any(not_random(others, of) for others, _, of in counts.rows):
        return Verdict.FAIL, None
    if any(not_random(lost, of) for _, lost, of in counts.rows):
        return Verdict.FAIL, Cause.LOST
    if any(not_random(others + lost, of) for others, lost, of in counts.rows):
        return Verdict.INCONCLUSIVE, Cause.LOST
    if sessions < LEAST_SESSIONS or 2 * used < of:
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
