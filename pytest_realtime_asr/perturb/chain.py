"""Chains of perturbations as a user writes them: ``telephone,packet-loss:5%:seed=2``.

A chain is a list of perturbations, separated by commas and applied from left to right.
Each perturbation has the form ``NAME[:AMOUNT][:PARAMETER=VALUE]...``. ``babble`` takes
its voices from the same corpus, as it is before the chain is applied.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.perturb.additions import babble_of, dither, noise
from pytest_realtime_asr.perturb.channels import (
    clipping,
    gain,
    packet_loss,
    reverberation,
    telephone,
)
from pytest_realtime_asr.perturb.perturbation import Perturbation, PerturbationError
from pytest_realtime_asr.perturb.timing import lead_silence, speed

Step = Callable[[Corpus], Perturbation]
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)


def _same(perturbation: Perturbation) -> Step:
    """Return a step that gives the same perturbation for every corpus."""
    return lambda _: perturbation


_KNOWN: Mapping[str, tuple[Callable[..., Any], Callable[[Any], Step]]] = {
    "babble": (babble_of, lambda step: step),
    **{
        made.__name__.replace("_", "-"): (made, _same)
        for made in (
            clipping,
            dither,
            gain,
            lead_silence,
            noise,
            packet_loss,
            reverberation,
            speed,
            telephone,
        )
    },
}
NAMES = tuple(sorted(_KNOWN))


def parse(text: str) -> tuple[Step, ...]:
    """Return the steps of a chain such as ``telephone,noise:10dB``.

    Raises `PerturbationError` for a chain that cannot be used.
    """
    return tuple(map(_step, text.split(",")))


def apply(corpus: Corpus, chain: Iterable[str]) -> Corpus:
    """Return the corpus after all perturbations of ``chain``, applied in this order.

    Each string of ``chain`` is one perturbation, or several separated by commas. Raises
    `PerturbationError` for a perturbation that cannot be used or applied, and
    `AudioError` if an utterance cannot be decoded.
    """
    found = corpus
    for text in chain:
        for step in parse(text):
            found = found.map(step(corpus))
    return found


def _step(text: str) -> Step:
    name, *rest = (part.strip() for part in text.split(":"))
    if name not in _KNOWN:
        raise PerturbationError(
            f"{name!r} is not a perturbation; choose from {', '.join(NAMES)}"
        )
    make, step = _KNOWN[name]
    amounts = [part for part in rest if "=" not in part]
    pairs = [_pair(part) for part in rest if "=" in part]
    named = dict(pairs)
    try:
        if len(named) < len(pairs):
            raise TypeError("a parameter is given twice")
        inspect.signature(make).bind(*amounts, **named)
    except TypeError as error:
        raise PerturbationError(
            f"{text.strip()!r}: {error}; write {_form(name, make)}"
        ) from None
    return step(make(*amounts, **named))


def _pair(part: str) -> tuple[str, str | int]:
    """Return the name and the value of a parameter."""
    name, _, value = (each.strip() for each in part.partition("="))
    return name, int(value) if _WHOLE.fullmatch(value) else value


def _form(name: str, make: Callable[..., Any]) -> str:
    """Return the form in which a user writes a perturbation."""
    parts = [name]
    for each in inspect.signature(make).parameters.values():
        optional = each.default is not each.empty
        parts.append(
            f"[:{each.name}={each.default}]" if optional else f":{each.name.upper()}"
        )
    return "".join(parts)
