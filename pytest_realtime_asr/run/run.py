"""One test run in one process: its event loop, and the sessions of each test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Purpose, Transcription
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.load.executor import Executor
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.run.audio_account import AudioAccount
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.ledger import CUT_OFF, INTERRUPTED, Ledger
from pytest_realtime_asr.run.reporters import Reporters
from pytest_realtime_asr.run.servers import Servers, ignore
from pytest_realtime_asr.run.turns import Turns
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.verdicts.utterance_record import Conditions

_DOUBTED = 10  # clips whose audio the run warns of


class Run:
    """The state of a test run in this process.

    ``warm`` returns the corpus of the warm-up. ``shared`` is a folder that all workers
    of the run can access, ``None`` for a single process. Workers take turns, unless the
    configuration lets them run in parallel. When an utterance ends, each of the
    ``sinks`` is called with the test id and the transcription; when a level of load
    ends, each of the ``level_sinks`` is called with the test id, the record of the
    level and the plan of its sessions. ``progress`` shows a line to the user during the
    run; an empty line clears the previous line. ``warn`` takes a line that the user
    sees at the end of the run.
    """

    def __init__(
        self,
        config: MeasurementConfig,
        warm: Callable[[], Corpus],
        *,
        shared: Path | None,
    ) -> None:
        self.config = config
        self.sinks: list[Callable[[str, Transcription], None]] = []
        self.level_sinks: list[Callable[[str, LevelRecord, Plan], None]] = []
        self.progress: Callable[[str], None] = ignore
        self.warn: Callable[[str], None] = ignore
        self.turns = Turns(shared, parallel=config.parallel)
        self.shared = shared is not None
        self.reporters = Reporters(shared)
        self.account = AudioAccount(config.max_audio, shared)
        self.servers = Servers(
            config,
            warm,
            loop=lambda: self.loop,
            turns=self.turns,
            shared=shared,
            progress=lambda text: self.progress(text),
            warn=lambda text: self.warn(text),
            meter=self.account.meter,
        )
        self._warm = warm
        self._doubted: set[str] = set()
        self._loop: Loop | None = None
        self._executor: Executor | None = None
        self._ledger: Ledger | None = None

    @property
    def loop(self) -> Loop:
        """The event loop of the sessions, started when it is first used."""
        if self._loop is None:
            self._loop = Loop()
        return self._loop

    @property
    def executor(self) -> Executor:
        """The executor that runs load; its workers start when they are first used."""
        if self._executor is None:
            self._executor = self.config.load.place.executor()
        return self._executor

    @property
    def redactor(self) -> Redactor:
        """The redactor for all secrets that are known so far."""
        return self.servers.redactor

    def conditions(
        self, plan: Plan, utterance: Utterance, *, concurrency: int = 1
    ) -> Conditions:
        """Return the conditions in which a session of the plan sends an utterance."""
        return Conditions(
            corpus=self._digest,
            pace=plan.pace,
            chunk=plan.chunk,
            concurrency=concurrency,
            perturbation=utterance.perturbation,
            model=plan.model,
            labels=self.config.labels,
            replayed=plan.replayed,
        )

    @cached_property
    def _digest(self) -> str:
        return self._warm().digest

    def begin(self, test: str) -> None:
        """Start a test; all sessions that open until `finish` belong to it."""
        self._ledger = Ledger(test)

    @property
    def ledger(self) -> Ledger:
        """The ledger of the running test. Raises RuntimeError if no test runs."""
        if self._ledger is None:
            raise RuntimeError("a realtime session can only open while a test runs")
        return self._ledger

    def take_turn(self, ledger: Ledger) -> None:
        """Wait for the turn of the test; the test keeps the turn until it ends.

        Call this method before a session is opened. Never call it on the event loop,
        since it blocks.
        """
        self.turns.take(ledger.turn)

    def session(self, ledger: Ledger, plan: Plan) -> Live:
        """Return a new session of a test. Raises `Ended` if the test has ended."""
        __tracebackhide__ = True
        ledger.refuse_closed()
        live = Live(self.loop, plan, pings=True)
        ledger.sessions.append(live)
        return live

    def ended(self, ledger: Ledger, place: int, take: Transcription) -> None:
        """Record the result of an utterance and pass it to all sinks.

        ``place`` is the number of the utterance in its test, from 0. If a sink raises
        an error, the user is warned; the test and the other sinks are not affected.
        """
        ledger.end(place, take)
        self._warn_of_doubts(take.utterance)
        for sink in self.sinks:
            with self._warning(sink, "utterances"):
                sink(ledger.test, take)

    def level_ended(self, ledger: Ledger, record: LevelRecord, plan: Plan) -> None:
        """Record a level of load and pass it to all level sinks.

        If a sink raises an error, the user is warned; the test and the other sinks are
        not affected.
        """
        ledger.end_level(record)
        for sink in self.level_sinks:
            with self._warning(getattr(sink, "__self__", sink), "levels"):
                sink(ledger.test, record, plan)

    @contextmanager
    def _warning(self, sink: object, what: str) -> Iterator[None]:
        """Turn an error that a sink raises in the block into a warning to the user.

        ``what`` names the data that is missing from the sink after the error.
        """
        try:
            yield
        except Exception as error:
            why = error_text(error, private=self.redactor.private)
            self.warn(f"{sink}: {why}; {what} are missing from this report")

    def _warn_of_doubts(self, clip: Utterance) -> None:
        """Warn of a clip whose audio may be distorted, for at most `_DOUBTED` clips."""
        try:
            doubts = clip.doubts
        except AudioError:  # the test reports it
            return
        if not doubts or len(self._doubted) >= _DOUBTED:
            return
        self._doubted.add(clip.id)
        hidden = f"{clip.id}: its audio may be distorted"
        for line in (hidden,) if self.redactor.private else doubts:
            self.warn(line)

    def finish(self, *, interrupted: bool = False) -> Ledger | None:
        """Close the sessions of the running test and return the ledger of the test.

        If no test runs, return ``None``. ``interrupted`` says that an interrupt of the
        run ends the test; the open utterances then count for no verdict.
        """
        ledger, self._ledger = self._ledger, None
        if ledger is None:
            return None
        ledger.closed = ledger.turn.ended = True
        try:
            if ledger.sessions:
                self.loop.run(_close(ledger.sessions))
            for place in sorted(ledger.open):
                take = ledger.open[place].ended(INTERRUPTED if interrupted else CUT_OFF)
                if interrupted:
                    take = replace(take, purpose=Purpose.INTERRUPTED)
                self.ended(ledger, place, take)
            self.servers.note_trouble(ledger.test, ledger.sessions)
        finally:
            self.account.publish()
            self.turns.end(ledger.turn)
        return ledger

    def stop(self) -> None:
        """End the running test and the event loop."""
        self.finish(interrupted=True)
        if self._executor is not None:
            self._executor.stop()
            self._executor = None
        if self._loop is not None:
            self._loop.stop()
            self._loop = None


async def _close(sessions: list[Live]) -> None:
    await asyncio.gather(*(live.close() for live in sessions))
