"""Parity: under other conditions, the same clip must give the same text.

No reference is needed. What a clip gives alone, several times, is its yardstick
(`pytest_realtime_asr.requirements.pseudo_reference`), and its spread the server's own
noise. A text under the condition is another one if it differs by more than that noise
and 5 % of the words,
One other text may be chance: a clip differs where two of three of its texts do, and so
does the server where two of three of all texts do. Where a clip has fewer than three
texts under the condition and one of them is another one, nothing is decided.

A session that was lost has no text, and differs in nothing. Where two of three are
lost, of a clip or of all, that is the failure; where the lost ones would decide whether
the texts differ, nothing is decided.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import lines
from pytest_realtime_asr.requirements.pseudo_reference import (
    MARGIN,
    SoloTranscript,
    level,
    measure,
    settled,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

LEAST_ALONE = 2  # texts alone without which a clip's noise is not known
LEAST_TEXTS = 2  # texts under the condition that tell anything
REPEATS = 3  # texts of a clip of which a single other one is chance
_NAMED = 3  # utterances that are named in a line


class Over(enum.StrEnum):
    """The condition under which the clips are spoken again."""

    CHUNK = "chunk"
    PACE = "pace"
    REPEAT = "repeat"
    CROWD = "crowd"


@dataclass(frozen=True, slots=True)
class Gone:
    """A session that gave no final: ``how`` it was lost, in a word, and the reason."""

    how: str
    reason: str

    def __str__(self) -> str:
        return f"{self.how}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with its texts ``alone`` and under the condition (``then``)."""

    utterance: Utterance
    alone: tuple[str | Gone, ...]
    then: tuple[str | Gone, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A clip of which ``texts`` under the condition, of ``of``, are another text."""

    yardstick: SoloTranscript
    texts: tuple[str, ...]
    of: int

    def lines(self, *, width: int = 80) -> str:
        """How far the worst of them is off, word by word (``ref`` is alone)."""
        clip = self.yardstick
        worst = max(self.texts, key=clip.off)
        said = f"{clip.off(worst)} of {clip.words} words differ"
        head = f"{clip.utterance.id}: {said}; in {len(self.texts)} of {self.of}"
        return f"{head}\n{lines(clip.aligned(worst), width=width)}"


@dataclass(frozen=True, slots=True)
class Parity:
    """What parity found over a condition.

    ``judged`` is the number of clips, ``texts`` that of their texts under the
    condition, ``lost`` the number of sessions without a text. ``noise`` is in words,
    ``None`` where it is not known. ``unused`` are the ids of clips that tell nothing.
    ``reason`` says why a verdict is ``INCONCLUSIVE``, or which sessions were lost.
    """

    over: Over
    verdict: Verdict
    judged: int
    texts: int
    lost: int
    noise: int | None
    differences: tuple[Difference, ...]
    unused: tuple[str, ...]
    reason: str = ""

    @property
    def summary(self) -> str:
        """All of it in one line."""
        noise = "not known" if self.noise is None else f"{self.noise}"
        parts = [f"own noise: {noise} words; beyond it {MARGIN:.0%} of a text pass"]
        lost = f", {self.lost} lost" if self.lost else ""
        parts.append(f"{self.texts} texts{lost}")
        if self.unused:
            parts.append(f"not judged: {_named(self.unused)}")
        found = f"{len(self.differences)} of {self.judged} utterances have another text"
        tail = f": {self.reason}" if self.reason else ""
        return (
            f"parity over {self.over}: {found} ({'; '.join(parts)}); "
            f"{self.verdict.value}{tail}"
        )

    def lines(self, *, width: int = 80) -> str:
        """The summary, and below it each clip that differs, word by word."""
        shown = (each.lines(width=width) for each in self.differences)
        return "\n".join([self.summary, *shown])


def judge(over: Over, clips: Iterable[Clip]) -> Parity:
    """Whether the clips have the same text under one condition as they have alone.

    Each clip is given once. ``FAIL`` where one differs, or the server, or where too
    many sessions are lost. A clip tells nothing if it has fewer than `LEAST_ALONE`
    texts alone, or is too short for the noise; where that is so of more than half of
    them, or fewer than `LEAST_TEXTS` texts are left, or a clip has another text but
    fewer than `REPEATS`, it is ``INCONCLUSIVE``.
    """
    every = list(clips)
    said = {
        clip.utterance.id: [t for t in clip.alone if isinstance(t, str)]
        for clip in every
    }
    alone = {
        clip.utterance.id: measure(clip.utterance, said[clip.utterance.id])
        for clip in every
        if len(said[clip.utterance.id]) >= LEAST_ALONE
    }
    known = level(alone)
    used = [clip for clip in every if clip.utterance.id in known and clip.then]
    judged = {clip.utterance.id for clip in used}
    differences, few = [], []
    counts = []  # of each clip, and of all: other texts, lost ones, sessions
    for clip in used:
        yardstick = known[clip.utterance.id]
        texts = [text for text in clip.then if isinstance(text, str)]
        others = tuple(filter(yardstick.another, texts))
        if others:
            differences.append(Difference(yardstick, others, len(clip.then)))
        counts.append((len(others), len(clip.then) - len(texts), len(clip.then)))
        if len(texts) - len(others) < len(clip.then) < REPEATS:
            few.append(clip.utterance.id)
    wrong, lost, sessions = (sum(count[i] for count in counts) for i in range(3))
    counts.append((wrong, lost, sessions))
    noise = max((each.noise for each in alone.values()), default=None)
    reason = ""
    if any(settled(others, of) for others, _, of in counts):
        verdict = Verdict.FAIL
    elif any(settled(gone, of) for _, gone, of in counts):
        verdict, reason = Verdict.FAIL, _lost(used, "then")
    elif any(settled(others + gone, of) for others, gone, of in counts):
        verdict, reason = Verdict.INCONCLUSIVE, _lost(used, "then")
    elif sessions < LEAST_TEXTS or 2 * len(used) < len(every):
        verdict = Verdict.INCONCLUSIVE
        reason = f"own noise leaves {len(used)} of {len(every)} clips to be judged"
        if noise is None:
            why = _lost(every, "alone") or f"speak a clip {LEAST_ALONE} times alone"
            reason = f"the noise is not known: {why}"
    elif few:
        verdict = Verdict.INCONCLUSIVE
        reason = f"it may be chance; speak {_named(few)} {REPEATS} times"
    else:
        verdict = Verdict.PASS
    return Parity(
        over=over,
        verdict=verdict,
        judged=len(used),
        texts=sessions - lost,
        lost=lost,
        noise=noise,
        differences=tuple(differences),
        unused=tuple(name for name in said if name not in judged),
        reason=reason,
    )


def _lost(clips: Sequence[Clip], when: Literal["alone", "then"]) -> str:
    """How many of the sessions were lost, and why the first was; empty for none."""
    spoken = [
        (clip.utterance.id, said) for clip in clips for said in getattr(clip, when)
    ]
    gone = [(name, said) for name, said in spoken if isinstance(said, Gone)]
    if not gone:
        return ""
    name, first = gone[0]
    alone = " alone" if when == "alone" else ""
    return f"{len(gone)} of {len(spoken)} sessions{alone} were lost; {name} {first}"


def _named(ids: Iterable[str]) -> str:
    every = list(ids)
    more = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {more} more" if more > 0 else "")
