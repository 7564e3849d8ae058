"""The soaks that a test runs: their arguments, their plans and their results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load import arguments, server_metrics, soak_run
from pytest_realtime_asr.load.arguments import Duration
from pytest_realtime_asr.load.cost import LoadCost
from pytest_realtime_asr.load.server_metrics import Sampler, Source, Unreadable
from pytest_realtime_asr.load.soak import Soak
from pytest_realtime_asr.load.soak_run import SoakRun
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.load_generator import LoadGenerator
from pytest_realtime_asr.run.load_sessions import LoadSessions
from pytest_realtime_asr.run.run import Run

_BESIDE = 3  # sessions beside the load: a long one, an idle one, and a short one


class SoakTest:
    """A soak that a test runs. Raises ValueError for a wrong argument.

    The arguments are those of `Realtime.soak`.
    """

    def __init__(
        self,
        run: Run,
        ledger: Ledger,
        plan: Plan,
        corpus: Iterable[Utterance],
        *,
        streams: int,
        duration: Duration,
        talk: float,
        seed: int,
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._plan = replace(plan, pace=1.0)
        self._corpus = list(corpus)
        if not self._corpus:
            raise ValueError("soak has no utterances to send; give one or more")
        self._seconds = arguments.seconds("duration", duration, least=soak_run.LEAST)
        checked = arguments.load(streams=streams, hold=duration, talk=talk, seed=seed)
        self._streams, self._talk = checked.streams, checked.talk
        self._seed = checked.seed
        self._generator: LoadGenerator | None = None
        self._soak: SoakRun | None = None
        ledger.refuse_closed()

    def run(self) -> Soak:
        """Run the soak, and block until it ends.

        Raises `AudioLimit` if the soak would exceed ``--realtime-max-audio``, and
        `LoadRefused` if the options of the run do not allow the load.
        """
        run = self._run
        run.take_turn(self._ledger)
        sampled, unread = _readable(run.servers.metrics(self._plan))
        plan = soak_run.plan(
            self._seconds,
            streams=self._streams,
            talk=self._talk,
            seed=self._seed,
            sampled=sampled is not None,
        )
        generator = self._generator = LoadGenerator(
            run,
            self._ledger,
            self._plan,
            soak_run.clips(self._corpus, plan),
            seed=self._seed,
        )
        long = soak_run.speech(self._corpus, plan.long, "long session")
        beside = LoadCost(plan.load.streams + _BESIDE, long.duration, 0.0)
        generator.refuse(generator.cost(plan.load) + beside)
        with generator.reserved([plan.load]):
            pass  # before the quiet time, if the load is beyond the limit of the run
        with run.account.reserved(long.duration, "the long session") as meter:
            sessions = LoadSessions(
                run,
                self._ledger,
                replace(self._plan, meter=meter),
                purpose=Purpose.WITNESS,
                concurrency=self._streams,
            )
            self._soak = SoakRun(
                plan,
                run.loop,
                sessions,
                long,
                lambda: generator.level(plan.load, compared=False),
                None if sampled is None else Sampler(sampled, interval=plan.interval),
                unread,
                run.progress,
            )
            try:
                found = self._soak.run()
            finally:
                run.progress("")
        self._ledger.load_findings.append(found)
        return found

    def interrupt(self) -> None:
        """End the soak that another thread runs."""
        if self._generator is not None:
            self._generator.interrupt()
        if self._soak is not None:
            self._soak.interrupt()


def _readable(source: Source | None) -> tuple[Source | None, str]:
    """Return the source if it can be read; otherwise ``None``, and the reason."""
    if source is None:
        return None, (
            "prometheus-client is not installed; install pytest-realtime-asr[load]"
        )
    try:
        server_metrics.read(source)
    except Unreadable as error:
        return None, str(error)
    return source, ""
