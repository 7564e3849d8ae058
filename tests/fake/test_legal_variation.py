"""The legal variation of the fake server: all sessions differ, and each is correct."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.fake.legal_variation import (
    CHANGED,
    LATER,
    VariedServer,
    _hex,
    _places,
    _prefixed,
    _ulid,
)
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.trace.records import Record, Sender
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.servers import CLIP, SOUND, VLLM, faking, plan

UPDATE = '{"type":"session.update","model":"m"}'
BEGIN = '{"type":"input_audio_buffer.commit"}'
END = '{"type":"input_audio_buffer.commit","final":true}'
AUDIO = '{"type":"input_audio_buffer.append","audio":"AAAA////"}'
BAD = ("{", '{"type":"no.such"}', '{"type":"session.update","model":"x"}', b"\0")
CODES = ["invalid_json", "unknown_event", "model_not_found", "invalid_frame"]
KNOWN = {
    "session.created",
    "session.updated",
    "transcription.delta",
    "transcription.done",
    "error",
}
RESERVED = ("session.", "transcription.", "input_audio_buffer.", "error")
HINDI = "\u0905\u091a\u094d\u091b\u093e"  # its third character joins two others
ASTRONAUT = "\U0001f469\u200d\U0001f680"
THUMB = "\U0001f44d\U0001f3fd"
FRANCE, GERMANY = "\U0001f1eb\U0001f1f7", "\U0001f1e9\U0001f1ea"
HAN = "\u1112\u1161\u11ab"  # one syllable of Korean in three letters
TEXTS = (
    "turn right and stop at the next corner",
    "e\u0301te\u0301 en Provence",
    f"{HINDI} {HINDI} {HINDI}",
    f"{ASTRONAUT} {THUMB} {FRANCE}{GERMANY}",
    f"{HAN}{HAN} {HAN}",
    "",
)
ID = "sess-6a8d3f0e-1f0a-4b5c-9d3e-0123456789ab"

Frame = dict[str, Any]


class Talk:
    """One session with a varied server, in memory."""

    def __init__(self, state: ServerState, seed: int, *faults: str) -> None:
        state.open_session()
        self.varied = VariedServer(VLLM.server(["m"]), state, seed)
        self.server = Faults(faults, state).wrap(self.varied)
        self.frames: list[Frame] = []
        self.items = 0

    def take(self, frames: Iterable[str | bytes]) -> list[Frame]:
        new = [msgspec.json.decode(frame) for frame in frames]
        self.frames += new
        return new

    def hear(self, *frames: str | bytes) -> list[Frame]:
        return [
            reply
            for frame in frames
            for reply in self.take(self.server.hear(frame).replies)
        ]

    def utter(self, text: str) -> tuple[list[str], Frame]:
        """Return the deltas of an utterance and its final."""
        frames = self.hear(BEGIN, *[AUDIO] * 5)
        item, self.items = self.items, self.items + 1
        words = text.split()
        for place, word in enumerate(words):
            frames += self.take(
                self.server.partial(f" {word}" if place else word, item)
            )
        frames += self.hear(END)
        frames += self.take(self.server.final(text, Usage(20, len(words), None), item))
        deltas = [f["delta"] for f in frames if f["type"] == "transcription.delta"]
        (done,) = [f for f in frames if f["type"] == "transcription.done"]
        return deltas, done

    def run(self) -> list[Frame]:
        """Run a whole session with every kind of frame."""
        self.take(self.server.open(ID, 1_800_000_000))
        self.hear(*BAD, UPDATE)
        for text in TEXTS:
            self.utter(text)
        return self.frames


@pytest.fixture(scope="module")
def talks() -> list[Talk]:
    """Return the sessions of a server, each at its end."""
    state = ServerState(VLLM, ["m"])
    talks = []
    for _ in range(300):
        talk = Talk(state, 7)
        talk.run()
        talks.append(talk)
    return talks


def test_equal_seeds_give_equal_runs() -> None:
    def run(seed: int) -> list[list[Frame]]:
        state = ServerState(VLLM, ["m"])
        return [Talk(state, seed).run() for _ in range(5)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert len({msgspec.json.encode(frames) for frames in run(1)}) == 5


@pytest.mark.parametrize("text", TEXTS)
def test_partials_add_up_and_cut_no_character(text: str) -> None:
    state = ServerState(VLLM, ["m"])
    changed = 0
    shapes = set()
    for _ in range(200):
        talk = Talk(state, 3)
        talk.hear(UPDATE)
        deltas, done = talk.utter(text)
        final = done["text"]
        assert "".join(deltas) == final
        changed += final != text
        assert len(final.split()) == len(text.split())
        shapes.add(tuple(deltas))
        for delta in filter(None, deltas):
            assert not unicodedata.category(delta[0]).startswith("M")
            assert delta[0] != "\u200d" != delta[-1]
            assert not "\U0001f3fb" <= delta[0] <= "\U0001f3ff"
            assert unicodedata.combining(delta[-1]) != 9
    assert changed <= 200 * 8 / 50
    assert len(shapes) > (10 if text else 1)


def test_text_is_cut_only_between_characters() -> None:
    def parts(text: str) -> list[str]:
        places = _places(text)
        return [text[a:b] for a, b in zip([0, *places], [*places, None], strict=True)]

    assert parts("e\u0301te") == ["e\u0301", "t", "e"]
    assert parts(f"{ASTRONAUT}!{THUMB}") == [ASTRONAUT, "!", THUMB]
    assert parts(HINDI) == [HINDI[0], HINDI[1:]]
    assert parts(f"{FRANCE}a") == [FRANCE, "a"]
    assert parts(HAN) == [HAN]
    assert parts("") == [""]


def test_a_word_may_be_split_and_several_may_come_at_once(talks: list[Talk]) -> None:
    deltas = [f["delta"] for t in talks for f in t.frames if "delta" in f]
    assert any(re.fullmatch(r" ?rig?", delta) for delta in deltas)
    assert any(len(delta.split()) > 1 for delta in deltas)
    assert "" in deltas
    assert " right" in deltas


def test_events_are_known_or_outside_the_protocol(talks: list[Talk]) -> None:
    types = {frame["type"] for talk in talks for frame in talk.frames}
    assert types >= KNOWN
    assert "server.heartbeat" in types
    assert not [kind for kind in types - KNOWN if kind.startswith(RESERVED)]
    assert all(talk.frames[0]["type"] == "session.created" for talk in talks)


def test_fields_of_the_protocol_are_kept(talks: list[Talk]) -> None:
    fields = Counter(
        name
        for talk in talks
        for frame in talk.frames
        if frame["type"] == "transcription.delta"
        for name in frame
    )
    assert fields["delta"] == fields["type"] > fields["event_id"] > 0
    assert set(fields) > {"language", "logprobs", "segment", "sequence", "object"}
    assert all(talk.frames[0]["created"] == 1_800_000_000 for talk in talks)


def test_errors_keep_their_codes(talks: list[Talk]) -> None:
    wordings = set()
    for talk in talks:
        errors = [frame for frame in talk.frames if frame["type"] == "error"]
        assert [frame["code"] for frame in errors] == CODES
        wordings.add(tuple(frame["error"] for frame in errors))
    assert len(wordings) == 3


def test_an_update_is_answered_or_not(talks: list[Talk]) -> None:
    counts = {
        sum(frame["type"] == "session.updated" for frame in talk.frames)
        for talk in talks
    }
    assert counts == {0, 1}


def test_usage_adds_up(talks: list[Talk]) -> None:
    seen = set()
    for talk in talks:
        for frame in talk.frames:
            if frame["type"] != "transcription.done":
                continue
            usage = frame["usage"]
            prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
            assert prompt + completion == usage["total_tokens"]
            assert prompt > 0
            assert bool(completion) == bool(frame["text"])
            seen.add((prompt, completion))
    assert len(seen) > 10


def test_ids_have_several_forms() -> None:
    state = ServerState(VLLM, ["m"])
    forms = set()
    for number in range(100):
        talk = Talk(state, 5)
        session = f"sess-00000000-0000-4000-8000-{number:012x}"
        forms.add(talk.take(talk.server.open(session, 1))[0]["id"])
    assert len(forms) == 100
    kinds = (
        r"sess-[0-9a-f-]{36}",
        r"[0-9a-f]{32}",
        r"[0-9A-Z]{26}",
        r"rt_[0-9a-f]{24}",
    )
    for kind in kinds:
        assert any(re.fullmatch(kind, form) for form in forms), kind


def test_ids_that_are_not_of_the_server_are_kept() -> None:
    for form in (_hex, _ulid, _prefixed):
        assert form("") == ""
        assert form("sess-1") == "sess-1"
        assert form(ID) != ID


@pytest.mark.slow
def test_a_word_may_be_another_but_never_twice_in_the_same_place() -> None:
    state = ServerState(VLLM, ["m"])
    words = ["alpha", "bravo", "charlie", "delta", "echo"] * 4
    text = " ".join(words)
    before: set[int] = set()
    count = 0
    for _ in range(1000):
        talk = Talk(state, 11)
        talk.hear(UPDATE)
        _, done = talk.utter(text)
        pairs = zip(words, done["text"].split(), strict=True)
        now = {place for place, (old, new) in enumerate(pairs) if old != new}
        assert not now & before
        before, count = now, count + len(now)
    assert 0.6 < count / (1000 * len(words) * CHANGED) < 1.4


def test_delays_are_bounded() -> None:
    state = ServerState(VLLM, ["m"])
    delays: set[tuple[float, ...]] = set()
    for _ in range(30):
        talk = Talk(state, 1)
        delays.add(tuple(talk.varied.delay(0.3) for _ in range(10)))
    assert {(0.0,) * 10, (0.3,) * 10} < delays
    assert len(delays) > 5
    assert all(0 <= delay <= 0.3 + LATER for each in delays for delay in each)


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        ("lost-delta", lambda deltas, done: "".join(deltas) != done["text"]),
        ("loses-head", lambda deltas, done: done["text"].split()[0] != "turn"),
        ("free-tokens", lambda deltas, done: done["usage"]["completion_tokens"] == 0),
        ("bad-usage", lambda deltas, done: done["usage"]["prompt_tokens"] == -1),
        ("no-usage", lambda deltas, done: "usage" not in done),
        ("late-delta", lambda deltas, done: deltas[-1] == " again"),
    ],
)
def test_faults_are_visible_in_varied_sessions(fault: str, wrong: Any) -> None:
    state = ServerState(VLLM, ["m"])
    for _ in range(20):
        talk = Talk(state, 2, fault)
        talk.hear(UPDATE)
        assert wrong(*talk.utter(TEXTS[0]))
        assert not Talk(state, 2).frames


# Where utterances are items


OPENAI = dialects.load("openai")


class Items:
    """A session in which three utterances are in transcription at the same time."""

    def __init__(self, state: ServerState, seed: int) -> None:
        state.open_session()
        self.varied = VariedServer(OPENAI.server(["m"]), state, seed)
        self.frames: list[Frame] = []
        self.take(self.varied.open(ID, 1_800_000_000))
        caller = OPENAI.caller("m", {})
        audio = caller.append(bytes(2 * 24_000)).decode()
        self.hear(*caller.configure())
        self.early = len(self.frames)
        for item in range(3):
            self.hear(audio)
            for place, word in enumerate(TEXTS[0].split()):
                added = f" {word}" if place else word
                self.take(self.varied.partial(added, item))
            self.hear(*caller.finish())
        for item in range(3):
            words = len(TEXTS[0].split())
            self.take(self.varied.final(TEXTS[0], Usage(20, words, None, 1.0), item))

    def take(self, frames: Iterable[str | bytes]) -> None:
        self.frames += [msgspec.json.decode(frame) for frame in frames]

    def hear(self, *frames: str | bytes) -> None:
        for frame in frames:
            self.take(self.varied.hear(frame).replies)

    def all(self, end: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"].endswith(end)]


@pytest.fixture(scope="module")
def of_items() -> list[Items]:
    state = ServerState(OPENAI, ["m"])
    return [Items(state, 7) for _ in range(200)]


def test_each_item_has_its_text_and_one_end(of_items: list[Items]) -> None:
    for it in of_items:
        commits = [frame["item_id"] for frame in it.all(".committed")]
        ends = [frame["item_id"] for frame in it.all(".completed")]
        assert sorted(commits) == sorted(ends)
        assert len(set(commits)) == 3
        before = [frame["previous_item_id"] for frame in it.all(".committed")]
        assert before == [None, *commits[:-1]]
        for end in it.all(".completed"):
            deltas = [d for d in it.all(".delta") if d["item_id"] == end["item_id"]]
            assert "".join(d["delta"] for d in deltas) == end["transcript"]
            last = it.frames.index(deltas[-1])
            assert last < it.frames.index(end)
        ids = [frame["event_id"] for frame in it.frames if "event_id" in frame]
        assert len(set(ids)) == len(ids)


def test_items_differ_in_order_events_and_ids(of_items: list[Items]) -> None:
    orders, added, counts, prefixes, early = set(), set(), set(), set(), set()
    for it in of_items:
        commits = [frame["item_id"] for frame in it.all(".committed")]
        orders.add(tuple(commits.index(f["item_id"]) for f in it.all(".completed")))
        added.add(len(it.all("item.added")))
        counts.add(len(it.all(".delta")))
        prefixes.add(commits[0][:3])
        first = it.frames.index(it.all(".delta")[0])
        early.add(first < it.frames.index(it.all(".committed")[0]))
        assert len(it.all("session.updated")) == 1
        assert it.all("session.updated")[0]["session"]
    assert {(0, 1, 2), (1, 0, 2), (2, 0, 1)} < orders
    assert added == {0, 3}
    assert 3 in counts
    assert max(counts) > 40
    assert prefixes == {"ite", "msg", "itm"}
    assert early == {True, False}


def test_finals_that_name_no_utterance_keep_their_order() -> None:
    dialect = dialects.load("deepgram")
    caller = dialect.caller("m", {})
    state = ServerState(dialect, ["m"])
    texts = ["one", "two", "three"]
    for _ in range(50):
        state.open_session()
        varied = VariedServer(dialect.server(["m"]), state, 7)
        for _ in texts:
            for frame in (bytes(3200), *caller.finish()):
                varied.hear(frame)
        shown = []
        for item, text in enumerate(texts):
            for frame in varied.final(text, Usage(), item):
                result = msgspec.json.decode(frame)
                if result.get("from_finalize"):
                    shown.append(result["channel"]["alternatives"][0]["transcript"])
        assert shown == texts


def test_all_events_of_items_are_in_the_protocol(of_items: list[Items]) -> None:
    for it in of_items[:50]:
        for frame in it.frames:
            text = msgspec.json.encode(frame).decode()
            message = OPENAI.parse(Record(Sender.SERVER, 0, text))
            assert message.move != "malformed", frame
            if message.move == "unknown":
                assert not frame["type"].startswith((*RESERVED, "rate_limits."))


def test_sessions_over_the_wire_are_correct() -> None:
    """No text comes before its audio, and the words are those of the clip."""
    loop = Loop()
    texts = []
    with faking(variety=4, word_delay=0.05) as (url, fake):
        for _ in range(8):
            take = loop.run(run_utterance(Live(loop, plan(url)), CLIP))
            assert not take.lost, take.reason
            texts.append(take.text)
    loop.stop()
    traces = fake.traces()
    assert len({trace.records[0].text for trace in traces}) == 8
    assert sum(text == CLIP.text for text in texts) >= 6
    for trace, text in zip(traces, texts, strict=True):
        heard, text_so_far = 0.0, ""
        for record in trace.records:
            if record.span is not None:
                heard = record.span.stop / SOUND.rate
            elif record.sender is Sender.SERVER:
                frame = msgspec.json.decode(record.text or "")
                text_so_far += frame.get("delta", "")
                # Of a word that is cut, a part may come before its end.
                words = len(text_so_far.split())
                assert not words or heard >= CLIP.words[words - 1].start
        assert text_so_far == text
