"""A perturbation: a named, seeded, pure function from utterance to utterance."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pytest_realtime_asr.audio import from_float
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError

Floats = npt.NDArray[np.float64]
FULL_SCALE = 32768
LIMIT = (FULL_SCALE - 1) / FULL_SCALE  # the largest sample that PCM16 can represent


class PerturbationError(InputError):
    """A perturbation that cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """The sound of an utterance while it is perturbed.

    ``samples`` are floats at ``rate`` Hz; full scale is -1 to 1. ``speech`` is the
    start and the end of the speech in seconds; ``words`` are the words with their
    times. ``attenuated`` says by how many decibels the sound was attenuated to fit into
    full scale. ``utterance`` is the utterance before this perturbation.
    """

    utterance: Utterance
    samples: Floats
    rate: int
    speech: tuple[float, float] | None
    words: tuple[Word, ...] = ()
    attenuated: int = 0

    @property
    def id(self) -> str:
        """The id of the utterance, for messages and for random numbers."""
        return self.utterance.id

    @property
    def spoken(self) -> slice:
        """The index range of the speech.

        Raises `PerturbationError` if there is no speech.
        """
        if self.speech is None:
            raise PerturbationError(
                f"{self.id}: the utterance has no speech by which a level could be "
                "set; leave this utterance out, or choose another perturbation"
            )
        first, last = (round(at * self.rate) for at in self.speech)
        return slice(first, max(last, first + 1))

    @property
    def power(self) -> float:
        """The mean square of the speech. Raises `PerturbationError` if it is 0."""
        spoken = self.samples[self.spoken]
        found = float(np.mean(spoken**2)) if spoken.size else 0.0
        if not found:
            raise PerturbationError(
                f"{self.id}: all samples of its speech are 0, so no level can be set; "
                "check its audio and its word times"
            )
        return found

    def moved(self, move: Callable[[float], float]) -> Sound:
        """Return the sound with new times of the speech and the words.

        ``move`` returns the new time of an old time, both in seconds.
        """
        speech = self.speech and (move(self.speech[0]), move(self.speech[1]))
        words = (Word(w.text, move(w.start), move(w.end)) for w in self.words)
        return replace(self, speech=speech, words=tuple(words))

    def fitted(self) -> Sound:
        """Return the sound, attenuated by whole decibels if it exceeds full scale."""
        high = float(self.samples.max(initial=0.0))
        peak = max(high / LIMIT, float(-self.samples.min(initial=0.0)))
        if peak <= 1:
            return self
        decibels = math.ceil(20 * math.log10(peak))
        return replace(
            self,
            samples=self.samples * amplitude(-decibels),
            attenuated=self.attenuated + decibels,
        )


Change = Callable[[Sound, np.random.Generator], Sound]


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A pure function from utterance to utterance.

    ``text`` is the name of the perturbation with its parameters, such as
    ``noise/1:10dB:seed=1``. ``stream`` names the series of random numbers:
    perturbations with the same stream draw the same numbers for an utterance. So noise
    of 10 dB and noise of 5 dB differ in their level only.
    """

    text: str
    stream: str
    change: Change = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.text

    def __call__(self, utterance: Utterance) -> Utterance:
        """Return the perturbed utterance.

        Raises `PerturbationError` if the utterance cannot be perturbed, and
        `AudioError` if the audio of the utterance cannot be decoded.
        """
        audio = utterance.audio
        if not audio.samples:
            raise PerturbationError(
                f"{utterance.id}: the utterance has no audio; leave this utterance out"
            )
        sound = Sound(
            utterance,
            audio.array / FULL_SCALE,
            audio.rate,
            utterance.sound,
            utterance.words,
        )
        made = self.change(sound, self._generator(utterance.id)).fitted()
        said = f":attenuated={made.attenuated}dB" if made.attenuated else ""
        done = [utterance.perturbation, f"{self.text}{said}"]
        perturbation = "+".join(filter(None, done))
        return replace(
            utterance,
            id=f"{perturbation}+{utterance.clip}",
            source=from_float(made.samples, made.rate),
            words=made.words,
            perturbation=perturbation,
            original=utterance.original or utterance,
            located=made.speech,
        )

    def _generator(self, id: str) -> np.random.Generator:
        seed = hashlib.sha256(f"{self.stream} {id}".encode()).digest()
        return np.random.Generator(np.random.PCG64(int.from_bytes(seed)))


def perturbation(
    name: str,
    change: Change,
    amount: str = "",
    *,
    version: int = 1,
    seed: int | None = None,
    **parameters: object,
) -> Perturbation:
    """Return the perturbation that applies ``change``; its name has all parameters."""
    if seed is not None:
        parameters["seed"] = whole(f"{name}: seed", seed, 0, 2**32 - 1)
    written = (f"{key}={value}" for key, value in parameters.items())
    parts = [f"{name}/{version}", *filter(None, [amount]), *written]
    return Perturbation(":".join(parts), f"{name}/{version} {seed}", change)


def amplitude(decibels: float) -> float:
    """Return the factor for samples whose level is to change by ``decibels``."""
    return float(10 ** (decibels / 20))


# Parameters


def parameter(
    what: str, value: str, parse: Callable[[str], float], low: str, high: str
) -> float:
    """Return the number that ``parse`` reads from a quantity such as ``"10dB"``.

    Raises `PerturbationError` if the quantity cannot be read or is not from ``low`` to
    ``high``. ``what`` is the name of the quantity in the message.
    """
    try:
        found = parse(value)
    except InputError as error:
        raise PerturbationError(f"{what}: {error}") from None
    if not parse(low) <= found <= parse(high):
        raise PerturbationError(
            f"{what}: {value} cannot be used; give a value from {low} to {high}"
        )
    return found


def whole(what: str, value: object, low: int, high: int) -> int:
    """Return ``value`` if it is a whole number from ``low`` to ``high``.

    Raises `PerturbationError` for any other value. ``what`` is the name of the value in
    the message.
    """
    if not isinstance(value, int) or not inputs.within(value, low, high):
        raise PerturbationError(
            f"{what}: {inputs.shown(value)} cannot be used; give a whole number from "
            f"{low} to {high}"
        )
    return value
