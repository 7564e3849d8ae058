"""Parity: under other conditions, the same clip must give the same text.

No reference is needed. What a clip gives alone, several times, is its yardstick
(`pytest_realtime_asr.yardstick`), and its spread the server's own noise. A text under
the condition is another one if it differs by more than that noise and 5 % of the words,
and a session that gave none differs in all its words. One other text may be chance: a
clip differs where two of three of its texts do, and so does the server where two of
three of all texts do. Where a clip has fewer than three texts under the condition and
one of them is another one, nothing is decided.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import lines
from pytest_realtime_asr.verdicts import Verdict
from pytest_realtime_asr.yardstick import (
    MARGIN,
    Yardstick,
    level,
    measure,
    settled,
)

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
class Clip:
    """A clip with its texts ``alone`` and under the condition (``then``).

    ``None`` is a session that gave no final.
    """

    utterance: Utterance
    alone: tuple[str | None, ...]
    then: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A clip of which ``texts`` under the condition, of ``of``, are another text."""

    yardstick: Yardstick
    texts: tuple[str | None, ...]
    of: int

    @property
    def settled(self) -> bool:
        """Whether they are so many that it is no chance."""
        return settled(len(self.texts), self.of)

    def lines(self, *, width: int = 80) -> str:
        """How far the worst of them is off, word by word (``ref`` is alone)."""
        clip = self.yardstick
        worst = max(self.texts, key=lambda text: clip.off(text or ""))
        said = "no final came" if worst is None else ""
        said = said or f"{clip.off(worst or '')} of {clip.words} words differ"
        head = f"{clip.utterance.id}: {said}; in {len(self.texts)} of {self.of}"
        return f"{head}\n{lines(clip.aligned(worst or ''), width=width)}"


@dataclass(frozen=True, slots=True)
class Parity:
    """What parity found over a condition.

    ``judged`` is the number of clips, ``texts`` that of their texts under the
    condition, ``lost`` that of those texts that did not come. ``noise`` is in words,
    ``None`` where it is not known. ``unused`` are the ids of clips that tell nothing.
    ``reason`` says why a verdict is ``INCONCLUSIVE``.
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

    Each clip is given once. ``FAIL`` where one differs, or the server. A clip tells
    nothing if it has fewer than `LEAST_ALONE` texts alone, or is too short for the
    noise; where that is so of more than half of them, or fewer than `LEAST_TEXTS` texts
    are left, or a clip has another text but fewer than `REPEATS`, it is
    ``INCONCLUSIVE``.
    """
    every = list(clips)
    said = {
        clip.utterance.id: [t for t in clip.alone if t is not None] for clip in every
    }
    alone = {
        clip.utterance.id: measure(clip.utterance, said[clip.utterance.id])
        for clip in every
        if len(said[clip.utterance.id]) >= LEAST_ALONE
    }
    known = level(alone)
    used = [clip for clip in every if clip.utterance.id in known and clip.then]
    judged = {clip.utterance.id for clip in used}
    differences = []
    for clip in used:
        yardstick = known[clip.utterance.id]
        others = tuple(t for t in clip.then if yardstick.another(t or ""))
        if others:
            differences.append(Difference(yardstick, others, len(clip.then)))
    texts = [text for clip in used for text in clip.then]
    wrong = sum(len(each.texts) for each in differences)
    few = [each.yardstick.utterance.id for each in differences if each.of < REPEATS]
    noise = max((each.noise for each in alone.values()), default=None)
    reason = ""
    if any(each.settled for each in differences) or settled(wrong, len(texts)):
        verdict = Verdict.FAIL
    elif len(texts) < LEAST_TEXTS or 2 * len(used) < len(every):
        verdict = Verdict.INCONCLUSIVE
        reason = f"own noise leaves {len(used)} of {len(every)} clips to be judged"
        if noise is None:
            reason = f"the noise is not known: speak a clip {LEAST_ALONE} times alone"
    elif few:
        verdict = Verdict.INCONCLUSIVE
        reason = f"it may be chance; speak {_named(few)} {REPEATS} times"
    else:
        verdict = Verdict.PASS
    return Parity(
        over=over,
        verdict=verdict,
        judged=len(used),
        texts=len(texts),
        lost=sum(text is None for text in texts),
        noise=noise,
        differences=tuple(differences),
        unused=tuple(name for name in said if name not in judged),
        reason=reason,
    )


def _named(ids: Iterable[str]) -> str:
    every = list(ids)
    more = len(every) - _NAMED
    return ", ".join(every[:_NAMED]) + (f" and {more} more" if more > 0 else "")
