"""The messages about results: a verdict in one line, and the evidence below.

Most dashboards keep only the first line of a failure. So this line has all that is
needed: the value, the limit, the interval, the sample size and the side that is
responsible.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.load.cross_talk_finding import CrossTalkFinding
from pytest_realtime_asr.load.drain import Drain
from pytest_realtime_asr.load.incomplete_level import IncompleteLevel
from pytest_realtime_asr.load.soak import Soak
from pytest_realtime_asr.metrics import CATALOGUE, DECLARED, LEVELS
from pytest_realtime_asr.metrics import Unit as Measured
from pytest_realtime_asr.metrics.accuracy import SYNTHETIC
from pytest_realtime_asr.metrics.causality import PREMATURE
from pytest_realtime_asr.metrics.declaration import Declaration
from pytest_realtime_asr.report import alignment as alignments
from pytest_realtime_asr.report import (
    capacity,
    comparison,
    cross_talk,
    drain,
    incomplete_level,
    languages,
    parity,
    protocol_links,
    recall,
    soak,
    worst_sessions,
)
from pytest_realtime_asr.report.layout import USUAL
from pytest_realtime_asr.report.limits import compared, interval
from pytest_realtime_asr.report.reasons import reason_text
from pytest_realtime_asr.report.transcript import transcript
from pytest_realtime_asr.report.worst_sessions import Strips
from pytest_realtime_asr.run.ledger import LoadFinding
from pytest_realtime_asr.run.results import (
    BrokenRule,
    Cause,
    NotRecorded,
    Results,
    UnjudgedLoss,
    cause_verdict,
)
from pytest_realtime_asr.text.messages import error_text, printable, shortened
from pytest_realtime_asr.text.number_format import ms, plain, several, share
from pytest_realtime_asr.verdicts.budgets import Side, Stat
from pytest_realtime_asr.verdicts.client_delay import allowed_delay
from pytest_realtime_asr.verdicts.comparison import Comparison
from pytest_realtime_asr.verdicts.finding import WORST, Finding
from pytest_realtime_asr.verdicts.parity import Parity
from pytest_realtime_asr.verdicts.recall import RecallFinding
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.verdict import Verdict
from pytest_realtime_asr.verdicts.wer import WerFinding, mistakes

Judged = Finding | WerFinding | RecallFinding

REPLAYED = "replayed"  # begins each message about recorded sessions
PATH_SHARE = 0.2  # a round trip above this share of the limit is reported
_LONGEST_TEXT = 120  # the most characters that are shown of a transcript


def failures(results: Results, *, width: int | None = USUAL) -> list[str]:
    """Return one message for each cause of a test's failure, headline first.

    A message shows the strips of the worst sessions. A strip shows a session over
    time in at most ``width`` columns. If ``width`` is ``None``, there are no strips. If
    a message cannot be made, for example because the user's normaliser raises an error,
    the only message is about this error.
    """
    try:
        strips, failed = _strips(results, width)
        pairs = zip(results.failing, strips, strict=True)
        found = [text for cause, of in pairs for text in _named(cause, results, of)]
        return [*found, *failed]
    except Exception as error:
        return [_unmade(error, results)]


def _strips(results: Results, width: int | None) -> tuple[list[Strips], list[str]]:
    """Return the strips for each cause of the failure, and a list of error messages.

    If the strips cannot be made, there are no strips, and an error message says why.
    """
    none: list[Strips] = [{} for _ in results.failing]
    if width is None:
        return none, []
    try:
        return worst_sessions.of_causes(results, width=width), []
    except Exception as error:
        why = error_text(error, private=results.private)
        return none, [f"no strip could be made: {why}"]


def warnings(results: Results) -> list[str]:
    """Return one line for each undecided result that does not fail the test."""
    found = [line for cause in results.undecided for line in _warning(cause)]
    return _marked(found, results)


def skipped(results: Results) -> list[str]:
    """Return one line for each undecided result that skips the test.

    If the test fails, no line is returned.
    """
    if results.failing:
        return []
    return [
        text.partition("\n")[0]
        for cause in results.skipping
        for text in _named(cause, results, {})
    ]


def failure(results: Results, *, width: int | None = USUAL) -> str | None:
    """Return why a test fails and how to run it again; ``None`` if the test passes.

    ``width`` is the width of the strips, as in `failures`.
    """
    if not results.failing:
        return None
    lost = results.outage
    first = "" if lost is None else str(lost)
    return _joined(
        first, *failures(results, width=width), results.unkept, results.rerun
    )


def evidence(
    results: Results, *, losses: bool = False, width: int | None = USUAL
) -> str:
    """Return where the traces of a test are, and how to run the test again.

    This is for tests that have no verdict because their own code raised an error. If
    ``losses`` is true and utterances were lost, only the traces of the lost utterances
    are named. If no server was there, only the first lost utterances are listed. The
    strips of lost utterances have at most ``width`` columns, as in `failures`.
    """
    gone, first = results.outage, ""
    lost = {take.label for take in results.takes if take.lost}
    shown = lost if losses or gone is not None else set()
    strips: Strips = {}
    if width is not None and gone is None:
        strips = worst_sessions.of_losses(results, width=width)
    paths = [
        "\n".join([f"trace: {path}", *strips.get(label, ())])
        for label, path in results.paths.items()
        if not shown or label in shown
    ]
    paths += [
        "\n".join([f"session {label}", *lines])
        for label, lines in strips.items()
        if lines and label not in results.paths
    ]
    if gone is not None:
        first = str(gone)
        if more := max(0, gone.lost - WORST):
            paths = [
                *paths[:WORST],
                f"traces of {more} more lost utterances are in the same folder",
            ]
    return _joined(first, *paths, results.unkept, results.rerun)


def lines(results: Results) -> list[str]:
    """Return lines about the verdicts, the random order, parity and comparisons."""
    judged: list[Judged] = [*results.findings, *results.wer, *results.recall]
    found = [verdict(finding) for finding in judged]
    if results.order is not None:
        found.append(
            f"clips in random order (seed {results.order.seed}), until the verdict was "
            f"decided or {several(results.order.most, 'session')} were run"
        )
    found += map(parity.summary, results.parities)
    found += map(_load_summary, results.load_findings)
    return _marked(found, results) + [
        line for each in results.against for line in comparison.summary(each)
    ]


def _load_summary(found: LoadFinding) -> str:
    match found:
        case Drain():
            return drain.summary(found)
        case Soak():
            return soak.summary(found)
        case CapacityFinding():
            return f"{found.verdict.value}: {capacity.summary(found)}"
        case CrossTalkFinding():
            return f"{found.verdict.value}: {cross_talk.summary(found)}"
        case IncompleteLevel():
            return f"{found.verdict.value}: {incomplete_level.summary(found)}"


def rule(broken: BrokenRule) -> str:
    """Return one line about a violated requirement and its first violation."""
    violation, sessions = broken.violation, broken.sessions
    id, dialect = violation.requirement.id, violation.dialect
    often = f", in {sessions} sessions" if sessions > 1 and not violation.flaws else ""
    parts = [f"rule {violation}{often}", violation.requirement.clause]
    if fields := protocol_links.fields(dialect, id):
        parts.append(f"documented field: {', '.join(fields)}")
    if page := protocol_links.page(dialect, id):
        parts.append(f"see {page}")
    return "; ".join(parts)


def _shown_rule(broken: BrokenRule) -> list[str]:
    """Return the file of the trace and the frames of the first violation."""
    lines = [f"trace: {broken.trace}"] if broken.trace else []
    if (part := broken.violation.session) is not None:
        session = shortened(printable(part.timeline.session), 120)
        lines += [f"session {session or '?'}"]
        lines += transcript(part.trace.redacted(), broken.violation.records)
    return [f"  {line}" for line in lines]


def _failure(cause: Cause, results: Results, strips: Strips) -> list[str]:
    match cause:
        case Finding():
            return [_explained(cause, results, strips)]
        case WerFinding():
            texts = not results.private
            found = details(cause, texts=texts, strips=strips, paths=results.paths)
            return [_joined(headline(cause), found)]
        case RecallFinding():
            found = recall.details(
                cause, texts=not results.private, strips=strips, paths=results.paths
            )
            return [_joined(headline(cause), found)]
        case Parity():
            text = parity.summary if results.private else parity.details
            return [text(cause)]
        case Drain():
            return [drain.details(cause)]
        case Soak():
            return [soak.details(cause)]
        case CapacityFinding():
            return [capacity.details(cause)]
        case CrossTalkFinding():
            return [cross_talk.details(cause)]
        case IncompleteLevel():
            return [incomplete_level.summary(cause)]
        case Comparison():
            return comparison.failures(cause)
        case BrokenRule():
            drawn = [line for each in strips.values() for line in each]
            return [_joined(rule(cause), *_shown_rule(cause), *drawn)]
        case UnjudgedLoss():
            drawn = [line for each in strips.values() for line in each]
            return [_joined(_unjudged(cause), *drawn)]
        case _:
            return [_unmade(cause, results)]


def _warning(cause: Cause) -> list[str]:
    match cause:
        case Finding() | WerFinding() | RecallFinding():
            return [verdict(cause)]
        case Parity():
            return [parity.summary(cause)]
        case Drain() | Soak() | CapacityFinding() | CrossTalkFinding():
            return [_load_summary(cause)]
        case IncompleteLevel():
            return [_load_summary(cause)]
        case Comparison():
            return comparison.warnings(cause)
        case _:
            raise AssertionError(f"{cause!r} fails its test and is never a warning")


def _named(cause: Cause, results: Results, strips: Strips) -> list[str]:
    """Return the messages of a cause.

    Each message begins with the verdict, unless the verdict is FAIL. Dashboards keep
    the first line, which must show whether the server is at fault. ``strips`` are the
    strips of the sessions that the cause names.
    """
    verdict = cause_verdict(cause)
    name = "" if verdict is Verdict.FAIL else f"{verdict.value}: "
    found = [name + text for text in _failure(cause, results, strips)]
    return _marked(found, results)


def _marked(texts: list[str], results: Results) -> list[str]:
    """Return the messages, each marked if recorded sessions were replayed."""
    return [f"{REPLAYED}: {text}" for text in texts] if results.replayed else texts


def _explained(finding: Finding, results: Results, strips: Strips) -> str:
    """Return the headline of a finding, with its worst sessions below."""
    found = [headline(finding)]
    indent = f"{'':14}"
    for sample in finding.worst:
        take = results.judged[sample.label]
        value = outcome(finding.metric, sample)
        when = f"{take.trace.started:%Y-%m-%d %H:%M:%S} UTC"
        found.append(f"  {value:>12}  {take.utterance.id}  {sample.label}  {when}")
        if take.reason:
            found.append(f"{indent}{take.reason}")
        if path := results.paths.get(sample.label):
            found.append(f"{indent}trace: {path}")
        if not take.trace.redactor.private:
            text = take.text
            if len(text) > _LONGEST_TEXT:
                text = f"{text[:_LONGEST_TEXT]}..."
            found.append(f"{indent}text: {text!r}")
        found += strips.get(sample.label, ())
    return "\n".join(found)


def _unjudged(cause: UnjudgedLoss) -> str:
    first = cause.lost[0]
    return (
        f"{len(cause.lost)} of {cause.of} utterances have no final; "
        f"{first.utterance.id} {first.lost}: {first.reason}"
    )


def _unmade(error: Exception, results: Results) -> str:
    why = error_text(error, private=results.private)
    if isinstance(error, NotRecorded) and not results.private:
        why = str(error)  # whole: its end says what to do
    return f"no verdict could be made: {why}"


def _joined(*texts: str | None) -> str:
    return "\n".join(filter(None, texts))


def standing(finding: Judged) -> str:
    """Return the name of the verdict, and whether the sample proves the verdict.

    An example is ``PASS (not proven: n=24, needs 59)``.
    """
    counts = f"n={finding.n}"
    if finding.proven:
        return f"{finding.verdict.value} ({_proven(finding)}: {counts})"
    hopeful = finding.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    if hopeful and not isinstance(finding, WerFinding) and finding.needed:
        counts += f", needs {finding.needed}"
    return f"{finding.verdict.value} (not proven: {counts})"


def shown(metric: str, value: float) -> str:
    """Return a value of a metric with its unit."""
    if CATALOGUE[metric].unit is Measured.MS:
        return f"{ms(value)} ms"
    return f"{plain(value)}{_unit(CATALOGUE[metric])}"


def outcome(metric: str, sample: Sample) -> str:
    """Return the value of one session, how it was lost, or "not measured".

    If an event was premature, a note about it follows the value.
    """
    if sample.lost:
        return sample.lost
    if sample.value is None:
        return "not measured"
    value = shown(metric, sample.value)
    if sample.premature is None:
        return value
    return f"{value}, {PREMATURE[sample.premature]}"


def verdict(finding: Judged) -> str:
    """Return one line about a finding; the line starts with the name of the verdict."""
    return f"{standing(finding)}: {headline(finding, proof=False)}"


def headline(finding: Judged, *, proof: bool = True) -> str:
    """Return one line about a finding; dashboards often keep only this line.

    If ``proof`` is true, the line says whether the sample proves the verdict.
    """
    if isinstance(finding, WerFinding):
        return _wer_line(finding, proof=proof)
    if isinstance(finding, RecallFinding):
        return recall.headline(finding, proof=proof)
    if finding.metric in LEVELS:
        return _level_line(finding, proof=proof)
    limit, metric = finding.limit, CATALOGUE[finding.metric]
    timed = metric.unit is Measured.MS
    show, unit = (ms if timed else plain), _unit(metric)
    name = f"{finding.metric} {limit.name}"
    if finding.observed is None:
        wanted = f"{limit.side.value} {show(limit.value)}{unit}"
        return f"{name} {wanted}: {reason_text(finding.reason)}"
    sides = _sides(finding)
    n = f"n={finding.n}" + (" in order" if finding.decided else "")
    n += f" of {several(finding.clips, 'clip')}" if finding.clips else ""
    n += f", {finding.again} retried" if finding.again else ""
    beyond = "over" if limit.side is Side.AT_MOST else "under"
    early = [(f"with {PREMATURE[why]}", count) for why, count in finding.premature]
    parts = [_counted([n, f"{finding.over} {beyond}"], (*finding.lost, *early))]
    if finding.interval is not None:
        size = several(finding.clips, "clip") if finding.clips else f"n={finding.n}"
        by = " by clip" if finding.clips else ""
        shown = interval(finding.interval, finding.level, show, size=size, by=by)
        parts.insert(0, shown)
    if proof and finding.verdict is not Verdict.INVALID:
        parts += _proof(finding)
    if finding.beside is not None:
        parts.append(f"{metric.beside} {plain(finding.beside)}")
    if metric.paced and finding.path_ms is not None:
        parts.append(f"path {ms(finding.path_ms)} ms")
    failed = finding.verdict is Verdict.FAIL
    tail = _responsible(finding) if failed and metric.paced else ""
    if failed and finding.reason:
        tail = f"; FAIL: {reason_text(finding.reason)}{tail}"
    elif finding.verdict is Verdict.INVALID:
        tail = f"; not attributed to the server: {reason_text(finding.reason)}"
    elif finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; {reason_text(finding.reason)}"
    tail += _counting(finding, f"as {beyond} the limit")
    return f"{name} {sides} ({'; '.join(parts)}){tail}"


def _level_line(finding: Finding, *, proof: bool) -> str:
    """Return one line about the value of a metric at a level of load."""
    limit, metric = finding.limit, DECLARED[finding.metric]
    show, unit, level = (ms if metric.timed else plain), _unit(metric), finding.of_level
    name = finding.metric
    if level is not None:
        name += f" at {several(level.streams, 'stream')}"
    if finding.observed is None or level is None:
        wanted = f"{limit.side.value} {show(limit.value)}{unit}"
        return f"{name} {wanted}: {reason_text(finding.reason)}"
    n = several(finding.n, level.units)
    parts = [_counted([n], finding.lost)]
    if finding.interval is not None:
        parts.insert(0, interval(finding.interval, finding.level, show, size=n))
    if proof and finding.verdict is not Verdict.INVALID:
        parts.append("proven" if finding.proven else "not proven")
    tail = ""
    if finding.verdict is Verdict.INVALID:
        tail = f"; not attributed to the server: {reason_text(finding.reason)}"
    elif finding.verdict is Verdict.FAIL and finding.late_ms:
        delay = ms(finding.late_ms)
        tail = (
            "; server, not client (the FAIL does not depend on the client's delay of "
            f"up to {delay} ms)"
        )
    sides = compared(finding.observed, limit.value, show, unit, limit.side)
    return f"{name} = {sides} ({'; '.join(parts)}){tail}"


def _sides(finding: Finding) -> str:
    """Return the observed value beside its limit, as in ``= 211 ms <= 800 ms``.

    Lost and premature sessions have an infinite value. In place of an infinite value,
    the number of these sessions is shown.
    """
    limit, metric = finding.limit, CATALOGUE[finding.metric]
    timed, unit = metric.unit is Measured.MS, _unit(metric)
    show, observed = (ms if timed else plain), finding.observed
    assert observed is not None
    lost = sum(count for _, count in finding.lost)
    early = sum(count for _, count in finding.premature)
    if not (math.isinf(observed) and lost + early):
        return f"= {compared(observed, limit.value, show, unit, limit.side)}"
    sign = ">" if limit.side is Side.AT_MOST else "<"
    counts = [(lost, "never came" if timed else "lost"), (early, "came too early")]
    first, *more = [(count, what) for count, what in counts if count]
    texts = [f"{first[0]} of {finding.n} {first[1]}"]
    texts += [f"{count} {what}" for count, what in more]
    return f"{sign} {show(limit.value)}{unit}: {', '.join(texts)}"


def _responsible(finding: Finding) -> str:
    """Return the side responsible for a latency over its limit, and the evidence.

    Returns "" if all sessions over the limit were lost and some of them found no
    server.
    """
    lost = sum(count for _, count in finding.lost)
    if finding.unserved and finding.over <= lost:
        return ""
    most = finding.limit.value
    facts = [f"client delay {ms(finding.late_ms)} ms"]
    if finding.excused:
        facts.append(
            f"not counted: {several(finding.excused, 'session')} over the limit only "
            "because of the client's delay"
        )
    if finding.blocked_ms > allowed_delay(most):
        blocked = ms(finding.blocked_ms)
        facts.append(
            f"send_blocked {blocked} ms: audio waited until the connection took it"
        )
    who, path = "server", finding.path_ms
    if path is not None and path > PATH_SHARE * most:
        who = "server or path"
        facts.append(f"path_round_trip {ms(path)} ms, more than a fifth of the limit")
    return f"; {who}, not client ({'; '.join(facts)})"


def _counting(finding: Finding | WerFinding, how: str) -> str:
    """Return a note on the lost sessions, or "" if all of them found a server.

    ``how`` says how lost sessions count.
    """
    if not finding.unserved:
        return ""
    lost = several(sum(count for _, count in finding.lost), "lost session")
    return f"; includes {lost} ({how}), {finding.unserved} of them without a server"


def details(
    finding: WerFinding,
    *,
    width: int = USUAL,
    texts: bool = True,
    strips: Strips = MappingProxyType({}),
    paths: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the utterances with the most errors, each with its aligned texts.

    The result is empty if there are no errors. If ``texts`` is false, the result has
    only the numbers of errors. The strip of an utterance follows its aligned texts.
    ``paths`` maps the label of an utterance to the file of its trace.
    """
    blocks: list[str] = []
    for row, alignment in finding.worst:
        errors = alignment.errors
        head = f"{row.label} {row.utterance.id}: {mistakes(alignment)} wrong of"
        head += f" {errors.reference}" + (f", {row.lost}" if row.lost else "")
        if alignment.reason:  # the message of a normaliser may quote a text
            reason = alignment.reason if texts else alignment.reason.partition(":")[0]
            head += f"; {reason}"
        blocks.append(head)
        if path := paths.get(row.label):
            blocks.append(f"  trace: {path}")
        if texts:
            blocks.append(alignments.lines(alignment, width=width))
        blocks += strips.get(row.label, ())
    return "\n".join(blocks)


def _wer_line(finding: WerFinding, *, proof: bool) -> str:
    if finding.observed is None or finding.interval is None:
        return (
            f"{finding.name} <= {share(finding.limit)}: {reason_text(finding.reason)}"
        )
    sides = compared(finding.observed, finding.limit, share)
    errors = finding.errors
    n, size = f"n={finding.n}", f"n={finding.n}"
    if finding.speakers:
        size = several(finding.speakers, "speaker")
        n += f" of {size}"
    counts = [n, f"{errors.reference} {_UNITS[finding.name]}"]
    wrong = f"S={errors.substitutions} D={errors.deletions} I={errors.insertions}"
    if errors.unspoken:
        wrong += f", {errors.unspoken} {_UNITS[finding.name]} recognised in silence"
    known = languages.short(finding.languages)
    parts = [
        interval(finding.interval, finding.level, share, size=size),
        _counted([*counts, wrong], finding.lost),
        ": ".join(filter(None, ["+".join(finding.normalizers), known])),
        *(["proven" if finding.proven else "not proven"] if proof else []),
        *_perturbed(finding.perturbations),
        *([SYNTHETIC] if finding.synthetic else []),
    ]
    tail = ""
    if finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; {reason_text(finding.reason)}"
    tail += _counting(finding, "all their words as wrong")
    return f"{finding.name} = {sides} ({'; '.join(parts)}){tail}"


def _perturbed(names: tuple[str, ...]) -> list[str]:
    """Return the first perturbation and how many others there are, if any."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [f"{name}{more}" for name in names[:1]]


_UNITS = {"wer": "words", "cer": "characters", "wer+cer": "words and characters"}


def _proof(finding: Finding) -> list[str]:
    if finding.proven:
        return [_proven(finding)]
    if finding.limit.stat is Stat.MEAN:
        return ["not proven"]
    if finding.limit.stat is Stat.MAX:
        return ["not proven: no sample proves a maximum"]
    if finding.verdict is Verdict.FAIL or finding.needed is None:
        return ["not proven"]
    return [f"not proven: needs {finding.needed}"]


def _proven(finding: Judged) -> str:
    """Return "proven", or "proven for this corpus" if other clips may differ."""
    if not isinstance(finding, Finding) or not finding.clips:
        return "proven"
    # A value over the maximum violates it, whichever clips were sent.
    return "proven" if finding.limit.stat is Stat.MAX else "proven for this corpus"


def _counted(counts: list[str], lost: tuple[tuple[str, int], ...]) -> str:
    return ", ".join([*counts, *(f"{count} {reason}" for reason, count in lost)])


def _unit(metric: Declaration) -> str:
    """Return a space and the unit of a metric; "" for a ratio or a count."""
    if metric.unit in ("ratio", "count"):
        return ""
    return f" {metric.unit.replace('_', ' ')}"
