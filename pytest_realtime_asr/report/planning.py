"""What a conformance run would do to its server, and what that would cost."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import target
from pytest_realtime_asr.conformance import clips, selection
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.plugin.options import FAKES
from pytest_realtime_asr.plugin.settings import Settings

_HEAD = f"  {'scenario':26} {'harm':10} {'runs':9} {'conn':>4} {'audio':>7}  what"


def lines(
    settings: Settings,
    corpus: Corpus,
    scenarios_of: Sequence[Sequence[str]] | None,
    where: str,
    *,
    whole: bool,
) -> list[str]:
    """One line on requirements, by their scenarios; the ``whole`` plan has a table.

    ``scenarios_of`` has those of each requirement, ``None`` for the whole suite.
    ``where`` is the target, empty where a fixture gives it. Raises ValueError, and
    LookupError for an unknown dialect.
    """
    dialect = dialects.load(settings.dialect)
    if scenarios_of is None:
        scenarios_of = [each.scenarios for each in selection.requirements(settings)]
    asked = {name for names in scenarios_of for name in names}
    chosen = [each for name, each in scenarios(dialect).items() if name in asked]
    spoken = clips.choose(corpus)
    here = not where or where in FAKES or _loopback(where, dialect.path)
    limits = selection.bounds(settings, here=here)
    cost = selection.cost(chosen, len(scenarios_of), spoken, limits, pace=settings.pace)
    suite = settings.suite.name if settings.suite else f"{dialect.name}, newest"
    fixture = "" if where else " (the target is a fixture's: as if it is here)"
    told = [f"realtime conformance: {suite}: {cost}{fixture}"]
    if not whole:
        return told
    told.append(_HEAD)
    for each in chosen:
        kept = cost.held_back.get(each.name)
        told.append(
            f"  {each.name:26} {each.harm.value:10} {each.concurrency.value:9} "
            f"{each.sessions:4} {each.audio(spoken):5.1f} s  "
            + (f"NOT RUN: {kept}" if kept else each.about)
        )
    return told


def _loopback(text: str, path: str) -> bool:
    return target.parse(text, path=path).loopback
