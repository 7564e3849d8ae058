"""The cost of an append frame is of the kind that the benchmarks show."""

from __future__ import annotations

import json

from benchmarks import appends
from benchmarks.clients import DIALECT


def test_both_ways_build_the_same_event() -> None:
    own = DIALECT.caller("m", {}).append(appends.PCM)
    assert json.loads(own) == json.loads(appends.plain(appends.PCM))


def test_a_frame_costs_less_than_by_a_json_encoder() -> None:
    found = appends.compare(rounds=5, frames=200)
    assert found.ratio is not None
    assert found.ratio < 1, found.row
