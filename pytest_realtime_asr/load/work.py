"""Decides whether a server did equal work at two levels of load.

A server that is blocked sends fewer partials, and a server that drops words has less to
send. Both look faster than a server that does all of its work. So the latencies of two
levels can be compared only if the server did equal work at both.

Only clips that were sent at both levels count, each with the same weight, so that the
mix of clips has no influence. An amount differs if it is more than `TOLERANCE` smaller
at one of the levels, and if the difference is larger than its own scatter over the
clips. The tolerance separates two kinds of differences:

- Harmless differences. A server that sends a partial after each step of its model sends
  about as many partials at any load. A session may put a silence before its clip. The
  silence is much shorter than the clip, so it changes the number of partials by less
  than a tenth.
- Differences that must be found. Servers that merge partials under load are reported to
  send less than half of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.metrics.normalizers import unspaced
from pytest_realtime_asr.stats import student_interval
from pytest_realtime_asr.text.number_format import plain, several

TOLERANCE = 0.2  # share of the larger amount
LEAST_CLIPS = 2  # clips that both levels sent; the scatter over one is not known
_Amount = Callable[[Row], float | None]


@dataclass(frozen=True, slots=True)
class Amount:
    """The mean amount of one kind of work at two levels, in the unit ``what``."""

    what: str
    one: float
    other: float


@dataclass(frozen=True, slots=True)
class UnequalWork:
    """The amounts of work that differ between two levels.

    ``one`` and ``other`` are the numbers of streams of the two levels.
    """

    one: int
    other: int
    amounts: tuple[Amount, ...]

    def __str__(self) -> str:
        """Return what differs, such as "3.1 partials per second of audio at ..."."""
        return "; ".join(
            f"{plain(round(each.one, 2))} {each.what} at "
            f"{several(self.one, 'stream')}, {plain(round(each.other, 2))} at "
            f"{self.other}"
            for each in self.amounts
        )


def unequal_work(one: Level, other: Level) -> UnequalWork | None:
    """Return how the work at two levels differs; ``None`` if it is equal.

    Work counts as equal as long as no difference is shown. So the result is also
    ``None`` if fewer than `LEAST_CLIPS` clips were sent at both levels.
    """
    kinds = (
        ("partials per second of audio", partials_per_second),
        ("finals per session", _finals),
        ("words per final", words_per_final),
    )
    found = []
    for what, amount in kinds:
        pairs = amounts_by_clip(one.steady, other.steady, amount)
        if len(pairs) >= LEAST_CLIPS and _differs(pairs):
            means = (fmean(each) for each in zip(*pairs, strict=True))
            found.append(Amount(what, *means))
    return UnequalWork(one.streams, other.streams, tuple(found)) if found else None


def partials_per_second(row: Row) -> float | None:
    """Return the partials per second of audio; ``None`` for a lost session."""
    return None if row.lost or not row.seconds else row.partials / row.seconds


def words_per_final(row: Row) -> float | None:
    """Return the number of words in the text; ``None`` for a lost session.

    If the text is written without spaces, its characters are counted.
    """
    text = row.measured.text
    parts = "".join(text.split()) if unspaced(text) else text.split()
    return None if row.lost else float(len(parts))


def amounts_by_clip(
    before: Iterable[Row], after: Iterable[Row], amount: _Amount
) -> list[tuple[float, float]]:
    """Return the mean amount of each clip ``before`` and ``after``.

    The means are taken over the sessions that have an amount. Only clips with such a
    session on both sides count.
    """
    one, other = _by_clip(before, amount), _by_clip(after, amount)
    return [(one[clip], other[clip]) for clip in one if clip in other]


def _differs(pairs: Sequence[tuple[float, float]]) -> bool:
    """Return whether two levels differ by more than the tolerance and the scatter.

    Each pair has the amounts of one clip at both levels.
    """
    before, after = (fmean(each) for each in zip(*pairs, strict=True))
    if abs(after - before) <= TOLERANCE * max(before, after):
        return False
    low, high = student_interval([later - first for first, later in pairs])
    return low > 0 or high < 0


def _by_clip(rows: Iterable[Row], amount: _Amount) -> Mapping[str, float]:
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.lost is not Loss.CANCELLED and (each := amount(row)) is not None:
            found[row.clip].append(each)
    return {clip: fmean(amounts) for clip, amounts in found.items()}


def _finals(row: Row) -> float | None:
    return 0.0 if row.lost else 1.0
