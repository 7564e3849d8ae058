"""Perturbations: noise, a telephone line, a room and others, applied to a corpus.

Each function returns a `Perturbation`, which is a pure function from utterance to
utterance: ``corpus.map(noise("10dB", seed=1))``.

- The same function, seed and utterance give the same audio in every run. The other
  utterances have no influence, except with `babble`; each utterance has its own noise.
- The times of words move with the sound. The start and the end of the speech are taken
  from the original audio, since noise would hide them from a detector.
- The name, version, parameters and seed are part of the id of the utterance, such as
  ``noise/1:10dB:seed=1+go-forward``, and of the conditions in reports. So a run with a
  perturbation is never compared with a run without it, or with another perturbation.
- Only `clipping` clips samples. If the result of `gain` would exceed full scale, `gain`
  raises an error. Any other result that exceeds full scale is attenuated as a whole by
  the smallest sufficient number of whole decibels, and the name of the utterance says
  so: ``noise/1:0dB:seed=1:attenuated=2dB``.

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
