"""The checks of a dialect's parts: a correct dialect passes them, a flaw is found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.dialect_check import findings
from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Caller,
    Dialect,
    Keepalive,
    Reaction,
    Reader,
    Request,
    Server,
    Traits,
)
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.requirements.requirement import Proof
from pytest_realtime_asr.trace.json_events import Malformed
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Frame, Record, Sender
from pytest_realtime_asr.trace.timeline import Event, Settled, Usage
from tests.support.packed import (
    CAPABILITIES,
    PACKED,
    TABLE,
    Packed,
    PackedCaller,
    PackedReader,
    PackedServer,
    Words,
    pack,
)


@pytest.mark.parametrize("name", ["packed", "vllm", "openai", "openai:sglang"])
def test_a_correct_dialect_has_no_problems(name: str) -> None:
    dialect = PACKED if name == "packed" else dialects.load(name)
    assert [each for each in findings(dialect) if each.problems] == []


UNREACHED: Table = {
    **TABLE,
    Sender.CLIENT: {**TABLE[Sender.CLIENT], "nowhere": {}},
}
UNLISTED: Table = {
    **TABLE,
    Sender.CLIENT: {"open": {"end": ("hearing",)}, "hearing": {"end": ("finishing",)}},
}


class Unreached(Packed):
    table = UNREACHED


class Unlisted(Packed):
    table = UNLISTED


class Chatty(Packed):
    traits = Traits(
        capabilities=CAPABILITIES, keepalive=Keepalive("text is malformed", 1.0)
    )


MISSPELT: Table = {
    **TABLE,
    Sender.SERVER: {
        state: {move.replace("whole", "hole"): after for move, after in moves.items()}
        for state, moves in TABLE[Sender.SERVER].items()
    },
}


class Misspelt(Packed):
    table = MISSPELT


class Slow(Packed):
    rate = 8000


class Forgetful(Packed):
    """Takes a frame of audio in a trace for another frame."""

    def parse(self, record: Record) -> Message:
        return Malformed("empty", json=True) if record.span else super().parse(record)


class Silent(Packed):
    """Greets, but says that no server begins with this frame."""

    traits = Traits(capabilities=CAPABILITIES | {Capability.GREETING})

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        return _Greeter()


class _Greeter(PackedServer):
    def open(self, session: str, created: int) -> Iterable[Frame]:
        return (pack(Words("", 0)),)


SEVERAL: Table = {
    Sender.CLIENT: TABLE[Sender.CLIENT],
    Sender.SERVER: {
        **TABLE[Sender.SERVER],
        "finishing": {**TABLE[Sender.SERVER]["finishing"], "whole": ("open",)},
    },
}


class Several(Packed):
    """Has a table with several utterances, but ends the session after the first."""

    table = SEVERAL
    traits = Traits(capabilities=CAPABILITIES | {Capability.SEVERAL_UTTERANCES})


class Unsettled(Packed):
    traits = Traits(
        capabilities=CAPABILITIES | {Capability.SETTLED, Capability.TYPED_EVENTS}
    )

    def reader(self) -> Reader:
        return _Unsettled()


class _Unsettled(PackedReader):
    def step(self, record: Record, message: Message) -> Sequence[Event]:
        events = super().step(record, message)
        return [each for each in events if not isinstance(each, Settled)]


class Unjudged(Packed):
    requirements = ()


class Unproven(Packed):
    requirements = (shared.stated("pong", proof=Proof(("no-pongs",))),)


class Unplayable(Packed):
    requirements = (shared.SHARED["update-again"], shared.SHARED["order"])


class Promising(Packed):
    traits = Traits(
        capabilities=CAPABILITIES
        | {
            Capability.GREETING,
            Capability.SESSION_IDS,
            Capability.SET_UP,
            Capability.SEVERAL_UTTERANCES,
            Capability.TEXT_AUDIO,
            Capability.USAGE,
        }
    )


class Modest(Packed):
    traits = Traits(capabilities=frozenset())


class Tolerant(Packed):
    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        return _Server()


class _Server(PackedServer):
    """Takes each frame for audio of an utterance, and sends text before its final."""

    def hear(self, frame: Frame) -> Reaction:
        return replace(super().hear(frame), replies=(), audio=b"\0\0")

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return [*super().final(text, usage, item), pack(Words("late", 0))]


class Blind(Packed):
    def reader(self) -> Reader:
        return _Reader()


class _Reader(PackedReader):
    def step(self, record: Record, message: Message) -> Sequence[Event]:
        return ()


class Crashing(Packed):
    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return _Caller(options)


class _Caller(PackedCaller):
    def finish(self) -> Sequence[Frame]:
        raise ZeroDivisionError("no end")


@pytest.mark.parametrize(
    ("dialect", "problems"),
    [
        (Unreached(), ["no moves lead from the state 'open' to 'nowhere'"]),
        (
            Unlisted(),
            [
                "a frame of append() has the move 'audio', which the client's part of",
                "a frame of traits.keepalive has the move 'keep', which the client's",
            ],
        ),
        (
            Misspelt(),
            [
                "in the example session, the server sends an event with the move "
                "'whole', which the server's part of the table does not have; the "
                "table has 'hole'"
            ],
        ),
        (Slow(), ["Caller.rate is 16000 Hz without options, but the rate of the dia"]),
        (
            Forgetful(),
            ["a frame of append() has the move 'audio', but in a trace, where the fra"],
        ),
        (
            Several(),
            ["Capability.SEVERAL_UTTERANCES is stated, but the reader finds no Final"],
        ),
        (
            Unsettled(),
            [
                "Capability.TYPED_EVENTS is stated, but the client sends no text frame",
                "Capability.SETTLED is stated, but the reader finds no Settled event",
            ],
        ),
        (Chatty(), ["parse() does not understand a frame of traits.keepalive"]),
        (
            Unproven(),
            [
                "the requirement pong of the dialect packed is proven with the fault "
                "no-pongs, which does not exist; "
            ],
        ),
        (Unjudged(), ["the dialect has no requirements; shared.requirements("]),
        (
            Unplayable(),
            [
                "the requirement update-again of the dialect packed needs the scenario "
                "update-again, which only fits a protocol in which the client sends "
                "frames that set the session up; add Capability.SET_UP",
                "the requirement order of the dialect packed has no check",
            ],
        ),
        (
            Promising(),
            [
                "Capability.SET_UP is stated, but configure() sends no frame (",
                "Capability.TEXT_AUDIO is stated, but Caller.binary is True (",
                "Capability.GREETING is stated, but open() sends no frame (",
                "Capability.SESSION_IDS is stated, but the reader found no id",
                "Capability.USAGE is stated, but the reader found no usage",
                "Capability.SEVERAL_UTTERANCES is stated, but the table allows no",
                "Reader.ready stays None after the greeting",
            ],
        ),
        (Modest(), ["Capability.PARTIALS is not stated, but the reader found text"]),
        (
            Tolerant(),
            [
                "the client sent ",
                "Capability.REFUSALS is stated, but the reader finds no error in",
                "words came out of order",
            ],
        ),
        (
            Blind(),
            [
                "Capability.PARTIALS is stated, but the reader found no text",
                "Capability.REFUSALS is stated, but the reader finds no error in",
                "the last Heard of item 0 has 0 samples, but the client sent ",
                "no Commit of item 0 was found",
                "no Final of item 0 was found",
            ],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_flaw_is_found(dialect: Dialect, problems: list[str]) -> None:
    found = [problem for each in findings(dialect) for problem in each.problems]
    begins = [
        problem[: len(wanted)] for problem, wanted in zip(found, problems, strict=False)
    ]
    assert begins == problems
    if not isinstance(dialect, Unlisted | Promising | Modest):
        assert len(found) == len(problems)


def test_greets_must_recognise_the_first_frame() -> None:
    found = [problem for each in findings(Silent()) for problem in each.problems]
    assert "greets() returns false for the first frame that open() sends" in found


def test_an_exception_of_the_dialect_is_a_problem() -> None:
    found = [problem for each in findings(Crashing()) for problem in each.problems]
    assert found
    assert all(each.startswith("ZeroDivisionError: no end (") for each in found)
    assert all("test_dialect_check.py, line " in each for each in found)
