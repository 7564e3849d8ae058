"""The model of a server that lists several is the first one that works."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.run import model_choice
from pytest_realtime_asr.run.config import time_limits
from pytest_realtime_asr.run.model_choice import TRIES, NoModel
from tests.support.servers import faking, plan

OTHERS = [f"other-{number}" for number in range(12)]


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_choice, "ANSWER", 0.2)


def chosen(loop: Loop, url: str, models: Sequence[str]) -> tuple[str, list[str]]:
    """Return the chosen model and the progress."""
    seen: list[str] = []
    return (
        model_choice.choose(
            loop, models, lambda model: plan(url, model=model), progress=seen.append
        ),
        seen,
    )


def test_the_first_model_that_is_accepted(loop: Loop) -> None:
    with faking() as (url, fake):
        tried = ["trying the model other-0", "trying the model fake"]
        assert chosen(loop, url, ["other-0", "fake", "other-1"]) == ("fake", tried)
        assert len(fake.traces()) == 2


def test_the_only_model_is_not_tried(loop: Loop) -> None:
    with faking() as (url, fake):
        assert chosen(loop, url, ["other-0"]) == ("other-0", [])
        assert fake.traces() == ()


def test_only_some_models_are_tried(loop: Loop) -> None:
    with faking() as (url, fake):
        with pytest.raises(NoModel) as error:
            chosen(loop, url, [*OTHERS, "fake"])
        assert len(fake.traces()) == TRIES
    text = str(error.value)
    assert text.startswith("the server refused each model that was tried (other-0: ")
    assert "The model `other-4` does not exist" in text
    assert text.endswith(
        "; name the model with --realtime-model; the server lists other-0, other-1, "
        "other-2, other-3, other-4, other-5, other-6, other-7, other-8, other-9 and 3 "
        "more"
    )


def test_a_refusal_for_another_reason_leaves_the_first_model(loop: Loop) -> None:
    with faking("refuses-setup") as (url, _):
        found, tried = chosen(loop, url, ["other-0", "fake"])
    assert found == "other-0"
    assert len(tried) == 2


def test_the_time_limits_allow_for_a_start() -> None:
    usual, patient = time_limits(5.0), time_limits(5.0, wait=90.0)
    assert (usual.connect, usual.ready, usual.silence, usual.beyond) == (10, 10, 5, 60)
    assert {patient.connect, patient.ready, patient.silence, patient.beyond} == {90}
    assert time_limits(5.0, wait=90.0, most=30.0).silence == 30
