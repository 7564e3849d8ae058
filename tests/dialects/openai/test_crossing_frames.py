"""A correct server of OpenAI's protocol has no violation, and its texts are read.

The tests run 1,000 random sessions, in which frames cross on the wire and items are
completed in any order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from random import Random

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import Dialect, Reaction, Server
from pytest_realtime_asr.dialects.openai.session_setup import LOGPROBS
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.order import order
from pytest_realtime_asr.requirements.requirement import Satisfied, Violated
from pytest_realtime_asr.trace.records import TAIL, Ending, Record, Span, Trace
from pytest_realtime_asr.trace.timeline import Endpoint, Usage
from tests.support.crossing import (
    CLIENT,
    MS,
    SERVER,
    WAIT,
    Side,
    SimulatedSession,
    Simulation,
)

RATE = 8_000
NAMES = (
    "openai:rates=8000",
    "openai:sglang rates=8000",
    "openai:localai rates=8000",
    "openai-beta:rates=8000",
    "openai-beta:speaches rates=8000",
    "openai-beta:riva rates=8000",
)
DIALECTS = {name: dialects.load(name) for name in NAMES}
ENDS = (Ending.CLOSED_BY_US, Ending.DEADLINE, Ending.CLOSED_BY_PEER)
BUFFER = "input_audio_buffer"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
OVER = (f"{TRANSCRIPTION}.completed", f"{TRANSCRIPTION}.failed")
VAD = {"type": "server_vad", "prefix_padding_ms": 0, "silence_duration_ms": 100}


class Failing:
    """A correct server in which some items fail."""

    def __init__(self, server: Server, random: Random, odds: int) -> None:
        self._server = server
        self._random = random
        self._odds = odds
        self.failed: set[int] = set()  # utterances

    @property
    def rate(self) -> int:
        return self._server.rate

    def open(self, session: str, created: int) -> Iterable[str | bytes]:
        return self._server.open(session, created)

    def hear(self, frame: str | bytes) -> Reaction:
        return self._server.hear(frame)

    def partial(self, added: str, item: int) -> Iterable[str | bytes]:
        return self._server.partial(added, item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str | bytes]:
        for frame in self._server.final(text, usage, item):
            event = json.loads(frame)
            if event["type"] == OVER[0] and not self._random.randrange(self._odds):
                self.failed.add(item)
                event["type"] = OVER[1]
                del event["transcript"], event["usage"]
                event["error"] = {"type": "server_error", "code": "x", "message": "no"}
                frame = json.dumps(event)
            yield frame

    def expire(self) -> Reaction:
        return self._server.expire()


LOUD = b"\x00\x10\x00\xf0" * (RATE * 30 // 1000)  # 60 ms
QUIET = bytes(2 * RATE * 120 // 1000)


def conversation(
    random: Random, *, dialect: Dialect, waits: bool, detects: bool, strange: bool
) -> list[str]:
    """Return the frames that a client sends in a session, and marks where it waits.

    With ``detects``, the server detects turns. With ``strange``, the client also sends
    frames that the server may refuse.
    """
    more: dict[str, object] = {}
    if random.random() < 0.5:
        more["include"] = [LOGPROBS]
    caller, other = (
        dialect.caller("m", {"turn_detection": turns, **more})
        for turns in (VAD if detects else None, None)
    )
    loud, quiet = (caller.append(pcm).decode() for pcm in (LOUD, QUIET))
    plan = [*map(str, caller.configure())]
    for _ in range(random.randint(1, 4)):
        plan += [loud] * random.randint(2, 4)
        if random.random() < 0.2:
            plan += [clear(), loud, loud]
        if random.random() < 0.2:
            plan += map(str, caller.configure())
        plan += [quiet] if detects else map(str, caller.finish())
        plan += [WAIT] if waits else []
    if not strange:
        return plan
    said = (
        loud,
        caller.append(QUIET[:-2]).decode(),
        clear(),
        *caller.configure(),
        *other.configure(),
        *other.finish(),
        *dialect.caller("n", {}).configure(),
        frame(f"{BUFFER}.append", audio="A"),
        frame("what.is.this", event_id=""),
        "{",
    )
    for number in range(random.randint(0, 8)):
        place = random.randrange(len(plan) + 1)
        plan.insert(place, _named(str(random.choice(said)), f"strange_{number}"))
    return plan


def _named(said: str, name: str) -> str:
    """Return a frame with its event id replaced, if it has an event id."""
    if '"event_id"' not in said:
        return said
    return json.dumps({**json.loads(said), "event_id": name})


def frame(kind: str, **content: object) -> str:
    return json.dumps({"type": kind, **content})


def clear() -> str:
    return frame(f"{BUFFER}.clear")


def stamped(said: str, at: int, *, tail: str) -> Record:
    """Return a record of a client's frame; the frame ``tail`` is marked as silence."""
    span = Span(TAIL, 0, len(QUIET) // 2) if said == tail else None
    return Record(CLIENT, at, said, due=at, woke=at, span=span)


@dataclass(frozen=True)
class Sample:
    """A random session."""

    seed: int
    dialect: Dialect
    session: SimulatedSession
    failed: frozenset[int]  # utterances

    @property
    def where(self) -> str:
        return f"{self.dialect.name}, seed {self.seed}"


def sample(
    seed: int,
    *,
    waits: bool,
    detects: bool | None = None,
    strange: bool | None = None,
) -> Sample:
    """Return a random session of a random server; ``None`` means a random choice."""
    random = Random(seed)
    able = [name for name in NAMES if "sglang" not in name and "riva" not in name]
    name = random.choice(able if detects else NAMES)
    dialect = DIALECTS[name]
    if detects is None:
        detects = name in able and random.random() < 0.5
    if strange is None:
        strange = not waits or random.random() < 0.3
    plan = partial(
        conversation,
        dialect=dialect,
        waits=waits,
        detects=detects,
        strange=strange,
    )
    # A strange client may have turned the detection off, and then it is no tail.
    marked = detects and not strange
    tail = dialect.caller("m", {}).append(QUIET).decode() if marked else ""
    side = Side(plan, OVER, partial(stamped, tail=tail))
    server = Failing(dialect.server(["m"]), random, odds=10)
    session = Simulation(seed, side, server, slowest=500 * MS).run(dialect)
    return Sample(seed, dialect, session, frozenset(server.failed))


def ended(whole: Part, how: Ending) -> Part:
    """Return the session with this kind of end."""
    trace = replace(whole.trace, end=replace(whole.trace.end, how=how))
    timeline = replace(whole.timeline, end=trace.end)
    recording = replace(whole.recording, trace=trace, timeline=timeline)
    return replace(whole, recording=recording)


def cut(whole: Trace, random: Random) -> Trace:
    """Return the session as if the client had closed it early."""
    kept = whole.records[: random.randint(1, len(whole.records))]
    return replace(whole, records=kept, end=replace(whole.end, at=kept[-1].at))


@pytest.mark.slow
@pytest.mark.parametrize("waits", [True, False])
def test_a_correct_server_has_no_violation_however_frames_cross(waits: bool) -> None:
    satisfied: Counter[str] = Counter()
    for seed in range(500):
        found = sample(seed, waits=waits)
        dialect, trace = found.dialect, found.session.client
        ordered = order(dialect.table, start=dialect.start)
        binding = [
            each
            for each in dialect.requirements
            if each.passive and each.binds is SERVER
        ]
        whole = dialects.part(dialect, trace)
        parts = [ended(whole, how) for how in ENDS]
        parts.append(dialects.part(dialect, cut(trace, Random(seed))))
        for part in parts:
            assert not isinstance(ordered(part.recording), Violated), found.where
            for requirement in binding:
                outcome = requirement.check(Evidence((part,)))
                assert not isinstance(outcome, Violated), (
                    f"{found.where}, {part.trace.end}, {requirement.id}: {outcome}"
                )
                satisfied[requirement.id] += isinstance(outcome, Satisfied)
    assert {each: n for each, n in satisfied.items() if n < 100} == {}


def test_a_server_finds_no_violation_of_a_client_that_waits() -> None:
    for seed in range(300):
        found = sample(seed, waits=True)
        judge = order(found.dialect.table, start=found.dialect.start)
        observation = dialects.recording(found.dialect, found.session.server)
        assert judge(observation) == Satisfied(), found.where


@pytest.mark.parametrize("waits", [True, False])
def test_each_commit_gets_the_text_of_its_item(waits: bool) -> None:
    """Both sides read the same texts, although a refused commit has no text."""
    finals = refused = 0
    for seed in range(300):
        found = sample(seed, waits=waits, detects=False)
        session = found.session
        if "riva" in found.dialect.name or '"session":' not in session.finished[0][0]:
            continue  # it gets an end of audio; turns are detected at first
        commits = [
            end for said, end in session.finished if f'"{BUFFER}.commit"' in said
        ]
        for trace in (session.client, session.server):
            timeline = dialects.read(found.dialect, trace)
            for number, utterance in enumerate(commits):
                final = timeline.item(number).final
                if utterance is None or utterance in found.failed:
                    assert final is None, (found.where, trace.vantage, number)
                    refused += 1
                else:
                    assert final is not None, (found.where, trace.vantage, number)
                    assert final.text == session.texts[utterance], found.where
                    finals += 1
            assert timeline.item(len(commits)).final is None
    assert finals > 600
    assert refused > 60


@pytest.mark.slow
def test_each_turn_gets_its_text() -> None:
    turns = 0
    for seed in range(300):
        found = sample(seed, waits=True, detects=True, strange=False)
        session = found.session
        ends = [end for said, end in session.finished if end is not None]
        for trace in (session.client, session.server):
            timeline = dialects.read(found.dialect, trace)
            for number, utterance in enumerate(ends):
                final = timeline.item(number).final
                text = None if final is None else final.text
                wanted = None if utterance in found.failed else session.texts[utterance]
                assert text == wanted, (found.where, trace.vantage, number)
            turns += sum(isinstance(each, Endpoint) for each in timeline.events)
    assert turns > 300


def test_the_sessions_do_cross() -> None:
    """Frames cross, and items are not always completed in the order of commits."""
    crossed = swapped = 0
    for seed in range(200):
        found = sample(seed, waits=False)
        orders = [
            [record.text for record in trace.records]
            for trace in (found.session.client, found.session.server)
        ]
        assert sorted(map(str, orders[0])) == sorted(map(str, orders[1]))
        crossed += orders[0] != orders[1]
        names = [
            json.loads(text)["item_id"]
            for text in map(str, orders[0])
            if any(f'"{kind}"' in text for kind in OVER)
        ]
        swapped += names != sorted(names, key=lambda name: int(name.split("_")[-1]))
    assert crossed > 120
    assert swapped > 20
