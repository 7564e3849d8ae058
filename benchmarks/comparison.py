"""Two ways of doing one thing, measured in turns.

On a shared machine figures vary; the ratio of two that are measured in turns varies
much less.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Comparison:
    """A figure of this package and of the plain way, in several rounds.

    ``own[n]`` and ``plain[n]`` were measured one after the other. ``limit`` is the
    ratio that is wanted, at least or at most; ``None`` if there is no limit.
    """

    name: str
    unit: str
    own: Sequence[float]
    plain: Sequence[float]
    limit: str | None = None

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of the rounds; ``None`` without a ratio.

        A round whose plain figure is 0 has no ratio, such as a search that found a
        machine too busy for any stream.
        """
        pairs = zip(self.own, self.plain, strict=True)
        ratios = [own / plain for own, plain in pairs if plain]
        return statistics.median(ratios) if ratios else None

    @property
    def row(self) -> str:
        """The medians and the ratio as a line of a table."""
        own, plain = statistics.median(self.own), statistics.median(self.plain)
        limit = "" if self.limit is None else f"  wanted: {self.limit}"
        name = f"{self.name} ({self.unit})"
        ratio = "none" if self.ratio is None else f"{self.ratio:.2f}"
        return f"{name:58}{own:10.2f}{plain:10.2f}{ratio:>8}{limit}"

    def as_dict(self) -> dict[str, object]:
        """The figures of all rounds, and the ratio."""
        return {**asdict(self), "ratio": self.ratio}


def in_turns(
    own: Callable[[], float], plain: Callable[[], float], *, rounds: int
) -> tuple[list[float], list[float]]:
    """Measure both ways in turns; return the figures of each."""
    pairs = [(own(), plain()) for _ in range(rounds)]
    return [own for own, _ in pairs], [plain for _, plain in pairs]
