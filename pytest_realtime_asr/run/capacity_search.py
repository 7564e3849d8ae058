"""The capacity searches that a test runs, with their arguments and their sessions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load import arguments
from pytest_realtime_asr.load.arguments import MOST_STREAMS, Duration, seconds
from pytest_realtime_asr.load.capacity import Capacity, Tried
from pytest_realtime_asr.load.capacity_run import CapacityRun, plan_of
from pytest_realtime_asr.load.cost import bounded_cost
from pytest_realtime_asr.load.decision import Held
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.permission import overload_refusal
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.run.audio_account import AudioLimit
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.load_generator import LoadGenerator
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.inputs import shown

_RAMP = 6  # the ramp lasts a sixth of the hold
_PAUSE = 5.0  # s between two levels at most; a sixth of the hold if that is shorter


class CapacitySearch:
    """A capacity search that a test runs. Raises ValueError for a wrong argument.

    The arguments are those of `Realtime.capacity`.
    """

    def __init__(
        self,
        run: Run,
        ledger: Ledger,
        plan: Plan,
        terms: Terms,
        corpus: Iterable[Utterance],
        *,
        between: tuple[int, int],
        hold: Duration,
        confirm: Duration,
        max_time: Duration,
        ramp: Duration | None,
        talk: float,
        jitter: Duration,
        varied: bool,
        seed: int,
        witnesses: int,
        beyond: bool,
    ) -> None:
        ledger.refuse_closed()
        low, high = _range(between)
        held_for = seconds("hold", hold)
        if ramp is None:
            ramp = timedelta(seconds=held_for / _RAMP)
        load = arguments.load(
            streams=low,
            hold=hold,
            ramp=ramp,
            talk=talk,
            jitter=jitter,
            varied=varied,
            seed=seed,
            witnesses=witnesses,
        )
        self._run = run
        self._ledger = ledger
        self._plan = plan
        self._generator = LoadGenerator(
            run, ledger, plan, corpus, seed=seed, terms=terms
        )
        clips = self._generator.clips
        # A limit of a level's metric judges the confirmation, at the end of the test.
        budgets = tuple(each for each in terms.budgets if each.metric in CATALOGUE)
        held = Held(budgets, terms.thresholds, clips)
        held.check()
        self._search = CapacityRun(
            self,
            plan_of(
                load,
                [each.duration for each in clips.values()],
                between=(low, high),
                confirm=seconds("confirm", confirm),
                max_time=seconds("max_time", max_time),
                pause=min(_PAUSE, held_for / _RAMP),
                q=held.strictest,
                beyond=beyond and self._may_overload(),
            ),
            held,
            load,
            plan.chunk,
            told=self._told,
        )

    def search(self) -> Capacity:
        """Run the search and block until it is over.

        If a level would exceed ``--realtime-max-audio``, the search ends. Raises
        `LoadRefused` if the options of the run do not allow the load.
        """
        plan = self._search.plan
        most = plan.most_streams
        self._generator.refuse(bounded_cost(most, plan.max_time), whole=False)
        self._generator.check(replace(self._search.load, streams=most))
        try:
            found = self._search.run()
        except AudioLimit as error:
            if not self._search.levels:
                raise
            found = self._search.result(ended=str(error))
        self._ledger.capacities.append(found)
        return found

    def interrupt(self) -> None:
        """End the level that another thread runs."""
        self._generator.interrupt()

    # What `load.capacity_run.Server` needs:

    def run(self, load: Load, *, number: int) -> Level:
        """Run a level whose sessions do not count for the limits of the test.

        ``number`` is not used: the ledger of the test gives each level its number.
        """
        return self._generator.run(load, purpose=Purpose.SEARCH)

    def ready(self) -> bool:
        """Return whether the server accepts sessions, after a wait if necessary."""
        recovery = self._run.servers.recovery
        return self._run.loop.run(recovery.is_there(self._plan.access))

    def count(self, level: Level) -> None:
        """Count the sessions of the steady part of a level as sessions of the test."""
        self._ledger.count_level(level)

    def _told(self, tried: Tried) -> None:
        if tried.level is not None:
            self._generator.end(tried.level, tried.decision, tried.step)

    def _may_overload(self) -> bool:
        """Return whether a level is allowed to exceed the capacity of the server."""
        here = self._plan.access.target.loopback
        allowed = self._run.config.load.allow
        why = overload_refusal(here=here, allowed=allowed)
        if why is not None:
            self._run.warn(why)
        return why is None


def _range(between: object) -> tuple[int, int]:
    """Return the two numbers in ``between``. Raises ValueError if it is not a range."""
    match between:
        case (int() as low, int() as high) if 1 <= low <= high <= MOST_STREAMS:
            return low, high
    raise ValueError(
        f"between={shown(between)} is no range of streams; give two numbers from 1 to "
        f"{MOST_STREAMS}, the lower one first, such as between=(1, 500)"
    )
