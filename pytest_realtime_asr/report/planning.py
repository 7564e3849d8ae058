"""What a conformance run would do to its server, and what that would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_realtime_asr import dialects, target
from pytest_realtime_asr.conformance import clips, selection
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.options import FAKES
from pytest_realtime_asr.settings import Settings

_HEAD = f"  {'scenario':26} {'harm':10} {'company':9} {'conn':>4} {'audio':>7}  what"


def lines(
    settings: Settings,
    corpus: Corpus,
    marks: Sequence[Mapping[str, str]],
    where: str,
    *,
    whole: bool,
) -> list[str]:
    """One line on the requirements of these marks; the ``whole`` plan has a table.

    ``where`` is the target, empty where a fixture gives it. Raises ValueError.
    """
    dialect = dialects.load(settings.dialect)
    asked = {name for mark in marks for name in mark["scenario"].split(" ")}
    chosen = [each for name, each in scenarios(dialect).items() if name in asked]
    spoken = clips.choose(corpus)
    here = not where or where in FAKES or _loopback(where, dialect.path)
    limits = selection.bounds(settings, here=here)
    cost = selection.cost(chosen, len(marks), spoken, limits, pace=settings.pace)
    suite = settings.suite.name if settings.suite else f"{dialect.name}, newest"
    told = [f"realtime conformance: {suite}: {cost}"]
    if not whole:
        return told
    told.append(_HEAD)
    for each in chosen:
        kept = cost.held_back.get(each.name)
        told.append(
            f"  {each.name:26} {each.harm.value:10} {each.company.value:9} "
            f"{each.sessions:4} {each.audio(spoken):5.1f} s  "
            + (f"NOT RUN: {kept}" if kept else each.about)
        )
    return told


def _loopback(text: str, path: str) -> bool:
    return target.parse(text, path=path).loopback
