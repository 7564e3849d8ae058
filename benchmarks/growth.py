"""The cost of long sessions: ``python -m benchmarks.growth``.

A synthetic session is read, measured, judged and reported, as at the end of a test.
Each row is a process of its own, so that its peak of memory is known. ``x2`` is the
ratio to the row before, for a doubling of the size: 2 where the cost is linear.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from math import log2

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.run.identity import RunIdentity
from pytest_realtime_asr.run.results import judge_test
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
)
from pytest_realtime_asr.trace.timeline import Event, Partial

RATE, MS = 16_000, 1_000_000
PARTIALS = (1_000, 2_250, 4_500, 9_000, 18_000)  # 18,000: an hour, 5 a second
LENGTHS = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000)  # bytes of text
VOCABULARY = [
    "go",
    "forward",
    "ten",
    "meters",
    "turn",
    "left",
    "open",
    "the",
    "front",
    "door",
    "and",
    "stop",
    "here",
]
APPENDED, REWRITTEN, ENDLESS = "appended", "rewritten", "endless"
BACK = 30  # characters that a partial repeats


def main() -> None:
    """Print a table for each way to grow, or measure one row."""
    if len(sys.argv) == 4:
        dialect, way, partials = sys.argv[1:]
        measure(dialect, way, *map(int, partials.split("/")))
        return
    print(f"{'':34}{'time':>10}{'x2':>7}{'peak':>12}{'x2':>7}")
    for dialect in ("vllm", "openai"):
        for way in (APPENDED, REWRITTEN):
            rows(
                f"{dialect}, {way}, partials",
                dialect,
                way,
                [(n, 3 * n) for n in PARTIALS],
            )
    for way in (APPENDED, ENDLESS):
        rows(f"vllm, {way}, bytes", "vllm", way, [(1_000, n) for n in LENGTHS])


def rows(title: str, dialect: str, way: str, sizes: list[tuple[int, int]]) -> None:
    """Print a line for each size, each measured in a process of its own."""
    _, base = child(dialect, way, 2, 6)
    before: tuple[int, float, float] | None = None
    for partials, length in sizes:
        spent, peak = child(dialect, way, partials, length)
        size = length if title.endswith("bytes") else partials
        ratios = ["", ""]
        if before is not None:
            doubled = log2(size / before[0])
            ratios = [
                f"{(now / then) ** (1 / doubled):.2f}"
                for now, then in ((spent, before[1]), (peak - base, before[2]))
            ]
        before = (size, spent, max(peak - base, 0.1))
        print(
            f"{title:24}{size:10,}{spent:9.2f}s{ratios[0]:>7}{peak - base:9.1f} MB"
            f"{ratios[1]:>7}",
            flush=True,
        )


def child(dialect: str, way: str, partials: int, length: int) -> tuple[float, float]:
    """Return the CPU seconds and the peak in MB of one session of this size."""
    command = [sys.executable, __file__, dialect, way, f"{partials}/{length}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
    spent, peak = json.loads(done.stdout)
    return spent, peak


def measure(dialect: str, way: str, partials: int, length: int) -> None:
    """Print the cost of one session, from its frames to its line in a report."""
    it = dialects.load(dialect)
    trace, clip = session(dialect, way, partials, length)
    begun = time.process_time()
    recording = dialects.recording(it, trace)
    if way == REWRITTEN:
        events = tuple(rewritten(recording.timeline.events))
        timeline = replace(recording.timeline, events=events)
        recording = replace(recording, timeline=timeline)
    take = Transcription(clip, recording, it, it.requirements)
    jsonl.line("test", take, RunIdentity("benchmark"))
    terms = Terms(dialect, "m", 1.0, 0.1)
    judge_test("test", [take], terms, pools={}, violations=take.violations)
    spent = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([spent, peak / (1024 if sys.platform == "linux" else 2**20)]))


def session(
    dialect: str, way: str, partials: int, length: int
) -> tuple[Trace, Utterance]:
    """Return a paced session with five partials a second, and its utterance."""
    rng = random.Random(partials)
    said = rng.choices(VOCABULARY, k=length // 3 + 1)
    text = " ".join(said)[:length].strip()
    said = text.split()
    if way == ENDLESS:
        text = text.replace(" ", "")
    heard = " ".join(word if rng.random() < 0.9 else "uh" for word in text.split())
    cuts = [len(heard) * n // partials for n in range(partials + 1)]
    times = partials / 5 / len(said)
    words = [Word(word, n * times, (n + 0.8) * times) for n, word in enumerate(said)]
    records = list(frames(dialect, [heard[a:b] for a, b in pairwise(cuts)]))
    at = records[-1].at
    end = End(Ending.CLOSED_BY_US, at + MS)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    trace = Trace(
        Vantage.CLIENT, dialect, RATE, "ws://here", begun, MS, tuple(records), end
    )
    known = () if way == ENDLESS else tuple(words)
    return trace, Utterance("long", text, silence(1.0, rate=RATE), known, "en")


def frames(dialect: str, deltas: list[str]) -> Iterator[Record]:
    """Yield the frames of both sides: two of audio for each delta, and the final."""
    ours = ["session.update", "input_audio_buffer.commit"]
    spoken = "conversation.item.input_audio_transcription"
    text = "".join(deltas)
    if dialect == "vllm":
        greeting: dict[str, object] = {
            "type": "session.created",
            "id": "s",
            "created": 1,
        }
        delta = {"type": "transcription.delta"}
        last: list[dict[str, object]] = [{"type": "transcription.done", "text": text}]
        end: dict[str, object] = {"type": ours[1], "final": True}
    else:
        ours = ours[:1]
        session = {"id": "s", "type": "transcription"}
        greeting = {"type": "session.created", "event_id": "e", "session": session}
        delta = {"type": f"{spoken}.delta", "item_id": "i"}
        last = [
            {"type": "input_audio_buffer.committed", "item_id": "i"},
            {
                "type": f"{spoken}.completed",
                "item_id": "i",
                "transcript": "".join(deltas),
            },
        ]
        end = {"type": "input_audio_buffer.commit"}

    def said(at: int, frame: dict[str, object], span: Span | None = None) -> Record:
        text = json.dumps(frame)
        return Record(Sender.CLIENT, at, text, due=at, woke=at, span=span)

    yield Record(Sender.SERVER, 2 * MS, json.dumps(greeting))
    for kind in ours:
        yield said(3 * MS, {"type": kind, "session": {}, "model": "m"})
    append: dict[str, object] = {"type": "input_audio_buffer.append", "audio": ""}
    for n, piece in enumerate(deltas):
        for half in (0, 1):
            at = (2 * n + half) * RATE // 10
            span = Span("long", at, at + RATE // 10)
            yield said(span.stop * 1000 * MS // RATE, append, span)
        at = (200 * (n + 1) + 50) * MS
        yield Record(Sender.SERVER, at, json.dumps({**delta, "delta": piece}))
    yield said(at + MS, end)
    for n, each in enumerate(last, 2):
        yield Record(Sender.SERVER, at + n * MS, json.dumps(each))


def rewritten(events: tuple[Event, ...]) -> Iterator[Event]:
    """Yield the events with partials that repeat some of the last words."""
    text = ""
    for event in events:
        if isinstance(event, Partial):
            kept = max(0, event.kept - BACK)
            text += event.added
            event = replace(event, kept=kept, added=text[kept:])
        yield event


if __name__ == "__main__":
    main()
