"""Puts load on the server of a test, and records the sessions in the test's ledger."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_realtime_asr.client.meter import Meter
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.admission import admission
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.cost import LoadCost, alone_cost, level_cost
from pytest_realtime_asr.load.decision import (
    Decision,
    Held,
    decide,
)
from pytest_realtime_asr.load.executor import Connection
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.outcome import counted, limits_of, outcomes
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.runner import ALONE, Runner
from pytest_realtime_asr.load.schedule import most_audio, possible_clips
from pytest_realtime_asr.load.texts import cross_talk, solo
from pytest_realtime_asr.load.trials import Step
from pytest_realtime_asr.load.witnesses import CLIPS, RECOVERY
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.run import load_preflight
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.load_preflight import LoadRefused
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.number_format import length, several
from pytest_realtime_asr.verdicts.budgets import Budget, Stat
from pytest_realtime_asr.verdicts.limits import BudgetError

MOST_CLIPS = 1200.0  # s of audio of the clips of a load at most; a worker keeps them

_OUTSIDE = (Purpose.ALONE, Purpose.WITNESS)  # sent by this process, not by a worker


class _Relay(Meter):
    """Counts the audio that is sent; the meter of the running level counts it too."""

    def __init__(self) -> None:
        super().__init__()
        self.meter: Meter | None = None

    def add(self, seconds: float) -> None:
        super().add(seconds)
        if self.meter is not None:
            self.meter.add(seconds)


class LoadGenerator:
    """Runs levels of load for one test.

    ``corpus`` gives the clips; of a large corpus, a random part is drawn with ``seed``.
    ``terms`` are the terms of the test. Raises ValueError if the corpus is empty.
    """

    def __init__(
        self,
        run: Run,
        ledger: Ledger,
        plan: Plan,
        corpus: Iterable[Utterance],
        *,
        seed: int = 0,
        terms: Terms | None = None,
    ) -> None:
        self._run = run
        self._terms = terms
        self._ledger = ledger
        self._plan = replace(plan, pace=1.0)
        clips = [each.in_language(run.config.language) for each in corpus]
        if not clips:
            raise ValueError("load has no utterances to send; give one or more")
        self._clips = {each.id: each for each in _drawn(clips, seed)}
        self._recording = threading.Lock()
        self._meter = run.account.meter
        self._relay = _Relay()
        self._streams = 1
        self._runner: Runner | None = None
        self._interrupted = False

    @property
    def clips(self) -> Mapping[str, Utterance]:
        """The clips that the load sends, by id."""
        return self._clips

    def runner(self) -> Runner:
        """Return the runner of the levels; it records their sessions in the ledger.

        All levels have the same runner. Therefore, the clips are sent alone once, and
        not again for each level.
        """
        self._relay.meter = self._meter
        if self._runner is not None:
            return self._runner
        self._runner = Runner(
            self._run.loop,
            replace(self._plan, meter=self._relay),
            _connection(self._plan, self._run),
            tuple(self._clips.values()),
            self._run.executor,
            sink=self._record,
            report=lambda progress: self._run.progress(str(progress)),
            metrics=self._run.servers.metrics(self._plan),
            every_trace=self._run.config.load.every_trace,
        )
        if self._interrupted:
            self._runner.interrupt()
        return self._runner

    def interrupt(self) -> None:
        """End the level that another thread runs, or is about to run."""
        self._interrupted = True
        if self._runner is not None:
            self._runner.interrupt()

    @contextmanager
    def reserved(self, loads: Sequence[Load], *, only: bool = False) -> Iterator[None]:
        """Reserve the largest length of audio that these levels can send.

        ``only`` says that no other clips than those of the levels are sent alone.
        The reservation ends with the ``with`` block. Raises `AudioLimit` if the run
        may not send so much audio.
        """
        account = self._run.account
        if account.limit is None:
            yield
            return
        lengths = [each.duration for each in self._clips.values()]
        sent = _possible(loads, lengths) if only else lengths
        seconds = min(sum(sent), ALONE + max(sent))
        seconds += sum(_audio(load, lengths) for load in loads)
        what = " and ".join(
            f"{several(load.streams, 'stream')} for {length(load.planned)}"
            for load in loads
        )
        with account.reserved(seconds, what) as meter:
            before, self._meter = self._meter, meter
            try:
                yield
            finally:
                self._meter = before

    def level(self, load: Load, *, compared: bool = True) -> Level:
        """Run one level and record it.

        The sessions of its steady part are judged as sessions of the test. If
        ``compared`` is true, the clips that the level can send are sent alone first, to
        compare their texts with and without load. No other level may follow. Blocks, so
        never call this method on the event loop. Raises `AudioLimit`, and `LoadRefused`
        if the options of the run do not allow the load.
        """
        self.refuse(self.cost(load))
        if compared:  # the check would take the other sessions of a soak for strangers'
            self.check(load)
        level = self.run(load, purpose=Purpose.TEST, compared=compared, only=True)
        self.end(level, self._decision(level))
        return level

    def run(
        self,
        load: Load,
        *,
        purpose: Purpose,
        compared: bool = True,
        only: bool = False,
    ) -> Level:
        """Run one level; the sessions of its steady part have the purpose ``purpose``.

        If ``compared`` is true, the clips are sent alone before the first compared
        level: those that the level can send if it is the ``only`` one, or else all of
        them. Blocks, so never call this method on the event loop. Raises `AudioLimit`.
        """
        load = replace(load, most_errors=self._run.config.load.most_errors)
        self._run.take_turn(self._ledger)
        self._run.loop.run(self._run.servers.recovery.wait(self._plan.access))
        with self.reserved([load], only=only):
            self._streams = load.streams
            try:
                return self.runner().run(
                    load,
                    number=len(self._ledger.records) + 1,
                    purpose=purpose,
                    compared=compared,
                    only=only,
                )
            finally:
                self._run.progress("")

    def end(
        self, level: Level, decision: Decision | None, step: Step | None = None
    ) -> None:
        """Record a level that has ended.

        ``decision`` is the decision on the limits of the test, or ``None`` if a level
        can decide none of these limits. ``step`` is the step of the capacity search, or
        ``None`` outside of a search. The user is warned if the server seems to limit
        the number of sessions.
        """
        budgets = () if self._terms is None else self._terms.budgets
        alone, limits = solo(level.alone, self._clips), limits_of(budgets)
        ends = counted(outcomes(level.steady, alone, self._clips, limits))
        mixed = cross_talk(level.steady, alone, self._clips)
        record = LevelRecord(level, decision, ends, mixed, step)
        self._run.level_ended(self._ledger, record, self._plan)
        witness = level.witness
        rows = [*level.rows, *witness.before, *witness.through, *witness.after]
        if (found := admission(rows)) is not None:
            self._run.warn(f"{self._ledger.test}: {found.text}")

    def _decision(self, level: Level) -> Decision | None:
        """Return the decision on those limits of the test that a level can decide.

        Returns ``None`` if there are no such limits. The verdicts at the end of the
        test do not depend on this decision.
        """
        budgets = () if self._terms is None else self._terms.budgets
        thresholds = () if self._terms is None else self._terms.thresholds
        held = Held(tuple(filter(_decidable, budgets)), thresholds, self._clips)
        if not (held.budgets or held.thresholds):
            return None
        try:
            return decide(level, held)
        except BudgetError:  # a metric was not measured, which the test's verdict says
            return None

    def cost(self, load: Load) -> LoadCost:
        """Return the cost of one level, and of sending only its clips alone."""
        lengths = [each.duration for each in self._clips.values()]
        return alone_cost(_possible([load], lengths)) + level_cost(load, lengths)

    def refuse(self, cost: LoadCost, *, whole: bool = True) -> None:
        """Raise `LoadRefused` if the options of the run do not allow a load.

        ``whole`` says that the load needs all the audio that ``cost`` states;
        otherwise, the load may end earlier.
        """
        load_preflight.refuse(self._run, self._plan, cost, whole=whole)

    def check(self, load: Load) -> None:
        """Warn of conditions that could be mistaken for a saturated server.

        Raises `LoadRefused` if the load would prove nothing. Blocks for the time of one
        HTTP request.
        """
        self._run.take_turn(self._ledger)
        lengths = [each.duration for each in self._clips.values()]
        for found in load_preflight.findings(self._run, self._plan, load, lengths):
            if found.hard:
                raise LoadRefused(found.text)
            self._run.warn(found.text)

    def _record(self, row: Row, purpose: Purpose) -> None:
        """Record a session as a transcription; any thread may call this method."""
        outside = purpose in _OUTSIDE
        conditions = self._run.conditions(
            self._plan,
            self._clips[row.clip],
            concurrency=1 if outside else self._streams,
        )
        take = row.take(self._plan, self._clips, purpose=purpose, conditions=conditions)
        with self._recording:
            if not outside:
                self._meter.add(row.seconds)
            place = self._ledger.add()
            self._run.servers.note_end(
                self._ledger.test, self._plan.access, row.opened.end
            )
            self._run.ended(self._ledger, place, take)


def _decidable(budget: Budget) -> bool:
    """Return whether the sessions of one level can decide a budget."""
    stats = {limit.stat for limit in budget.limits}
    return budget.over is None and budget.metric in CATALOGUE and Stat.MAX not in stats


def _possible(loads: Sequence[Load], lengths: Sequence[float]) -> Sequence[float]:
    """Return the lengths of the clips that the loads can send."""
    every = {clip for load in loads for clip in possible_clips(load, lengths)}
    return [lengths[clip] for clip in sorted(every)]


def _audio(load: Load, lengths: Sequence[float]) -> float:
    """Return the audio in s that a level sends at most."""
    shortest = sum(sorted(lengths)[:CLIPS])
    lone = load.planned + 3 * shortest + RECOVERY
    return most_audio(load, lengths) + load.witnesses * lone


def _drawn(clips: Sequence[Utterance], seed: int) -> list[Utterance]:
    """Return random clips, with at most `MOST_CLIPS` s of audio, but at least one clip.

    The clips are in the order of the corpus.
    """
    order = random.Random(seed).sample(range(len(clips)), len(clips))
    drawn: list[int] = []
    left = MOST_CLIPS
    for index in order:
        left -= clips[index].duration
        if drawn and left < 0:
            break
        drawn.append(index)
    return [clips[index] for index in sorted(drawn)]


def _connection(plan: Plan, run: Run) -> Connection:
    """Return the connection of a plan, with the contents of its certificates."""
    tls = run.config.server.tls
    if not plan.access.target.secure:
        return connection(plan)
    return connection(
        plan,
        ca=_contents(tls.ca),
        certificate=_contents(tls.client_cert),
        key=_contents(tls.client_key),
        insecure=tls.insecure,
    )


def _contents(path: Path | None) -> str:
    return "" if path is None else path.read_text()
