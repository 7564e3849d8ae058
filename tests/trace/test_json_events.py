"""Typed events: the field that names them, and sides that send none."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.trace.json_events import (
    Malformed,
    Shapes,
    Typed,
    Unknown,
    encode,
)
from pytest_realtime_asr.trace.recording import Flawed
from pytest_realtime_asr.trace.records import Sender


class Named(Typed, frozen=True, tag_field="event"):
    """An event that is named by another field than ``type``."""


class Text(Named, frozen=True, tag="text"):
    text: str


class Hello(Typed, frozen=True, tag="hello"):
    """An event that is named by ``type``."""


SHAPES = Shapes({Sender.CLIENT: (), Sender.SERVER: (Text,)})


def test_the_type_of_an_event_can_be_in_another_field() -> None:
    frame = encode(Text("a"))
    assert frame == '{"event":"text","text":"a"}'
    assert SHAPES.read(frame, Sender.SERVER) == Text("a")
    flawed = SHAPES.read('{"event":"text","text":1}', Sender.SERVER)
    assert isinstance(flawed, Flawed)
    assert (flawed.move, flawed.event) == ("text", Text(""))
    assert SHAPES.read('{"event":"other"}', Sender.SERVER) == Unknown("other")
    assert SHAPES.read('{"type":"text"}', Sender.SERVER) == Unknown(None)


@pytest.mark.parametrize("text", ["{}", '{"text":"a"}', '{"event":1}'])
def test_an_object_without_a_type_is_unknown(text: str) -> None:
    assert SHAPES.read(text, Sender.SERVER) == Unknown(None)


def test_an_empty_name() -> None:
    assert SHAPES.read('{"event":""}', Sender.SERVER) == Unknown("")
    assert SHAPES.read('{"event":""}', Sender.CLIENT) == Unknown("")


def test_a_side_that_sends_no_event() -> None:
    assert SHAPES.read(encode(Text("a")), Sender.CLIENT) == Unknown("text")
    assert SHAPES.read("{}", Sender.CLIENT) == Unknown(None)
    assert isinstance(SHAPES.read("[]", Sender.CLIENT), Malformed)
    assert isinstance(SHAPES.read("{", Sender.CLIENT), Malformed)


def test_events_that_are_named_by_different_fields() -> None:
    with pytest.raises(ValueError, match="in the same field, not in event and type"):
        Shapes({Sender.CLIENT: (Hello,), Sender.SERVER: (Text,)})
