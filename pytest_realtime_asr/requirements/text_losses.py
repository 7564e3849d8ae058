"""Tests whether texts lose more words at certain places than chance explains.

A *take* is one text of a clip, compared with the reference transcript of the clip. Each
test returns how often words were lost, and the probability of so many losses on a
server that makes the same number of errors at random places. All tests are exact. They
take the number of errors of each clip as given, so errors may cluster in some clips.
Each item of this list says what is compared, and the null hypothesis:

* A marked word of each clip, such as the last word, is compared with the other words of
  the same texts. Null hypothesis: the marked word is missing as often as a word drawn
  at random from the clip.
* In a long utterance, the clips that are lost are compared with the other clips. Null
  hypothesis: if d of n clips are lost, each choice of d clips is equally likely.
* The text of a clip within a long utterance is compared with all other texts of this
  clip. Null hypothesis: a run of missing words is equally likely in each of them.
* Two conditions of a clip are compared by the sign test. Null hypothesis: each of the
  two texts is equally likely to have more errors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import comb

from pytest_realtime_asr.stats import sign_test, tail_of_sum

LEAST_CLIPS = 10  # clips that a test needs
LEAST_DIFFERENT = 5  # clips that must differ in a comparison of two conditions
LEAST_SHARE = 0.2  # share of the marked words that must be missing
_RUN = 2  # words in a row whose absence is a hole
_LOST = 0.5  # a clip is lost if more than this share of its words is missing
_LATEST = 60  # s; the latest time at which a hole is looked for
_NEAR = 1.0  # s between a time and the words that a hole at this time concerns
_EDGE = 0.25  # s; a word this near to an edge may be lost there


@dataclass(frozen=True, slots=True)
class Take:
    """One text of a clip, compared with the reference transcript of the clip.

    ``kept`` has a value for each word of the reference. It is false if the word is
    missing in the text, and true if the text has the word or a wrong word in its place.
    ``errors`` is the number of errors. ``text`` is the text itself, and ``said`` is the
    reference. ``source`` is the index of the session of the text. ``placed`` is false
    if most words of the text are wrong, since it is then not known where words are
    missing.
    """

    clip: str
    kept: tuple[bool, ...]
    errors: int
    text: str = ""
    said: str = ""
    source: int = 0
    placed: bool = True

    @property
    def missing(self) -> int:
        """The number of words that are missing."""
        return self.kept.count(False)

    @property
    def is_lost(self) -> bool:
        """Return whether most of the words are missing."""
        return self.missing > _LOST * len(self.kept)

    @property
    def has_hole(self) -> bool:
        """Return whether several words in a row are missing."""
        run = 0
        for kept in self.kept:
            run = 0 if kept else run + 1
            if run >= _RUN:
                return True
        return False


_Timed = tuple[Take, Sequence[float]]  # a take and the times of its words in s


@dataclass(frozen=True, slots=True)
class LongTake:
    """The text of a long utterance, divided into the takes of its clips.

    ``times`` has the middle of each word of each clip, in s from the start of the
    utterance. ``placed`` is false if most words of the whole text are wrong.
    """

    takes: tuple[Take, ...]
    times: tuple[tuple[float, ...], ...]
    placed: bool = True

    @property
    def heard(self) -> int:
        """The number of clips, without the lost clips at the end."""
        found = [place for place, take in enumerate(self.takes) if not take.is_lost]
        return found[-1] + 1 if found else 0

    @property
    def timed(self) -> list[_Timed]:
        """Each take with its word times, without the lost takes at the end."""
        heard = self.heard
        return list(zip(self.takes[:heard], self.times[:heard], strict=True))

    @property
    def seconds(self) -> float:
        """The time in s of the last word that was spoken."""
        return max((times[-1] for times in self.times if times), default=0.0)

    @property
    def end(self) -> float:
        """The time in s of the last word that the text has; 0 if it has no word."""
        times = (
            time
            for take, times in zip(self.takes, self.times, strict=True)
            for kept, time in zip(take.kept, times, strict=True)
            if kept
        )
        return max(times, default=0.0)


@dataclass(frozen=True, slots=True)
class Tested:
    """The result of a test of texts or clips.

    ``of`` is the number of texts or clips that were tested. ``lost`` is the number of
    those that lost words. ``p`` is the p-value of the test. When two conditions are
    compared, ``lost`` is the number of clips with more errors, and ``gained`` is
    the number of clips with fewer errors. ``example`` is a take that shows the loss.
    ``times`` are the times in s at which words were lost in long utterances.
    """

    p: float
    lost: int
    of: int
    gained: int = 0
    example: Take | None = None
    times: tuple[float, ...] = ()


# Deletions that gather at a place


def at_word(takes: Iterable[Take], place: int) -> Tested:
    """Test whether the word at index ``place`` is missing more often than other words.

    A clip may have several takes. For each word of the clip, the test counts the takes
    in which the word is missing, and compares these counts. A clip has lost the word if
    at least half of its takes lack it.
    """
    by_clip: defaultdict[str, list[Take]] = defaultdict(list)
    for take in takes:
        if take.kept and take.placed:
            by_clip[take.clip].append(take)
    total, lost = 0, []
    distributions = []
    for its in by_clip.values():
        words = zip(*(take.kept for take in its), strict=True)
        missing = [kept.count(False) for kept in words]
        counted = Counter(missing)
        values = range(max(missing) + 1)
        distributions.append([counted[value] / len(missing) for value in values])
        total += missing[place]
        if 2 * missing[place] >= len(its):
            lost.append(next(take for take in its if not take.kept[place]))
    p = tail_of_sum(distributions, total)
    example = lost[0] if lost else None
    return Tested(p, len(lost), len(by_clip), example=example)


def at_multiples(longs: Iterable[LongTake], period: float) -> Tested:
    """Test whether more words are missing at multiples of a time than elsewhere.

    The time is ``period`` seconds. At most one word of each clip is used. Lost clips at
    the end of an utterance are left out.
    """
    marked: list[tuple[Take, int]] = []
    times: list[float] = []
    for long in filter(_is_placed, longs):
        for take, places in long.timed:
            for word, time in enumerate(places):
                edge = round(time / period) * period
                if edge and abs(time - edge) <= _EDGE:
                    marked.append((take, word))
                    times += [] if take.kept[word] else [time]
                    break
    lost = [take for take, word in marked if not take.kept[word]]
    shares = [take.missing / len(take.kept) for take, _ in marked]
    p = tail_of_sum([(1 - share, share) for share in shares], len(lost))
    example = lost[0] if lost else None
    return Tested(p, len(lost), len(marked), example=example, times=tuple(times))


def after_a_time(longs: Sequence[LongTake]) -> Tested:
    """Test whether clips are lost at the end of long utterances rather than elsewhere.

    ``times`` of the result has the time at which the text ends, for each utterance
    whose last clips are lost.
    """
    chances: list[list[float]] = []
    lost, clips = 0, 0
    times: list[float] = []
    example = None
    for long in filter(_is_placed, longs):
        count = len(long.takes)
        missing = sum(take.is_lost for take in long.takes)
        at_end = count - long.heard
        chances.append(_at_the_end(count, missing))
        clips += count
        lost += at_end
        if at_end:
            times.append(long.end)
            example = example or long.takes[-1]
    return Tested(tail_of_sum(chances, lost), lost, clips, 0, example, tuple(times))


def _at_the_end(count: int, lost: int) -> list[float]:
    """Return the probabilities that exactly 0, 1, ... clips at the end are lost.

    The utterance has ``count`` clips, of which ``lost`` are lost.
    """
    whole = comb(count, lost)
    reached = [comb(count - end, lost - end) / whole for end in range(lost + 1)]
    return [p - q for p, q in zip(reached, [*reached[1:], 0.0], strict=True)]


def holes(longs: Sequence[LongTake], others: Iterable[Take]) -> Tested:
    """Test whether runs of words are missing within long utterances.

    ``others`` are other texts of the same clips. Lost clips at the end of an utterance
    are left out. Several tests are made. The first test uses all clips of the long
    utterances. Each further test uses only the clips that are spoken at a certain time:
    at 1 s, at 2 s and so on, while at least `LEAST_DIFFERENT` utterances are that long.
    The p-value of the result is the least p-value, multiplied by the number of tests
    (Bonferroni).
    """
    alone: list[_Timed] = [(take, ()) for take in others if take.placed]
    longs = list(filter(_is_placed, longs))
    within = [each for long in longs for each in long.timed]
    found = [_holes(within, alone)]
    lengths = sorted((long.seconds for long in longs), reverse=True)
    for time in range(1, _LATEST):
        if sum(length >= time for length in lengths) < LEAST_DIFFERENT:
            break
        here = [each for each in within if _is_near(each[1], time)]
        away = [each for each in within if not _is_near(each[1], time)]
        found.append(_holes(here, [*away, *alone]))
    least = min(found, key=lambda each: each.p)
    if len(found) * least.p >= 1:
        return replace(found[0], p=1.0)
    return replace(least, p=len(found) * least.p)


def _is_placed(long: LongTake) -> bool:
    return long.placed


def _is_near(times: Sequence[float], time: float) -> bool:
    return bool(times) and times[0] - _NEAR <= time <= times[-1] + _NEAR


def _holes(here: Iterable[_Timed], elsewhere: Iterable[_Timed]) -> Tested:
    other: defaultdict[str, list[bool]] = defaultdict(list)
    for take, _ in elsewhere:
        other[take.clip].append(take.has_hole)
    inner: defaultdict[str, list[bool]] = defaultdict(list)
    lost: list[Take] = []
    missing: list[float] = []
    for take, times in here:
        if take.clip not in other:
            continue
        inner[take.clip].append(take.has_hole)
        if take.has_hole:
            lost.append(take)
            words = zip(take.kept, times, strict=True)
            missing += [time for kept, time in words if not kept]
    chances = [
        _drawn(len(its), other[clip].count(True) + its.count(True), len(other[clip]))
        for clip, its in inner.items()
    ]
    count = sum(map(len, inner.values()))
    p = tail_of_sum(chances, len(lost))
    return Tested(p, len(lost), count, 0, lost[0] if lost else None, tuple(missing))


def _drawn(here: int, holes: int, elsewhere: int) -> list[float]:
    """Return the probabilities that exactly 0, 1, ... texts of a group have a hole.

    The group has ``here`` texts, and there are ``elsewhere`` other texts. The total
    number of texts with a hole is ``holes``; each text is equally likely to be one of
    them (hypergeometric distribution).
    """
    whole = comb(here + elsewhere, holes)
    return [
        comb(here, count) * comb(elsewhere, holes - count) / whole
        for count in range(min(here, holes) + 1)
    ]


# Two conditions of the same clips


def compared(worse: Iterable[Take], better: Iterable[Take]) -> Tested:
    """Test whether clips have more errors in ``worse`` than in ``better``.

    Only the first take of a clip counts on each side, so that both sides are equally
    likely to be worse. The sign test leaves out clips with equal numbers of errors.
    """
    usual = _first(better)
    pairs = [
        (take, take.errors - usual[clip].errors)
        for clip, take in _first(worse).items()
        if clip in usual
    ]
    lost = [take for take, more in pairs if more > 0]
    gained = sum(more < 0 for _, more in pairs)
    p = sign_test(len(lost), gained)
    example = lost[0] if lost else None
    return Tested(p, len(lost), len(pairs), gained, example)


def _first(takes: Iterable[Take]) -> dict[str, Take]:
    found: dict[str, Take] = {}
    for take in takes:
        found.setdefault(take.clip, take)
    return found
