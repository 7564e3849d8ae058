"""The messages about the recall of keywords: a headline and the missed keywords."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pytest_realtime_asr.metrics.accuracy import SYNTHETIC
from pytest_realtime_asr.report.limits import compared, interval
from pytest_realtime_asr.report.reasons import reason_text
from pytest_realtime_asr.report.worst_sessions import Strips
from pytest_realtime_asr.text.number_format import several, share
from pytest_realtime_asr.verdicts.budgets import Side
from pytest_realtime_asr.verdicts.recall import RecallFinding
from pytest_realtime_asr.verdicts.verdict import Verdict

_LISTED = 20  # the most transcriptions with misses that are listed
_LONGEST_TEXT = 120  # the most characters that are shown of a transcript


def headline(finding: RecallFinding, *, proof: bool = True) -> str:
    """Return one line about a recall.

    With ``proof``, the line says whether the verdict is proven.
    """
    unspoken = ""
    if finding.unspoken:
        unspoken = f"in no reference: {', '.join(map(repr, finding.unspoken))}"
    if finding.observed is None or finding.interval is None:
        why = reason_text(finding.reason) + (f" ({unspoken})" if unspoken else "")
        return f"keyword_recall >= {share(finding.limit)}: {why}"
    sides = compared(finding.observed, finding.limit, share, side=Side.AT_LEAST)
    of = several(finding.utterances, "utterance")
    counts = [f"n={finding.n} in {of}", f"{finding.missed} missed"]
    counts += [f"{count} {reason}" for reason, count in finding.lost]
    parts = [
        interval(finding.interval, finding.level, share, size=f"n={finding.n}"),
        ", ".join(counts),
        "+".join(finding.normalizers),
        *([_proof(finding)] if proof else []),
        *([unspoken] if unspoken else []),
        *([SYNTHETIC] if finding.synthetic else []),
    ]
    tail = ""
    if finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; {reason_text(finding.reason)}"
    return f"keyword_recall = {sides} ({'; '.join(parts)}){tail}"


def _proof(finding: RecallFinding) -> str:
    if finding.proven:
        return "proven"
    if finding.verdict is Verdict.FAIL or finding.needed is None:
        return "not proven"
    return f"not proven: needs {finding.needed}"


def details(
    finding: RecallFinding,
    *,
    texts: bool = True,
    strips: Strips = MappingProxyType({}),
    paths: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return lines about each transcription that missed keywords.

    The lines show the missed keywords, the text, the file of the trace and the strip,
    which draws the session over time. If ``texts`` is false, the number of missed
    keywords replaces the keywords and the text. The keys of ``strips`` and ``paths``
    are labels of transcriptions.
    """
    lines = []
    for miss in finding.misses[:_LISTED]:
        row = miss.row
        words = (
            ", ".join(map(repr, miss.keywords)) if texts else str(len(miss.keywords))
        )
        lines.append(f"  {row.utterance.id}  {row.label}  missed: {words}")
        if path := paths.get(row.label):
            lines.append(f"    trace: {path}")
        if row.lost or row.hypothesis is None:
            lines.append(f"    {row.lost or 'no final'}")
        elif texts:
            text = row.hypothesis
            if len(text) > _LONGEST_TEXT:
                text = f"{text[:_LONGEST_TEXT]}..."
            lines.append(f"    text: {text!r}")
        lines += strips.get(row.label, ())
    if (more := len(finding.misses) - _LISTED) > 0:
        lines.append(f"  and {several(more, 'more utterance')} with missed keywords")
    return "\n".join(lines)
