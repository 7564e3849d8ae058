"""Shows what a conformance run would do to its server, and the cost of the run."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import target as targets
from pytest_realtime_asr.conformance import clips, first_utterance, selection
from pytest_realtime_asr.conformance.config import SuiteConfig
from pytest_realtime_asr.conformance.cost import Cost, cost
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.fakes import FAKES
from pytest_realtime_asr.text.number_format import several

_HEAD = f"  {'scenario':26} {'harm':10} {'runs':9} {'conn':>4} {'audio':>7}  what"


def plan(
    run: MeasurementConfig,
    suite: SuiteConfig,
    corpus: Corpus,
    scenarios_of: Sequence[Sequence[str]] | None,
    *,
    target: str,
    whole: bool,
) -> list[str]:
    """Return the plan of a run in one line, with a table below if ``whole`` is true.

    ``scenarios_of`` lists the scenarios of each requirement, ``None`` for the whole
    suite. ``target`` is empty if a fixture sets the target. Raises ValueError if the
    configuration is wrong, and LookupError for a dialect that is unknown or has no
    requirements.
    """
    dialect = dialects.load(run.session.dialect)
    if scenarios_of is None:
        selected = selection.judged(
            run.session.dialect, level=suite.level, pinned=run.pinned
        )
        scenarios_of = [each.scenarios for each in selected]
    asked = {first_utterance.NAME, *(name for names in scenarios_of for name in names)}
    chosen = [each for name, each in scenarios(dialect).items() if name in asked]
    spoken = clips.choose(corpus)
    here = not target or target in FAKES or _loopback(target, dialect.path)
    limits = selection.bounds(suite, here=here)
    pace = run.session.pace
    found = cost(chosen, spoken, limits, pace=pace)
    total = _total(found, len(scenarios_of))
    name = run.pinned.name if run.pinned else f"{dialect.name}, newest"
    fixture = (
        "" if target else " (a fixture sets the target: assumed to be on this machine)"
    )
    lines = [f"realtime conformance: {name}: {total}{fixture}"]
    if not whole:
        return lines
    lines.append(_HEAD)
    for each in chosen:
        kept = found.not_run.get(each.name)
        lines.append(
            f"  {each.name:26} {each.harm.value:10} {each.concurrency.value:9} "
            f"{each.sessions:4} {each.audio(spoken):5.1f} s  "
            + (f"NOT RUN: {kept}" if kept else each.about)
        )
    return lines


def _total(cost: Cost, requirements: int) -> str:
    """Return one line about the cost of a run."""
    not_run = f" ({len(cost.not_run)} not run)" if cost.not_run else ""
    return (
        f"{several(requirements, 'requirement')}, "
        f"{several(cost.scenarios, 'scenario')}{not_run}, "
        f"at most {cost.audio / 60:.1f} min of audio, "
        f"{several(cost.connections, 'connection')}, "
        f"{cost.streams} at a time, about {cost.seconds:.0f} s"
    )


def _loopback(text: str, path: str) -> bool:
    return targets.parse(text, path=path).loopback
