"""Chains of perturbations as text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.corpus import load
from pytest_realtime_asr.perturb import (
    PerturbationError,
    babble,
    chain,
    noise,
    packet_loss,
    telephone,
)

ENGLISH = load("bundled:english")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("noise:10dB", ["noise/1:10dB:seed=1"]),
        (" noise : 10 dB : seed = 7 ", ["noise/1:10dB:seed=7"]),
        ("noise:snr=10dB", ["noise/1:10dB:seed=1"]),
        ("noise:seed=2:-5dB", ["noise/1:-5dB:seed=2"]),
        ("telephone,noise:0dB", ["telephone/1", "noise/1:0dB:seed=1"]),
        ("packet-loss:2.5%:packet=60ms", ["packet-loss/1:2.5%:packet=60ms:seed=1"]),
        ("lead-silence:1.5s", ["lead-silence/1:1500ms"]),
        ("reverberation:0.3s", ["reverberation/1:300ms:seed=1"]),
    ],
)
def test_a_text_is_parsed_as_a_chain(text: str, names: list[str]) -> None:
    assert [str(step(ENGLISH)) for step in chain.parse(text)] == names


def test_a_chain_gives_the_same_as_the_functions() -> None:
    two = ENGLISH.sample(2, seed=1)
    made = two.map(telephone()).map(packet_loss("5%", seed=2)).map(noise("10dB"))
    parts = ["telephone,packet-loss:5%:seed=2", "noise:10dB"]
    assert chain.apply(two, parts) == made


def test_the_voices_of_babble_are_the_corpus_before_the_chain() -> None:
    found = chain.apply(ENGLISH, ["telephone,babble:5dB"])
    assert found == ENGLISH.map(telephone()).map(babble(ENGLISH, "5dB"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nois:10dB", r"^'nois' is not a perturbation; choose from babble, clipping, "),
        ("", "^'' is not a perturbation; choose"),
        ("noise:10dB,", "^'' is not a perturbation; choose"),
        ("noise", r"^'noise': missing .*'snr'; write noise:SNR\[:seed=1\]$"),
        ("noise:1dB:2dB", r"too many positional .*; write noise:SNR\[:seed=1\]$"),
        ("noise:1dB:sed=2", r"'sed'; write noise:SNR\[:seed=1\]$"),
        ("noise:1dB:snr=2dB", r"multiple values .*; write noise:SNR"),
        ("noise:1dB:seed=2:seed=3", r"a parameter is given twice; write noise:SNR"),
        ("telephone:1", "too many .*; write telephone$"),
        ("babble:1dB:voices=me", r"; write babble:SNR\[:talkers=6\]\[:seed=1\]$"),
        ("noise:1dB:seed=one", "^noise: seed: 'one' cannot be used"),
        ("noise:1dB:seed=-1", "^noise: seed: '-1' cannot be used"),
        ("noise:1dB:seed=1.0", "^noise: seed: '1.0' cannot be used"),
    ],
)
def test_text_that_is_not_a_chain_is_refused(text: str, said: str) -> None:
    with pytest.raises(PerturbationError, match=said):
        chain.parse(text)


@given(st.text(st.characters() | st.sampled_from(":=,%dBms10noise"), max_size=40))
@settings(deadline=None, derandomize=True)
def test_any_text_is_a_chain_or_refused_in_one_line(text: str) -> None:
    said = ""
    try:
        chain.parse(text)
    except PerturbationError as error:
        said = str(error)
    assert "\n" not in said
