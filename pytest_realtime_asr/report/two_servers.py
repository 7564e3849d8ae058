"""Says which of two servers is better, and shows both side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pytest_realtime_asr.report.changes import shown, value
from pytest_realtime_asr.verdicts.change import Change, Outcome
from pytest_realtime_asr.verdicts.comparison import Comparison

_BETTER = {
    Outcome.BETTER: "target",
    Outcome.WORSE: "baseline",
    Outcome.SAME: "same",
    Outcome.UNDECIDED: "undecided",
    Outcome.INVALID: "INVALID",
}


def lines(comparison: Comparison) -> list[str]:
    """Return a line that says which server is better, and a table of both."""
    if not comparison.changes:
        return []
    return [_better(comparison), *_table(comparison.changes)]


def _better(comparison: Comparison) -> str:
    """Return which server is better.

    Only the metrics that have a limit decide. If none has a limit, all metrics decide.
    """
    judged = [change for change in comparison.changes if change.gated]
    found = judged or comparison.changes
    ours = [change for change in found if change.outcome is Outcome.BETTER]
    theirs = [change for change in found if change.outcome is Outcome.WORSE]
    target, other = f"the target {comparison.this}", f"the baseline {comparison.other}"
    if ours and theirs:
        said = (
            f"{target} is better in {_named(ours)}; {other} is better in "
            f"{_named(theirs)}"
        )
    elif ours:
        said = f"{target} is better than {other}: {_named(ours)}"
    elif theirs:
        said = f"{other} is better than {target}: {_named(theirs)}"
    elif all(change.outcome is Outcome.SAME for change in found):
        said = f"{target} and {other} are the same within the limits"
    else:
        said = f"neither {target} nor {other} is shown to be better"
    return said if judged else f"{said}; not judged"


def _named(changes: Iterable[Change]) -> str:
    return ", ".join(
        f"{each.name} {value(each, each.now)} against {value(each, each.before)}"
        for each in changes
    )


def _table(changes: Sequence[Change]) -> list[str]:
    rows = [("", "target", "baseline", "change", "better"), *map(_row, changes)]
    lost = max((change.lost for change in changes), key=sum)
    if any(lost):
        rows.append(("lost sessions", str(lost[1]), str(lost[0]), "", ""))
    width = max(len(row[0]) for row in rows)
    return [
        f"{name:{width}} {now:>9} {before:>9} {change:>10}  {better}".rstrip()
        for name, now, before, change, better in rows
    ]


def _row(change: Change) -> tuple[str, str, str, str, str]:
    better = _BETTER[change.outcome]
    known = not math.isnan(change.effect)
    return (
        change.name,
        value(change, change.now),
        value(change, change.before),
        shown(change.effect, change.margin.scale, "+") if known else "-",
        better if change.gated else f"{better} (not judged)",
    )
