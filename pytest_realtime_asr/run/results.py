"""The results of one test as numbers: the measured values and the verdicts.

Each result is computed once. `pytest_realtime_asr.report` makes the reports from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.load.cross_talk_finding import CrossTalkFinding
from pytest_realtime_asr.load.drain import Drain
from pytest_realtime_asr.load.incomplete_level import IncompleteLevel
from pytest_realtime_asr.load.level import Level as LoadLevel
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.level_values import judged_level
from pytest_realtime_asr.load.soak import Soak
from pytest_realtime_asr.metrics import LEVELS
from pytest_realtime_asr.requirements import flaws
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.requirements.violations import Violation
from pytest_realtime_asr.run.ledger import LoadFinding, RandomOrder
from pytest_realtime_asr.run.outage import Outage, outage, unserved
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.messages import shortened
from pytest_realtime_asr.text.name_list import first_names
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.budgets import Budget
from pytest_realtime_asr.verdicts.comparison import Comparison
from pytest_realtime_asr.verdicts.finding import Finding, Judgement
from pytest_realtime_asr.verdicts.fixed_sample import judge
from pytest_realtime_asr.verdicts.level_limits import judge_levels
from pytest_realtime_asr.verdicts.parity import Parity
from pytest_realtime_asr.verdicts.recall import RecallFinding, judge_recall
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.sequential import judge_in_order
from pytest_realtime_asr.verdicts.verdict import (
    Effect,
    Verdict,
    effect,
    worst,
)
from pytest_realtime_asr.verdicts.wer import WerFinding, judge_wer

Pools = Mapping[Budget, Sequence[Transcription]]
"""Budgets, each with the transcriptions that decide it."""


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A requirement that was violated.

    ``violation`` is the first violation of the requirement; its message has the flaws
    of all sessions. ``sessions`` is the number of sessions that violated the
    requirement. ``trace`` is the file of the trace of the first violation, or "" if the
    trace was not written.
    """

    violation: Violation
    sessions: int
    trace: str = ""


@dataclass(frozen=True, slots=True)
class UnjudgedLoss:
    """Lost utterances that no marker judges and for which `Lost` was not raised.

    ``of`` is the number of all utterances of the test.
    """

    lost: tuple[Transcription, ...]
    of: int


class NotRecorded(Exception):
    """Raised if a replay has no recording of an utterance; there is no verdict then."""


def check_recorded(takes: Sequence[Transcription]) -> None:
    """Raise `NotRecorded` if a replay had no recording of one of these utterances."""
    missing = [take for take in takes if take.trace.unrecorded]
    if missing:
        count = several(len(takes), "utterance")
        names = first_names([take.utterance.id for take in missing])
        raise NotRecorded(
            f"the replay could not serve {len(missing)} of {count} ({names}): "
            f"{missing[0].reason}; record the sessions of this test with "
            "--realtime-traces=DIR --realtime-trace-keep=all"
        )


Cause = (
    Finding
    | WerFinding
    | RecallFinding
    | Parity
    | LoadFinding
    | Comparison
    | BrokenRule
    | UnjudgedLoss
    | Exception
)
"""Why a test fails or is undecided.

If no verdict could be computed, the cause is the exception that was raised.
"""


@dataclass(frozen=True, slots=True)
class Results:
    """The measurements and the verdicts of one test, the same for every report.

    ``takes`` are the transcriptions that the test made to be judged (`Purpose.TEST`),
    and ``beside`` are the transcriptions that it made for other purposes. ``judged``
    maps labels to all transcriptions that the budgets judge, including those of other
    tests.

    ``failing`` has the reasons why the test fails, in the order of their verdicts, the
    worst verdict first. ``undecided`` has the undecided results for which the test only
    warns, and ``skipping`` has the undecided results for which the test is skipped.
    ``reported`` has the reasons that the user has already seen: reasons in the
    exception `Lost`, and reasons found before the pools were judged.

    ``paths`` maps labels to the trace files that were written. ``unkept`` says why the
    traces of the test could not be kept. ``rerun`` is the command that runs the test
    again. ``levels`` are the levels of load of the test. In a ``private`` run, no text
    may be quoted.
    """

    test: str
    takes: tuple[Transcription, ...]
    findings: tuple[Finding, ...] = ()
    wer: tuple[WerFinding, ...] = ()
    recall: tuple[RecallFinding, ...] = ()
    violations: tuple[Violation, ...] = ()
    parities: tuple[Parity, ...] = ()
    load_findings: tuple[LoadFinding, ...] = ()
    against: tuple[Comparison, ...] = ()
    order: RandomOrder | None = None
    failing: tuple[Cause, ...] = ()
    undecided: tuple[Cause, ...] = ()
    skipping: tuple[Cause, ...] = ()
    judged: Mapping[str, Transcription] = field(default_factory=dict, repr=False)
    paths: Mapping[str, str] = field(default_factory=dict)
    rerun: str = ""
    unkept: str | None = None
    private: bool = False
    reported: tuple[Cause, ...] = ()
    levels: tuple[LevelRecord, ...] = ()
    beside: tuple[Transcription, ...] = field(default=(), repr=False)

    @property
    def outage(self) -> Outage | None:
        """The time in which no server was there; ``None`` if there is no such time.

        It is also ``None`` for a test with a single utterance.
        """
        return outage(self.takes) if len(self.takes) > 1 else None

    @property
    def planned(self) -> int:
        """The number of utterances that the test has begun."""
        return len(self.takes)

    @property
    def lost(self) -> int:
        """The number of utterances without a final."""
        return sum(bool(take.lost) for take in self.takes)

    @property
    def replayed(self) -> bool:
        """Whether the server replayed any of the sessions that are judged."""
        every = (*self.takes, *self.judged.values())
        return any(take.conditions.replayed for take in every)

    @property
    def verdict(self) -> Verdict | None:
        """The worst of all verdicts; ``None`` if there is no verdict.

        A broken rule or a lost session that fails the test is a ``FAIL``.
        """
        found = [each.verdict for each in self.findings]
        found += [each.verdict for each in self.wer]
        found += [each.verdict for each in self.recall]
        found += [each.verdict for each in self.parities]
        found += [each.verdict for each in self.load_findings]
        found += [each.verdict for each in self.against if each.verdict is not None]
        found += map(cause_verdict, (*self.reported, *self.failing))
        return worst(found) if found else None

    @property
    def proven(self) -> bool:
        """Return whether the sample proves the verdict of the test.

        A ``PASS`` is proven if every single verdict is proven. A ``FAIL`` is proven if
        a rule is broken, if a lost session fails the test, or if it is proven that at
        least one limit is not met.
        """
        every: list[Finding | WerFinding | RecallFinding]
        every = [*self.findings, *self.wer, *self.recall]
        if self.verdict is Verdict.FAIL:
            causes = (*self.reported, *self.failing)
            if any(isinstance(each, BrokenRule | UnjudgedLoss) for each in causes):
                return True
            return any(each.proven for each in every if each.verdict is Verdict.FAIL)
        passed = self.verdict is Verdict.PASS and bool(every)
        return passed and all(each.proven for each in every)


def judge_test(
    test: str,
    takes: Sequence[Transcription],
    terms: Terms,
    *,
    pools: Pools,
    violations: Iterable[Violation] = (),
    order: RandomOrder | None = None,
    against: Sequence[Comparison] = (),
    parities: Sequence[Parity] = (),
    levels: Sequence[LoadLevel] = (),
    load_findings: Sequence[LoadFinding] = (),
) -> Results:
    """Judge a test by its terms and return its results.

    ``pools`` has the transcriptions that each budget judges. ``violations`` are the
    violations in all sessions that the test opened. If ``order`` is set, a sequential
    test judges the budgets that it can decide.

    ``levels`` are the levels of load that the test ran. Budgets on metrics of a level
    judge only the levels with `Purpose.TEST`. If there is no such level, the budgets
    that ``--realtime-budget`` sets on these metrics do not count.
    """
    findings = [
        replace(finding, unserved=unserved(pool))
        for budget, pool in pools.items()
        for finding in _judge(budget, pool, terms, order).findings
    ]
    findings += _of_levels(terms, takes, levels)
    wer = [
        replace(judge_wer(threshold, takes), unserved=unserved(takes))
        for threshold in terms.thresholds
    ]
    violated = tuple(violations)
    causes: dict[Effect, list[Cause]] = {each: [] for each in Effect}
    private = terms.private or is_private(takes)
    recall = [judge_recall(threshold, takes) for threshold in terms.recalls]
    if private:  # a keyword may be a name that was said
        recall = [replace(each, unspoken=()) for each in recall]
    judged: list[Finding | WerFinding | RecallFinding | Parity | LoadFinding]
    judged = [*findings, *wer, *recall, *parities, *load_findings]
    for each in judged:
        causes[effect(each.verdict, terms.undecided)].append(each)
    causes[Effect.FAIL] += [each for each in against if each.failed]
    causes[Effect.WARN] += against  # a comparison may have undecided changes
    causes[Effect.FAIL] += broken_rules(violated, _levels(terms.rules))
    counting = [each for each in terms.budgets if _counts_lost(each)]
    if terms.rules is not None and not (pools or wer or recall or counting):
        causes[Effect.FAIL] += _unjudged(takes)
    return Results(
        test=test,
        takes=tuple(takes),
        findings=tuple(findings),
        wer=tuple(wer),
        recall=tuple(recall),
        violations=violated,
        parities=tuple(parities),
        load_findings=tuple(load_findings),
        against=tuple(against),
        order=order,
        failing=tuple(sorted(causes[Effect.FAIL], key=_rank)),
        undecided=tuple(causes[Effect.WARN]),
        skipping=tuple(sorted(causes[Effect.SKIP], key=_rank)),
        judged={take.label: take for pool in pools.values() for take in pool},
        private=private,
    )


def cause_verdict(cause: Cause) -> Verdict:
    """Return the verdict of a cause; a cause that has no verdict counts as ``FAIL``."""
    match cause:
        case Finding() | WerFinding() | RecallFinding() | Parity():
            return cause.verdict
        case Drain() | Soak() | CapacityFinding() | CrossTalkFinding():
            return cause.verdict
        case IncompleteLevel():
            return cause.verdict
        case Comparison() if cause.invalid:
            return Verdict.INVALID
        case NotRecorded():  # no server is at fault
            return Verdict.INVALID
        case _:
            return Verdict.FAIL


def _rank(cause: Cause) -> int:
    """Return the rank of a cause; a worse verdict has a lower rank."""
    return -list(Verdict).index(cause_verdict(cause))


def is_private(takes: Iterable[Transcription]) -> bool:
    """Return whether the texts of these transcriptions must not be quoted."""
    return any(take.trace.redactor.private for take in takes)


def _judge(
    budget: Budget,
    pool: Sequence[Transcription],
    terms: Terms,
    order: RandomOrder | None,
) -> Judgement:
    if order is not None and _sequential(budget):
        return judge_sequence(budget, pool, terms, order)
    return judge(
        budget, _samples(pool, budget.metric), pace=terms.pace, parallel=terms.parallel
    )


def _of_levels(
    terms: Terms, takes: Iterable[Transcription], levels: Iterable[LoadLevel]
) -> list[Finding]:
    """Return the findings of all budgets on metrics of a level of load."""
    judged = [level for level in levels if level.purpose is Purpose.TEST]
    asked = [
        budget
        for budget in terms.budgets
        if budget.metric in LEVELS and (judged or budget not in terms.of_run.budgets)
    ]
    if not asked:
        return []
    clips = {take.utterance.clip: take.utterance for take in takes}
    values = [judged_level(level, terms.budgets, clips) for level in judged]
    return [
        finding
        for budget in asked
        for finding in judge_levels(
            budget, values, pace=terms.pace, parallel=terms.parallel
        ).findings
    ]


def _counts_lost(budget: Budget) -> bool:
    """Return whether a budget limits a metric of `LEVELS` that counts lost sessions."""
    return budget.metric in LEVELS and LEVELS[budget.metric].counts_lost


def judge_sequence(
    budget: Budget, takes: Iterable[Transcription], terms: Terms, order: RandomOrder
) -> Judgement:
    """Judge a budget by a sequential test of the transcriptions, in their order."""
    return judge_in_order(
        budget,
        _samples(takes, budget.metric),
        most=order.most,
        pace=terms.pace,
        parallel=terms.parallel,
    )


def decided(takes: Sequence[Transcription], terms: Terms, order: RandomOrder) -> bool:
    """Return whether every sequential verdict is decided."""
    for budget in sequential_budgets(terms):
        found = judge_sequence(budget, takes, terms, order)
        # A missing value stays missing, so no later session can change the FAIL.
        hopeless = found.findings[0].n > 0 and found.verdict is Verdict.FAIL
        if found.decided is None and not hopeless:
            return False
    return True


def sequential_budgets(terms: Terms) -> list[Budget]:
    """Return the budgets that a sequential test can decide."""
    return list(filter(_sequential, terms.budgets))


def _sequential(budget: Budget) -> bool:
    return budget.over is None and budget.provable


def _samples(takes: Iterable[Transcription], metric: str) -> list[Sample]:
    return [take.sample(metric) for take in takes if take.counts_for(metric)]


def broken_rules(
    violations: Iterable[Violation],
    levels: Iterable[Level] = (Level.MUST, Level.SHOULD),
) -> list[BrokenRule]:
    """Return the violated requirements that have one of these levels."""
    wanted = set(levels)
    by_id: dict[str, list[Violation]] = {}
    for violation in violations:
        if violation.requirement.level in wanted:
            by_id.setdefault(violation.requirement.id, []).append(violation)
    return [BrokenRule(_merged(each), len(each)) for each in by_id.values()]


def _merged(violations: Sequence[Violation]) -> Violation:
    """Return the first violation of a requirement, with the flaws of all violations."""
    first = violations[0]
    if not first.flaws or first.session is None:
        return first
    message = flaws.described([each.flaws for each in violations])
    redactor = first.session.trace.redactor
    return replace(first, message=redactor.message(shortened(message)))


def _levels(weakest: Level | None) -> tuple[Level, ...]:
    if weakest is None:
        return ()
    return (Level.MUST,) if weakest is Level.MUST else (Level.MUST, Level.SHOULD)


def _unjudged(takes: Sequence[Transcription]) -> list[UnjudgedLoss]:
    lost = tuple(take for take in takes if take.lost and not take.raised)
    return [UnjudgedLoss(lost, len(takes))] if lost else []
