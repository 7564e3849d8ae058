"""What a load test of a server on another machine needs."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.load.cost import LoadCost
from pytest_realtime_asr.load.permission import load_refusal, overload_refusal
from pytest_realtime_asr.requirements.requirement import Harm

COST = LoadCost(streams=41, audio=3149.5, seconds=510.0)
HEAVY = frozenset({Harm.HEAVY})
DISRUPTIVE = frozenset({Harm.DISRUPTIVE})


@pytest.mark.parametrize(
    ("allowed", "max_audio", "advice"),
    [
        ((), None, "add --realtime-allow=heavy and --realtime-max-audio=3150s"),
        (HEAVY, None, "add --realtime-max-audio=3150s"),
        ((), 7200.0, "add --realtime-allow=heavy"),
        (DISRUPTIVE, 7200.0, "add --realtime-allow=heavy,disruptive"),
    ],
)
def test_a_load_of_a_remote_server_must_be_allowed(
    allowed: frozenset[Harm], max_audio: float | None, advice: str
) -> None:
    said = load_refusal(COST, here=False, allowed=allowed, max_audio=max_audio)
    assert said == (
        "the server is not on this machine, and the load has at most 41 streams at a "
        "time and 52.5 min of audio, about 8.5 min; if the server may get this load, "
        f"{advice}"
    )


def test_a_load_that_is_allowed() -> None:
    assert load_refusal(COST, here=False, allowed=HEAVY, max_audio=3149.5) is None
    assert load_refusal(COST, here=True, allowed=(), max_audio=None) is None


@pytest.mark.parametrize("here", [True, False])
def test_a_load_that_exceeds_its_audio(here: bool) -> None:
    said = load_refusal(COST, here=here, allowed=HEAVY, max_audio=600.0)
    assert said == (
        "the load sends up to 52.5 min of audio, but the limit is "
        "--realtime-max-audio=600s; raise this limit to at least 3150s, or shorten "
        "the load"
    )


def test_a_search_may_end_earlier() -> None:
    given = {"here": False, "allowed": HEAVY, "max_audio": 600.0}
    assert load_refusal(COST, **given, whole=False) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("here", "allowed", "refused"),
    [
        (True, (), False),
        (False, (), True),
        (False, HEAVY, True),
        (False, DISRUPTIVE, False),
    ],
)
def test_an_overload_of_a_remote_server_must_be_allowed(
    here: bool, allowed: frozenset[Harm], refused: bool
) -> None:
    said = overload_refusal(here=here, allowed=allowed)
    assert (said is not None) is refused
    assert said is None or "add --realtime-allow=heavy,disruptive" in said
