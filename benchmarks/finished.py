"""The cost of a finished session: ``python -m benchmarks.finished``.

It is the CPU time from the end of a session to the verdict of its test, with the line
in a JSON Lines report, the JUnit properties, the row of the table and, where the test
fails, its message. The sessions are synthetic: only what comes after their last frame
is measured. Each row is the median of several rounds.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio, silence
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.target import parse
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.corpus import Corpus, Utterance, Word
from pytest_realtime_asr.plugin.judging import Case, Judging
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.report import junit, messages
from pytest_realtime_asr.report.files import ReportFile
from pytest_realtime_asr.report.jsonl import Appender
from pytest_realtime_asr.run.identity import RunIdentity
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.trace.records import Ending, Record, Sender, Span
from pytest_realtime_asr.verdicts.budgets import latency_budget, wer_threshold

ROUNDS = 7
RATE, MS = 16_000, 1_000_000
TEST = "tests/test_it.py::test_it"
WORDS = "go forward ten meters turn left open the front door and stop here"
VLLM = dialects.load("vllm")


@dataclass
class Source:
    """The frames of the sessions, and the CPU time in s that reading them has taken."""

    records: list[Record] = field(default_factory=list)
    spent: float = 0.0


class Replayed(Live):
    """A session whose frames come from a source, without a connection."""

    source = Source()

    async def open(self) -> None:
        """Receive all frames at once."""
        begun = time.process_time()
        self._recorder.begin()
        self._recorder.open()
        for record in self.source.records:
            self._recorder.add(record)
        self._recorder.end(Ending.CLOSED_BY_US)
        self.source.spent += time.process_time() - begun

    async def configure(self) -> None:
        """Send nothing."""

    async def transcribe(self, audio: Audio, asset: str) -> int:
        """Send nothing: the final is there."""
        return 0

    async def close(self) -> None:
        """Note that nothing more comes."""
        self._until = time.monotonic_ns()


def main() -> None:
    """Print a row for each length of a session and each verdict."""
    print(f"{'ms of CPU per session':28}{'passes':>10}{'fails':>10}")
    for name, partials, sessions in (("10 s", 50, 5), ("1,000 partials", 1000, 1)):
        spent = [measure(partials, sessions, limit) for limit in ("60s", "1ms")]
        print(f"{name:28}{spent[0] * 1000:10.2f}{spent[1] * 1000:10.2f}", flush=True)


def measure(partials: int, sessions: int, limit: str) -> float:
    """Return the CPU time in s per session; ``limit`` is that of a latency."""
    clip, Replayed.source.records = session(partials)
    terms = Terms(
        "vllm",
        "m",
        1.0,
        0.1,
        budgets=(latency_budget("final_from_commit", p95=limit),),
        thresholds=(wer_threshold(0.9),),
    )
    config = settings(
        lambda option: "vllm" if option.name == "dialect" else None,
        lambda option: None,
        {},
    )
    run = Sessions(config.run, lambda: Corpus("warm", (clip,)), shared=None)
    plan = Plan(
        VLLM, Access(parse("ws://host", path="")), "m", {}, rules=VLLM.requirements
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = ReportFile(folder / "out.jsonl")
        run.sinks.append(Appender(report, RunIdentity("benchmark")))
        judging = Judging(
            run, folder=lambda: folder / "traces", origin=folder, given=lambda _: None
        )
        rounds = []
        for _ in range(ROUNDS):
            judging.begin(TEST)
            Replayed.source.spent = 0.0
            begun = time.process_time()
            Realtime(run, plan, terms).transcribe([clip] * sessions)
            case = Case(TEST, lambda: terms, (TEST,))
            results = judging.judge(case, failed=False, pooled=True)
            assert results is not None
            assert bool(messages.failure(results)) == (limit == "1ms")
            junit.properties(results)
            judging.row(results)
            spent = time.process_time() - begun - Replayed.source.spent
            rounds.append(spent / sessions)
        run.stop()
    return statistics.median(rounds)


class Sessions(Run):
    """A run whose sessions are replayed."""

    def session(self, ledger: Ledger, plan: Plan) -> Live:
        """Make a session of a test."""
        live = Replayed(self.loop, plan)
        ledger.sessions.append(live)
        return live


def session(partials: int) -> tuple[Utterance, list[Record]]:
    """Return an utterance with five partials a second, and the frames of its session.

    One word of ten is recognised wrongly.
    """
    source = random.Random(partials)
    said = source.choices(WORDS.split(), k=partials // 2)
    heard = " ".join(word if source.random() < 0.9 else "uh" for word in said)
    cuts = [len(heard) * n // partials for n in range(partials + 1)]
    length = partials / 5 / len(said)
    words = [Word(word, n * length, (n + 0.8) * length) for n, word in enumerate(said)]
    audio = silence(1.0, rate=RATE)
    clip = Utterance("long", " ".join(said), audio, tuple(words), "en")
    return clip, list(frames([heard[a:b] for a, b in pairwise(cuts)]))


def frames(deltas: list[str]) -> Iterator[Record]:
    """Yield the frames of both sides: two of audio for each delta, and the final."""
    buffer = "input_audio_buffer"

    def sent(at: int, kind: str, span: Span | None = None, **fields: object) -> Record:
        text = json.dumps({"type": kind, **fields})
        return Record(Sender.CLIENT, at, text, due=at, woke=at, span=span)

    def received(at: int, kind: str, **fields: object) -> Record:
        return Record(Sender.SERVER, at, json.dumps({"type": kind, **fields}))

    yield received(2 * MS, "session.created", id="s", created=1)
    yield sent(3 * MS, "session.update", model="m")
    yield sent(3 * MS, f"{buffer}.commit")
    at = 0
    for n, piece in enumerate(deltas):
        for half in (0, 1):
            start = (2 * n + half) * RATE // 10
            span = Span("long", start, start + RATE // 10)
            at = span.stop * 1000 * MS // RATE
            yield sent(at, f"{buffer}.append", span, audio="")
        at = (200 * (n + 1) + 50) * MS
        yield received(at, "transcription.delta", delta=piece)
    yield sent(at + MS, f"{buffer}.commit", final=True)
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    text = "".join(deltas)
    yield received(at + 42 * MS, "transcription.done", text=text, usage=usage)


if __name__ == "__main__":
    main()
