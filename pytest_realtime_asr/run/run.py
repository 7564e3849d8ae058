"""One test run in one process: its event loop, and whose session is whose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live, Plan
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.ledger import CUT_OFF, Ledger
from pytest_realtime_asr.run.servers import Servers, ignore
from pytest_realtime_asr.run.transcription import Transcription
from pytest_realtime_asr.run.turns import Turns
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.verdicts.utterance_record import Conditions


class Run:
    """The state of a test run in this process.

    ``warm`` returns the corpus of the warm-up. ``shared`` is a folder that all workers
    of the run see, ``None`` for a single process; workers take turns, unless the
    configuration lets them measure in parallel. ``sinks`` are called with the test id
    and the transcription as each utterance ends. ``progress`` reports the progress to a
    person who waits, an empty text clears it; ``warn`` reports one line for the end of
    the run.
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
        self.progress: Callable[[str], None] = ignore
        self.warn: Callable[[str], None] = ignore
        self.turns = Turns(shared, parallel=config.parallel)
        self.shared = shared is not None
        self.servers = Servers(
            config,
            warm,
            loop=lambda: self.loop,
            turns=self.turns,
            shared=shared,
            progress=lambda text: self.progress(text),
            warn=lambda text: self.warn(text),
        )
        self._warm = warm
        self._loop: Loop | None = None
        self._ledger: Ledger | None = None

    @property
    def loop(self) -> Loop:
        """The event loop of the sessions, started when it is first used."""
        if self._loop is None:
            self._loop = Loop()
        return self._loop

    @property
    def redactor(self) -> Redactor:
        """A redactor for all secrets that are known so far."""
        return self.servers.redactor

    def conditions(self, plan: Plan, *, concurrency: int = 1) -> Conditions:
        """Return the conditions of an utterance, by which runs are compared."""
        return Conditions(
            corpus=self._digest,
            pace=plan.pace,
            chunk=plan.chunk,
            concurrency=concurrency,
            model=plan.model,
            labels=self.config.labels,
        )

    @cached_property
    def _digest(self) -> str:
        return self._warm().digest

    def begin(self, test: str) -> None:
        """Start a test, to which sessions belong from now on."""
        self._ledger = Ledger(test)

    @property
    def ledger(self) -> Ledger:
        """The ledger of the running test. Raises RuntimeError between the tests."""
        if self._ledger is None:
            raise RuntimeError("a realtime session can only run while a test runs")
        return self._ledger

    def take_turn(self, ledger: Ledger) -> None:
        """Wait until the test may measure; the end of the test gives the turn back.

        It is called before a session is opened, and not on the event loop.
        """
        self.turns.take(ledger.turn)

    def session(self, ledger: Ledger, plan: Plan) -> Live:
        """Make a session of a test. Raises `Ended` once the test has ended."""
        __tracebackhide__ = True
        ledger.refuse_closed()
        live = Live(self.loop, plan, pings=True)
        ledger.sessions.append(live)
        return live

    def ended(self, ledger: Ledger, place: int, take: Transcription) -> None:
        """Record what became of an utterance, and report it at once.

        A report that cannot be written changes neither the test nor the other reports.
        """
        ledger.end(place, take)
        for sink in self.sinks:
            try:
                sink(ledger.test, take)
            except Exception as error:
                why = error_text(error, private=self.redactor.private)
                self.warn(f"{sink}: {why}; utterances are missing in it")

    def finish(self) -> Ledger | None:
        """Close the sessions of the running test; returns its ledger, once."""
        ledger, self._ledger = self._ledger, None
        if ledger is None:
            return None
        ledger.closed = ledger.turn.ended = True
        try:
            if ledger.sessions:
                self.loop.run(_close(ledger.sessions))
            for place in sorted(ledger.open):
                self.ended(ledger, place, ledger.open[place].ended(CUT_OFF))
            self.servers.note_trouble(ledger.test, ledger.sessions)
        finally:
            self.turns.end(ledger.turn)
        return ledger

    def stop(self) -> None:
        """End the running test and the event loop."""
        self.finish()
        if self._loop is not None:
            self._loop.stop()
            self._loop = None


async def _close(sessions: list[Live]) -> None:
    await asyncio.gather(*(live.close() for live in sessions))
