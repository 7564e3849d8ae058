"""What the metrics cost: ``python -m benchmarks.metrics``.

Sessions of 10 s with a word each 0.4 s are measured, a thousand and ten thousand of
them. The cost of one should be the same in both, so that the ratio is about 1.
"""

from __future__ import annotations

import random
import time

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.metrics import measure
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Partial,
    Timeline,
)

RATE, CHUNK = 16_000, 1_600
SECONDS, WORD = 10, 0.4
MS = 1_000_000
VOCABULARY = ("go", "forward", "ten", "meters", "turn", "left", "open", "door", "stop")
SOUND = silence(SECONDS, rate=RATE)


def session(seed: int) -> tuple[Timeline, Utterance]:
    """A paced session whose words come 300 ms late, and what was said in it."""
    rng = random.Random(seed)
    count = int(SECONDS / WORD)
    said = [rng.choice(VOCABULARY) for _ in range(count)]
    words = tuple(Word(w, n * WORD, (n + 0.8) * WORD) for n, w in enumerate(said))
    events: list[Heard | Partial] = []
    for n in range(1, SECONDS * 10 + 1):
        due = 100 * n * MS
        events.append(Heard(0, CHUNK * n, due, due, due, 2 * CHUNK))
    length = 0
    for n, word in enumerate(said):
        heard = word if rng.random() < 0.9 else "uh"
        added = f" {heard}" if n else heard
        at = round((words[n].end * 1000 + 300 + rng.random() * 50) * MS)
        events.append(Partial(0, at, length, added))
        length += len(added)
    events.sort(key=lambda event: event.at if isinstance(event, Partial) else event.due)
    text = ""
    for event in events:
        if isinstance(event, Partial):
            text = text[: event.kept] + event.added
    end = SECONDS * 1000 * MS
    last: list[Event] = [Commit(0, end, end, end), Final(0, end + 250 * MS, text)]
    timeline = Timeline(RATE, 0, 0, (*events, *last), End(Ending.CLOSED_BY_US, end))
    return timeline, Utterance(f"u{seed}", " ".join(said), SOUND, words, "en")


def cost(count: int) -> float:
    """The seconds in which so many sessions are measured."""
    sessions = [session(seed) for seed in range(count)]
    begun = time.process_time()
    for timeline, utterance in sessions:
        measure(timeline, utterance)
    return time.process_time() - begun


def main() -> None:
    """Print both, and the ratio of what one session costs."""
    few, many = cost(1_000), cost(10_000)
    print(f"1,000 sessions of {SECONDS} s: {few:.2f} s")
    print(f"10,000 sessions: {many:.2f} s, {many / few / 10:.2f} times as much each")


if __name__ == "__main__":
    main()
