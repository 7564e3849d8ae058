"""The pages of the protocols, and the data that they are made of."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance import exchanges, frame_texts
from pytest_realtime_asr.conformance.exchanges import MOST, Exchange, Pair
from pytest_realtime_asr.report import protocol_links, protocol_pages
from pytest_realtime_asr.requirements.reference import Reference, event_name
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.trace.records import Record, Sender
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
PROTOCOLS = DOCS / "protocols"
DIALECTS = ("vllm", "openai", "openai-beta", "sglang-omni", "vosk", "deepgram")
KEPT: Mapping[str, Mapping[str, Pair]] = {
    name: exchanges.loads((PROTOCOLS / f"{name}.jsonl").read_text())
    for name in DIALECTS
}
ON_THE_CONNECTION = {
    "abandoned-freed",
    "abandoned-requests-freed",
    "audio-limit-answered",
    "bad-option-refused",
    "close-answered",
    "close-is-normal",
    "closes-are-explained",
    "idle-is-closed",
    "one-process",
    "plain-http-refused",
    "pong",
    "pong-under-load",
    "wrong-key-refused",
    "wrong-path-refused",
}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}|_[0-9a-f]{12}_")
each_dialect = pytest.mark.parametrize("name", DIALECTS)


def reference(name: str) -> Reference:
    found = protocol_links.reference(name)
    assert found is not None
    return found


def described(name: str) -> dict[str, Requirement]:
    every = protocol_links.requirements(name).values()
    return {each.id: each for found in every for each in found}


def server(text: str) -> Record:
    return Record(Sender.SERVER, 0, text)


@each_dialect
def test_the_page_is_current(name: str) -> None:
    page = (PROTOCOLS / f"{name}.md").read_text()
    assert page == protocol_pages.page(name, KEPT[name])


@each_dialect
def test_each_event_has_an_example_with_its_required_fields(name: str) -> None:
    dialect, found = dialects.load(name), reference(name)
    for sender, kinds in found.kinds.items():
        for kind in kinds:
            example = found.examples[event_name(kind)]
            assert isinstance(dialect.parse(Record(sender, 0, example)), kind), example
            value = json.loads(example)
            for path, _, required in protocol_links.rows(kind):
                assert not required or "." in path or path in value, (kind, path)


@each_dialect
def test_the_reference_names_only_existing_states_and_events(name: str) -> None:
    dialect, found = dialects.load(name), reference(name)
    states = {state for table in dialect.table.values() for state in table}
    assert set(found.states) == states
    moves = {
        move.partition(" ")[0]
        for table in dialect.table.values()
        for after in table.values()
        for move in after
    }
    assert set(protocol_links.kinds_by_type(found)) <= moves
    for fields in found.fields.values():
        for field in fields:
            assert protocol_links.type_of(found, field)
    assert set(described(name)) - set(found.fields) <= {
        *ON_THE_CONNECTION,
        "well-formed",  # its message names the field
    }


def test_every_field_belongs_to_a_requirement() -> None:
    ids = {id for name in DIALECTS for id in described(name)}
    for name in DIALECTS:
        assert set(reference(name).fields) <= ids


# The exchanges


@each_dialect
def test_each_requirement_has_an_exchange_that_meets_it_and_one_that_does_not(
    name: str,
) -> None:
    assert list(KEPT[name]) == list(described(name))
    for id, pair in KEPT[name].items():
        assert pair.wrong.seen, id
        assert not pair.right.seen, id
        assert not any(frame.wrong for frame in pair.right.frames), id
        for exchange in (pair.right, pair.wrong):
            assert len(exchange.frames) <= MOST, id
            # Without a greeting, a session may end before its first frame, and a
            # random session may be shrunk to no frames.
            assert exchange.frames or exchange.end or id == "random-sessions", id


@each_dialect
def test_the_exchanges_have_neither_times_nor_ids_of_a_run(name: str) -> None:
    today = datetime.now(UTC).timestamp()
    for id, pair in KEPT[name].items():
        for text in texts(pair.right) + texts(pair.wrong):
            assert not UUID.search(text), (id, text)
            assert "127.0.0.1" not in text, id
            for time in map(int, re.findall(r"\b1[7-9]\d{8}\b", text)):
                assert abs(time - frame_texts.NOW) < 3600 * 48 or time > 2 * today, id


@each_dialect
def test_the_frames_are_events_of_the_protocol(name: str) -> None:
    dialect, found = dialects.load(name), reference(name)
    for id, pair in KEPT[name].items():
        for frame in pair.right.frames:
            if frame.sender is Sender.SERVER and frame.text.startswith("{"):
                # An object that is left out may be any object.
                whole = frame.text.replace("{...}", "null")
                kind = "" if "..." in whole else dialect.parse(server(whole)).move
                kind = kind.partition(" ")[0]  # a move may say more than the type
                assert not kind or kind in found.examples, (id, frame.text)
            if frame.sender is Sender.SERVER and '"error"' in frame.text:
                code = re.search(r'"code":"(\w+)"', frame.text)
                assert code is not None, (id, frame.text)
                assert code[1] in found.codes, (id, frame.text)
    assert dialect.requirements


def texts(exchange: Exchange) -> list[str]:
    return [exchange.seen, exchange.end, *(each.text for each in exchange.frames)]


# Links


@each_dialect
def test_the_anchors_of_a_page_are_unique_and_its_links_lead_somewhere(
    name: str,
) -> None:
    page = (PROTOCOLS / f"{name}.md").read_text()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = Counter(map(protocol_links.anchor, headings))
    assert anchors.most_common(1)[0][1] == 1
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= set(anchors)


def test_the_links_of_the_page_of_requirements_lead_to_the_requirements() -> None:
    page = (DOCS / "conformance.md").read_text()
    for name, anchor in re.findall(r"\(protocols/([\w-]+)\.md#([^)]*)\)", page):
        headings = re.findall(
            r"^### (.*)$", (PROTOCOLS / f"{name}.md").read_text(), re.MULTILINE
        )
        assert anchor in map(protocol_links.anchor, headings)


def test_a_requirement_has_a_page_and_its_fields_have_types() -> None:
    page, fields = protocol_links.page, protocol_links.fields
    assert page("vllm", "created-now") == "docs/protocols/vllm.md#created-now"
    assert fields("vllm", "created-now") == (
        "created of session.created: an integer of 64 bits",
    )
    assert page("vllm", "finishes-0.1s") == "docs/protocols/vllm.md#finishes-01s"
    assert page("openai:sglang", "same-text-16000hz") == (
        "docs/protocols/openai.md#same-text-16000hz"
    )
    assert fields("openai", "errors-name-the-field") == (
        "error.param of error: a string or null",
    )
    assert fields("vllm", "order") == ("type of every event: a string",)
    assert fields("vllm", "pong") == ()


@pytest.mark.parametrize(
    ("dialect", "id"),
    [("vllm", "no-such"), ("", "order"), ("no-such", "order"), ("vllm:no", "order")],
)
def test_an_unknown_requirement_or_dialect_has_no_page(dialect: str, id: str) -> None:
    if dialect != "vllm:no":
        assert protocol_links.page(dialect, id) is None
    assert not protocol_links.fields(dialect, id) or dialect == "vllm"


@pytest.mark.parametrize(
    ("id", "shown"),
    [
        (
            "unknown-event-refused",
            'code of error: a string or null, here "unknown_event"',
        ),
        ("update-without-model-refused", "code of error: a string or null"),
    ],
)
def test_the_field_of_an_error_code_has_the_required_code(id: str, shown: str) -> None:
    assert protocol_links.fields("vllm", id) == (shown,)
