"""Checks that texts lose no words, judged over many clips of the corpus.

Each clip is cut so that it starts with its first word and ends with its last word. With
silence around the words, a server could lose audio at the edges and still keep every
word. The clips are sent alone and under other conditions. See
`pytest_realtime_asr.requirements.text_losses` for the tests.

Holm's correction is over all tests of `TESTS`. So the check of each requirement runs
all tests, and needs all scenarios of `SCENARIOS`. For a server without losses, the
probability that a run finds at least one of these requirements violated is at most 5 %.
The actual probability is about 1 %, since the tests are discrete.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from pytest_realtime_asr.corpus.joined import Joined
from pytest_realtime_asr.corpus.utterance import Utterance
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.alignment import Pair, align
from pytest_realtime_asr.metrics.latency import has_words
from pytest_realtime_asr.requirements import text_losses
from pytest_realtime_asr.requirements.checks.combinators import absent, worst
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.requirements.text_losses import (
    LEAST_CLIPS,
    LEAST_DIFFERENT,
    LEAST_SHARE,
    LongTake,
    Take,
    Tested,
)
from pytest_realtime_asr.stats import holm

LEVEL = 0.05  # the family-wise error rate of all tests of a run
STRICT = 0.01  # the same for tests that need no second text, which have more power

# The roles of the sessions, which are the names of their scenarios
CUT = "cut-clips"
PROTECTED = "protected-clips"
CHUNKS: Mapping[str, float] = {  # length in s of a chunk
    "clips-in-20ms": 0.02,
    "clips-in-40ms": 0.04,
    "clips-in-80ms": 0.08,
}
JITTERED = "jittered-clips"
JOINED = "joined-clips"
LONG = ("60s-fast", "35s", "10s")
SCENARIOS = (CUT, PROTECTED, *CHUNKS, JITTERED, JOINED, *LONG)

_SUSPICIOUS = 3  # clips; fewer differ now and then on a server that loses nothing
_PERIODS = (5.0, 10.0, 15.0)  # s between two edges of segments
# The punctuation at the end of a sentence or a part of it, in several languages
_PUNCTUATION = re.compile(
    r"\s*[.,;:?!)\]\u3001\u3002\uff0c\uff0e\uff1b\uff1a\uff1f\uff01\u061f\u060c\u061b]"
)


# The takes of a run


@dataclass(frozen=True, slots=True)
class Takes:
    """The takes of a run.

    ``alone`` has the takes of the clips that were sent alone, by the role of their
    session. ``joined`` has the texts of utterances that consist of several clips with
    pauses between them. ``long`` has the texts of long utterances.
    """

    alone: Mapping[str, Sequence[Take]]
    joined: Sequence[LongTake] = ()
    long: Sequence[LongTake] = ()

    def of(self, role: str) -> Sequence[Take]:
        """Return the takes of the clips that were sent alone in this role."""
        return self.alone.get(role, ())

    @property
    def cut(self) -> list[Take]:
        """The takes of all clips that were sent without silence around them."""
        roles = (CUT, *CHUNKS, JITTERED)
        return [take for role in roles for take in self.of(role)]

    @property
    def within_long(self) -> list[Take]:
        """The takes of the clips of long utterances."""
        return [take for long in self.long for take in long.takes]

    @property
    def within_joined(self) -> list[Take]:
        """The takes of the clips of joined utterances."""
        return [take for joined in self.joined for take in joined.takes]

    @property
    def elsewhere(self) -> list[Take]:
        """The takes of all clips that were not part of a joined or long utterance."""
        return [take for takes in self.alone.values() for take in takes]


def takes_of(evidence: Evidence) -> Takes:
    """Return the takes of the evidence; an utterance without a final has no take."""
    alone: dict[str, list[Take]] = {}
    joined: list[LongTake] = []
    long: list[LongTake] = []
    for role in SCENARIOS:
        for part in evidence.role(role):
            source = evidence.index(part)
            for item, utterance in part.spoken.items():
                if (text := part.text(item)) is None:
                    continue
                if isinstance(utterance, Joined):
                    found = long_take(utterance, text, source)
                    (long if role in LONG else joined).append(found)
                else:
                    alone.setdefault(role, []).append(take(utterance, text, source))
    return Takes(alone, joined, long)


def take(utterance: Utterance, text: str, source: int = 0) -> Take:
    """Return the take of a text, compared with the reference transcript of its clip.

    ``source`` is the index of the session in which the text came.
    """
    kept, errors, placed = _aligned(utterance.text, text, utterance.language)
    return Take(utterance.id, kept, errors, text, utterance.text, source, placed)


@lru_cache(maxsize=4096)  # each requirement of a run compares the same texts
def _aligned(
    reference: str, text: str, language: str
) -> tuple[tuple[bool, ...], int, bool]:
    alignment = words(reference, text, language=language)
    pairs = alignment.pairs
    return _kept(pairs), alignment.errors.wrong, _placed(pairs)


def _placed(pairs: Iterable[Pair]) -> bool:
    """Return whether at least half of the words of a text match the reference."""
    heard = [pair for pair in pairs if pair.hypothesis is not None]
    matched = sum(pair.reference == pair.hypothesis for pair in heard)
    return 2 * matched >= len(heard)


def _kept(pairs: Iterable[Pair]) -> tuple[bool, ...]:
    return tuple(p.hypothesis is not None for p in pairs if p.reference is not None)


def long_take(utterance: Joined, text: str, source: int = 0) -> LongTake:
    """Return the text of a long utterance, divided into the takes of its clips."""
    clips = [each.utterance for each in utterance.clips]
    said = [_said(clip.text, clip.language) for clip in clips]
    divided = _divided(tuple(said), text, utterance.language)
    takes, times = [], []
    for placed, pairs, spoken in zip(utterance.clips, divided, said, strict=True):
        errors = sum(pair.reference != pair.hypothesis for pair in pairs)
        heard = " ".join(pair.hypothesis for pair in pairs if pair.hypothesis)
        clip = placed.utterance
        takes.append(Take(clip.id, _kept(pairs), errors, heard, clip.text, source))
        middles = _middles(clip, len(spoken))
        times.append(tuple(placed.start + middle for middle in middles))
    whole = [pair for pairs in divided for pair in pairs]
    return LongTake(tuple(takes), tuple(times), _placed(whole))


@lru_cache(maxsize=512)
def _said(text: str, language: str) -> tuple[str, ...]:
    pairs = words(text, text, language=language).pairs
    return tuple(pair.reference for pair in pairs if pair.reference is not None)


@lru_cache(maxsize=64)
def _divided(
    said: tuple[tuple[str, ...], ...], text: str, language: str
) -> tuple[tuple[Pair, ...], ...]:
    """Return, for each clip of an utterance, its words aligned with the text.

    ``said`` has the reference words of each clip. An inserted word of the text belongs
    to the clip of the reference word before it.
    """
    whole = [word for clip in said for word in clip]
    pairs = iter(align(whole, _said(text, language)))
    found: list[list[Pair]] = [[] for _ in said]
    ends = [place for place, clip in enumerate(said) for _ in clip]
    at = 0
    for pair in pairs:
        if pair.reference is None:
            found[ends[max(0, at - 1)]].append(pair)
        else:
            found[ends[at]].append(pair)
            at += 1
    return tuple(map(tuple, found))


def _middles(utterance: Utterance, count: int) -> list[float]:
    """Return the times of the middles of ``count`` words, in s from the clip's start.

    If the times of the words are not known, the words are spread evenly.
    """
    if len(utterance.words) == count:
        return [(word.start + word.end) / 2 for word in utterance.words]
    step = utterance.duration / max(1, count)
    return [(number + 0.5) * step for number in range(count)]


# The tests of a run


class Loss(enum.Enum):
    """A kind of loss; the value begins the message about such a loss."""

    HEAD = "the first word is missing"
    TAIL = "the last word is missing"
    END = "the text of long utterances ends too early: the last clips are missing"
    HOLE = "words in a row are missing in the middle of long utterances"
    EDGES = "words are missing at the edges of segments of {period:g} s"
    SILENCE = "the text has more errors without silence around clips than with silence"
    CHUNKS = (
        "the text has more errors if the audio is sent in chunks of {chunk:g} ms than "
        "with the run's chunk length"
    )
    OWN_CHUNKS = (
        "the text has more errors if the audio is sent with the run's chunk length "
        "than in chunks of {chunk:g} ms"
    )
    JITTER = (
        "the text has more errors if the audio comes late and in bursts than if it "
        "comes on time"
    )
    NO_JITTER = (
        "the text has fewer errors if the audio comes late and in bursts than if it "
        "comes on time"
    )
    JOINED = (
        "the text has more errors if clips are joined with a pause than if they are "
        "sent alone"
    )
    LONG = (
        "the text of a clip has more errors inside a long utterance than if the clip "
        "is sent alone"
    )


@dataclass(frozen=True, slots=True)
class Test:
    """A test of the takes of a run for one kind of loss.

    ``values`` are the numbers in the message about the loss. The test finds a violation
    only if the share of the clips with this loss is at least ``least`` (0 to 1).
    """

    loss: Loss
    run: Callable[[Takes], Tested]
    values: Mapping[str, float] = field(default_factory=dict)
    least: float = 0.0

    @property
    def compares(self) -> bool:
        """Whether the test compares two conditions of the same clips."""
        return self.loss not in (Loss.HEAD, Loss.TAIL, Loss.END, Loss.HOLE, Loss.EDGES)


def _worse(worse: str, better: str) -> Callable[[Takes], Tested]:
    return lambda takes: text_losses.compared(takes.of(worse), takes.of(better))


def _at(period: float) -> Callable[[Takes], Tested]:
    return lambda takes: text_losses.at_multiples(takes.long, period)


def _of_chunks() -> Iterable[Test]:
    for role, chunk in CHUNKS.items():
        values = {"chunk": chunk * 1000}
        yield Test(Loss.CHUNKS, _worse(role, CUT), values)
        yield Test(Loss.OWN_CHUNKS, _worse(CUT, role), values)


TESTS: tuple[Test, ...] = (
    Test(Loss.HEAD, lambda t: text_losses.at_word(t.cut, 0), least=LEAST_SHARE),
    Test(Loss.TAIL, lambda t: text_losses.at_word(t.cut, -1), least=LEAST_SHARE),
    Test(Loss.END, lambda t: text_losses.after_a_time(t.long)),
    Test(
        Loss.HOLE,
        lambda t: text_losses.holes((*t.long, *t.joined), t.elsewhere),
    ),
    *(
        Test(Loss.EDGES, _at(period), {"period": period}, LEAST_SHARE)
        for period in _PERIODS
    ),
    Test(Loss.SILENCE, _worse(CUT, PROTECTED)),
    *_of_chunks(),
    Test(Loss.JITTER, _worse(JITTERED, CUT)),
    Test(Loss.NO_JITTER, _worse(CUT, JITTERED)),
    Test(Loss.JOINED, lambda t: text_losses.compared(t.within_joined, t.of(CUT))),
    Test(Loss.LONG, lambda t: text_losses.compared(t.within_long, t.of(CUT))),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """The result of a test, and its p-value after Holm's correction.

    ``of`` is the number of tests in the correction: the tests of the run that have
    enough clips for a decision. ``p`` is ``None`` if this test has too few clips.
    """

    test: Test
    tested: Tested
    p: float | None
    of: int

    @property
    def outcome(self) -> Outcome:
        """The outcome of the test."""
        found = self.tested
        if self.p is None:
            return self._undecided()
        level = LEVEL if self.test.compares else STRICT
        if self.p < level and found.lost >= self.test.least * found.of:
            source = found.example.source if found.example else 0
            return Violated(self._message(), (), source)
        return Satisfied()

    def _undecided(self) -> Outcome:
        found = self.tested
        if self.test.loss is Loss.EDGES:  # no word was spoken there
            return Satisfied()
        if found.of < LEAST_CLIPS:
            return Undecided(
                f"{LEAST_CLIPS} clips are needed, but only {found.of} have a text that "
                "can be used: the corpus is too small, finals did not come, or most "
                "words are wrong"
            )
        if found.lost - found.gained < _SUSPICIOUS:
            return Satisfied()
        return Undecided(
            f"{found.lost} of {found.of} clips have more errors under one condition "
            f"than under the other; a decision needs at least {LEAST_DIFFERENT} clips "
            "with a difference"
        )

    def _message(self) -> str:
        found, one = self.tested, self.tested.example
        where = self.test.loss.value.format(**self.test.values)
        counts = f"in {found.lost} of {found.of} clips"
        if self.test.compares:
            counts += f" (fewer errors in {found.gained})"
        shown = f"; for example {one.text!r} instead of {one.said!r}" if one else ""
        return (
            f"{where} {counts}{_span(found.times)}{shown}; on a server that loses "
            f"nothing, the probability of this is {self.p:.1g} (after Holm's "
            f"correction for {self.of} tests)"
        )


def _span(times: Sequence[float]) -> str:
    if not times:
        return ""
    first, last = min(times), max(times)
    return (
        f", at {first:.1f} s"
        if last - first < 0.1
        else (f", from {first:.1f} to {last:.1f} s")
    )


def judged(takes: Takes) -> tuple[Judged, ...]:
    """Return the results of all tests of a run."""
    results = [(test, test.run(takes)) for test in TESTS]
    family = [place for place, each in enumerate(results) if _can_decide(*each)]
    adjusted = holm([results[place][1].p for place in family])
    p = dict(zip(family, adjusted, strict=True))
    return tuple(
        Judged(test, tested, p.get(place), len(family))
        for place, (test, tested) in enumerate(results)
    )


def _can_decide(test: Test, tested: Tested) -> bool:
    """Return whether a test has enough clips.

    A comparison of two conditions also needs enough clips that have more errors under
    one of the conditions. It does not matter under which one.
    """
    if test.loss in (Loss.EDGES, Loss.HOLE):  # have only the clips at some times
        return tested.of > 0
    different = tested.lost + tested.gained
    enough = different >= LEAST_DIFFERENT or not test.compares
    return tested.of >= LEAST_CLIPS and enough


def loses_nothing(*losses: Loss) -> Check:
    """Return a check that the texts of the run show none of these losses."""

    def check(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *SCENARIOS):
            return missing
        found = judged(takes_of(evidence))
        return worst(each.outcome for each in found if each.test.loss in losses)

    return check


# Punctuation


def no_leftover_punctuation(*roles: str) -> Check:
    """Return a check that no text starts with the punctuation of the text before.

    The check is satisfied if only one text starts with punctuation, since this may be
    chance. It is also satisfied if the first text of any session starts with
    punctuation. No text came before this one, so punctuation at the start of a text
    does not show that the server mixes utterances.
    """

    def check(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        parts = evidence.role(*roles)
        first = [text for part in parts for text in _texts(part, later=False)]
        later = [(part, text) for part in parts for text in _texts(part, later=True)]
        if not later:
            return Undecided("no session has the text of a second utterance")
        found = [each for each in later if _PUNCTUATION.match(each[1])]
        if len(found) < 2 or any(map(_PUNCTUATION.match, first)):
            return Satisfied()
        part, text = found[0]
        return Violated(
            f"{len(found)} of {len(later)} texts start with punctuation of the "
            f"utterance before, in the same session: {text!r}",
            (),
            evidence.index(part),
        )

    return check


def _texts(part: Part, *, later: bool) -> Iterable[str]:
    for item in part.spoken:
        text = part.text(item)
        if text is not None and has_words(text) and bool(item) is later:
            yield text
