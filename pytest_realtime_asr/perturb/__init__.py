"""Perturbations: noise, a telephone line, a room and others, applied to a corpus.

Each function returns a `Perturbation`, which is a pure function from utterance to
utterance. It is applied by ``corpus.map(noise("10dB", seed=1))``.

- The same function, seed and utterance give the same audio in every run. The other
  utterances have no influence, except with `babble`; each utterance has its own noise.
- The times of words move with the sound. The start and the end of the speech are taken
  from the original audio, since noise would hide them from a detector.
- The name, version, parameters and seed are part of the conditions in reports, and of
  the id of the utterance, such as ``noise/1:10dB:seed=1+go-forward``. So two runs are
  compared only if they have the same perturbations.
- Only `clipping` clips samples. If the result of `gain` would exceed full scale, `gain`
  raises an error. If the result of another function would exceed full scale, the whole
  audio is attenuated by as few whole decibels as possible. The id of the utterance then
  states this, as in ``noise/1:0dB:seed=1:attenuated=2dB``.

A quantity is a string with its unit: ``"10dB"``, ``"300ms"``, ``"5%"``. Each function
raises `PerturbationError` for a quantity that it cannot use; a perturbation raises this
error for an utterance that it cannot change.
"""

from __future__ import annotations

from pytest_realtime_asr.perturb.additions import babble, dither, noise
from pytest_realtime_asr.perturb.channels import (
    clipping,
    gain,
    packet_loss,
    reverberation,
    telephone,
)
from pytest_realtime_asr.perturb.perturbation import Perturbation, PerturbationError
from pytest_realtime_asr.perturb.timing import lead_silence, speed

__all__ = [
    "Perturbation",
    "PerturbationError",
    "babble",
    "clipping",
    "dither",
    "gain",
    "lead_silence",
    "noise",
    "packet_loss",
    "reverberation",
    "speed",
    "telephone",
]
