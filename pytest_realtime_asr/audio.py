"""Sound as it is sent: mono PCM16 at some rate, in memory and in files.

One full-scale convention holds throughout: a sample is its integer divided by 32768,
so that -1.0 is -32768 and +1.0, which PCM16 cannot hold, is clipped to 32767. A 16-bit
file therefore comes back bit for bit, and so does whatever is written here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from pytest_realtime_asr.text.inputs import InputError, regular

_FULL_SCALE = 32768
_WIDTH = 2  # bytes of one sample
_BLOCK = 2**18  # samples that are computed at a time: floats take 4 times the memory
_FRAME = 0.01  # s of sound whose energy is taken together
_RUN = 3  # loud frames in a row that are speech
_RANGE = 35.0  # dB below the loudest twentieth that are speech
_FLOOR = -60.0  # dB of full scale below which nothing is
_RATES = (1_000, 768_000)  # Hz that a file may have
_LONGEST = 24 * 3600  # s; of a longer sound the head is wrong
_UNKNOWN_FRAMES = 2**62  # libsndfile counts to 2**63 - 1 where no length is stated
_UNKNOWN_BYTES = 0x7FFF_0000  # writers to a pipe put such a size into a WAV head


class AudioError(InputError):
    """An audio file that cannot be used: its path, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono sound: signed 16-bit little-endian samples at ``rate`` Hz.

    Half a sample or a rate that is not positive is a ``ValueError``. Positions in
    seconds are rounded to the nearest sample everywhere.
    """

    pcm: bytes = field(repr=False)
    rate: int

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        if len(self.pcm) % _WIDTH:
            raise ValueError(
                f"{len(self.pcm)} bytes of PCM16 end in half a sample; "
                "give an even number of bytes"
            )

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.pcm) // _WIDTH

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples / self.rate

    @property
    def array(self) -> npt.NDArray[np.int16]:
        """The samples as a read-only view of ``pcm``."""
        return np.frombuffer(self.pcm, dtype="<i2")

    @property
    def digest(self) -> str:
        """16 hex digits that are the same for the same samples at the same rate."""
        found = hashlib.sha256(b"%d\n" % self.rate)
        found.update(self.pcm)
        return found.hexdigest()[:16]

    def resample(self, rate: int) -> Audio:
        """The same sound at ``rate`` Hz; itself where that is its rate already.

        Computed in floats and clipped, so that an overshoot of the filter never wraps
        round. The length is right to one sample.
        """
        _check_rate(rate)
        if rate == self.rate:
            return self
        floats = self.array.astype(np.float32)
        floats /= _FULL_SCALE  # in place, since the sound may be long
        return from_float(soxr.resample(floats, self.rate, rate, quality="HQ"), rate)

    def cut(self, start: float, stop: float) -> Audio:
        """The stretch from ``start`` to ``stop``, in seconds.

        Neighbouring cuts join without a gap. A stretch that is not inside the sound is
        a ``ValueError``.
        """
        first, last = _span(start, stop, self.samples, self.rate)
        return Audio(self.pcm[first * _WIDTH : last * _WIDTH], self.rate)

    def chunks(self, seconds: float) -> Iterator[bytes]:
        """The PCM in pieces of ``seconds`` each; the last one may be shorter.

        A piece of less than one sample is a ``ValueError``, raised at the call.
        """
        size = _samples(seconds, self.rate) * _WIDTH
        if not size:
            raise ValueError(
                f"a chunk of {seconds} s holds no sample at {self.rate} Hz; "
                f"give at least {1 / self.rate:.2g} s"
            )
        pcm = self.pcm
        return (pcm[at : at + size] for at in range(0, len(pcm), size))


def from_float(samples: npt.NDArray[np.floating[Any]], rate: int) -> Audio:
    """Sound from floats, where full scale is -1 to 1.

    ``samples`` is float32 or float64, one-dimensional or frames x channels. Channels
    are averaged, what is over full scale is clipped, the rest rounded to the nearest
    step. Another type or shape, or a sample that is not finite, is a ``ValueError``.
    """
    if samples.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"samples of type {samples.dtype}; give float32 or float64 from -1 to 1"
        )
    if samples.ndim not in (1, 2) or samples.shape[1:] == (0,):
        raise ValueError(
            f"samples of shape {samples.shape}; give one dimension or frames x channels"
        )
    starts = range(0, len(samples), _BLOCK)
    pcm = b"".join(_pcm(samples[start : start + _BLOCK]) for start in starts)
    return Audio(pcm, rate)


def _pcm(samples: npt.NDArray[np.floating[Any]]) -> bytes:
    if not np.isfinite(samples).all():
        raise ValueError("a sample is not a finite number; full scale is -1 to 1")
    if samples.ndim == 2:
        with np.errstate(over="ignore"):  # a sum over the float range is clipped below
            samples = samples.mean(axis=1)
    steps = np.rint(np.clip(samples, -1, 1) * _FULL_SCALE)
    return bytes(np.minimum(steps, _FULL_SCALE - 1).astype("<i2"))


def silence(seconds: float, *, rate: int = 16000) -> Audio:
    """Digital silence."""
    _check_rate(rate)
    return Audio(bytes(_samples(seconds, rate) * _WIDTH), rate)


def join(*parts: Audio) -> Audio:
    """The parts one after the other; no part or unequal rates are a ``ValueError``."""
    rates = sorted({part.rate for part in parts})
    if len(rates) != 1:
        found = ", ".join(f"{rate} Hz" for rate in rates) or "no part at all"
        raise ValueError(f"cannot join {found}; give parts of one rate, resampled")
    return Audio(b"".join(part.pcm for part in parts), rates[0])


def speech(audio: Audio) -> tuple[float, float] | None:
    """Where speech begins and ends by the energy of the sound, in s; ``None``: nowhere.

    A frame of 10 ms is loud where its RMS is within 35 dB of the 95th percentile of all
    frames, and over -60 dB of full scale; speech is from the first run of three loud
    frames to the end of the last. On the bundled clips with word times the onsets are
    17 ms late in the mean (80 ms at most), the ends 6 ms early (111 ms at most).
    """
    size = max(1, round(_FRAME * audio.rate))
    count = audio.samples // size
    if count < _RUN:
        return None
    frames = audio.array[: count * size].reshape(count, size)
    step = max(1, _BLOCK // size)
    blocks = (frames[at : at + step] / _FULL_SCALE for at in range(0, count, step))
    power = np.concatenate([np.mean(block**2, axis=1) for block in blocks])
    level = 20 * np.log10(np.sqrt(power) + 1e-9)
    loud = level > max(float(np.percentile(level, 95)) - _RANGE, _FLOOR)
    runs = np.flatnonzero(np.convolve(loud, np.ones(_RUN), "valid") == _RUN)
    if not runs.size:
        return None
    first, last = int(runs[0]), int(runs[-1]) + _RUN
    return first * size / audio.rate, last * size / audio.rate


def length(path: Path) -> float:
    """How many seconds of sound a file holds by its head, without decoding it.

    Raises ``AudioError`` for whatever the head alone shows to be wrong.
    """
    with _opened(path) as file:
        return float(file.frames / file.samplerate)


def read(path: Path, *, start: float = 0.0, stop: float | None = None) -> Audio:
    """The sound of a file at the file's own rate, its channels mixed to one.

    Reads whatever libsndfile reads. ``start`` and ``stop`` take a stretch, in seconds.
    Raises ``AudioError`` for a file that is missing, not audio, empty, cut short or
    shorter than the stretch.
    """
    with _opened(path) as file:
        end = file.frames / file.samplerate if stop is None else stop
        try:
            first, last = _span(start, end, file.frames, file.samplerate)
        except ValueError as error:
            raise AudioError(f"{path}: {error}") from error
        found, rate = [], file.samplerate
        try:
            file.seek(first)
            for at in range(first, last, _BLOCK):
                samples = file.read(min(_BLOCK, last - at), dtype="float32")
                found.append(from_float(samples, rate).pcm)
        except soundfile.SoundFileError as error:
            raise _broken(path, str(error)) from error
        except ValueError as error:
            raise AudioError(f"{path}: {error}; write the file again") from error
    sound = Audio(b"".join(found), rate)
    if sound.samples != last - first:
        raise _broken(path, f"{sound.samples} of {last - first} frames are there")
    return sound


def write(path: Path, audio: Audio) -> None:
    """Write ``audio`` with 16 bits, in the format that the suffix of ``path`` names.

    Raises ``AudioError`` where the format does not hold 16-bit PCM at this rate, where
    there is no sample to write, and where the file cannot be made.
    """
    kind = path.suffix[1:].upper()
    # libsndfile would take .raw, but nobody could read the rate back.
    if kind == "RAW" or not soundfile.check_format(kind, "PCM_16"):
        raise AudioError(
            f"{path}: this suffix is no format of 16-bit PCM; use .flac or .wav"
        )
    if not audio.samples:
        raise AudioError(f"{path}: there is no sample to write; give some audio")
    try:
        soundfile.write(path, audio.array, audio.rate, subtype="PCM_16")
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", error)
        raise AudioError(
            f"{path}: cannot be written at {audio.rate} Hz ({reason}); "
            "check that the folder is there and that the format has this rate"
        ) from error


class Resampler:
    """PCM16 of one sound at one rate, piece by piece, to PCM16 at another.

    What comes out is a few milliseconds behind what went in, until `flush`.
    """

    def __init__(self, source: int, target: int) -> None:
        _check_rate(source)
        _check_rate(target)
        self._stream = (
            None
            if source == target
            else soxr.ResampleStream(source, target, 1, dtype="int16")
        )

    def feed(self, pcm: bytes) -> bytes:
        """The next piece."""
        return self._next(pcm, last=False)

    def flush(self) -> bytes:
        """What is left of the sound, which ends here."""
        return self._next(b"", last=True)

    def _next(self, pcm: bytes, *, last: bool) -> bytes:
        if self._stream is None:
            return pcm
        samples = np.frombuffer(pcm, dtype="<i2")
        return bytes(self._stream.resample_chunk(samples, last=last).astype("<i2"))


def _check_rate(rate: int) -> None:
    if rate <= 0:
        raise ValueError(f"a rate of {rate} Hz; give a positive number of Hz")


def _samples(seconds: float, rate: int) -> int:
    """The nearest number of samples."""
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} s is no duration; give 0 or more seconds")
    return round(seconds * rate)


def _span(start: float, stop: float, samples: int, rate: int) -> tuple[int, int]:
    """First and last (exclusive) sample of a stretch that lies inside the sound."""
    seconds = samples / rate
    if not 0 <= start <= stop <= seconds + 0.5 / rate:
        raise ValueError(
            f"the stretch {start:g} to {stop:g} s is not inside the {seconds:g} s "
            "that there are; give a start and a later stop inside the sound"
        )
    return _samples(start, rate), min(_samples(stop, rate), samples)


def _broken(path: Path, what: str) -> AudioError:
    return AudioError(
        f"{path}: its body is broken or cut short ({what}); fetch or make it again"
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, open for reading, once its head was found to be sound."""
    try:
        regular(path)
        file = soundfile.SoundFile(os.fsencode(path))  # it may not be UTF-8
    except InputError as error:
        raise AudioError(str(error)) from error
    except (soundfile.SoundFileError, TypeError) as error:  # .raw is a TypeError
        reason = getattr(error, "error_string", error)
        raise AudioError(
            f"{path}: cannot be read as audio ({reason}); give a WAV, FLAC or other "
            "file that libsndfile reads, or convert it to one"
        ) from error
    with file:
        if file.frames == 0:
            raise AudioError(f"{path}: holds no sound (0 frames); make it again")
        if file.frames > _UNKNOWN_FRAMES:
            raise AudioError(
                f"{path}: does not state its length, as if it came from a pipe; "
                "write it again to a file"
            )
        if not _RATES[0] <= file.samplerate <= _RATES[1]:
            raise AudioError(
                f"{path}: states a rate of {file.samplerate} Hz, which is not from "
                f"{_RATES[0]} to {_RATES[1]} Hz; make it again"
            )
        if file.frames > _LONGEST * file.samplerate:
            raise AudioError(
                f"{path}: states {file.frames} frames, which is more than a day; make "
                "it again, or cut it into pieces"
            )
        if missing := _missing(path):
            raise _broken(path, f"{missing} bytes that its head promises are missing")
        yield file


def _missing(path: Path) -> int:
    """How many bytes of samples a WAV lacks; libsndfile shortens it without a word."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return 0
        head = file.read(8)
        while head[:4] not in (b"data", b""):
            count = int.from_bytes(head[4:], "little")
            file.seek(count + count % 2, 1)  # chunks are padded to even sizes
            head = file.read(8)
        count = int.from_bytes(head[4:], "little")
        there = size - file.tell()
    return max(0, count - there) if count < _UNKNOWN_BYTES else 0
