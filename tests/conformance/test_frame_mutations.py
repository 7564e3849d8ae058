"""Frames with one mistake."""

from __future__ import annotations

import json

import pytest

from pytest_realtime_asr.conformance.frame_mutations import mutations
from tests.support.sessions import (
    APPEND,
    BEGIN,
    FINISH,
    UPDATE,
)


@pytest.mark.parametrize("frame", [UPDATE, BEGIN, APPEND, FINISH])
def test_each_mutation_has_one_thing_wrong(frame: str) -> None:
    found = mutations(frame)
    flat = [each for kind in found for each in kind]
    assert len(found) == 6
    assert all(found)
    assert frame not in flat
    assert len(set(flat)) == len(flat)
    assert frame.encode() in flat
    missing, changed, twice = found[3:]
    whole = json.loads(frame)
    assert [len(json.loads(each)) for each in missing] == [len(whole) - 1] * len(whole)
    for each in changed:
        other = json.loads(each)
        assert [name for name in whole if other[name] != whole[name]]
        assert other.keys() == whole.keys()
    for each in map(str, twice):
        pairs = json.loads(each, object_pairs_hook=list)
        assert len(pairs) == len(whole) + 1
        assert dict(pairs).keys() == whole.keys()


@pytest.mark.parametrize("frame", ["done", "[1]", "{}", "5"])
def test_frames_of_other_forms_are_mutated_too(frame: str) -> None:
    flat = [each for kind in mutations(frame) for each in kind]
    assert frame.encode() in flat
    assert frame not in flat
