"""Tests of G.711: companded audio of one byte per sample."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_realtime_asr.audio import g711
from tests.support.openai import pcm, samples


@pytest.mark.parametrize(
    ("law", "code", "level"),
    [
        # Tables 2a and 2b of G.711: of 14 bits
        (g711.MU, 0x80, 4 * 8031),
        (g711.MU, 0x81, 4 * 7775),
        (g711.MU, 0x8F, 4 * 4191),
        (g711.MU, 0x90, 4 * 3999),
        (g711.MU, 0xAF, 4 * 1023),
        (g711.MU, 0xCF, 4 * 231),
        (g711.MU, 0xEF, 4 * 33),
        (g711.MU, 0xF0, 4 * 30),
        (g711.MU, 0xFE, 4 * 2),
        (g711.MU, 0xFF, 0),
        (g711.MU, 0x7F, 0),
        (g711.MU, 0x7E, 4 * -2),
        (g711.MU, 0x00, 4 * -8031),
        # Tables 1a and 1b: of 13 bits
        (g711.A, 0xAA, 8 * 4032),
        (g711.A, 0xAB, 8 * 3904),
        (g711.A, 0xA5, 8 * 2112),
        (g711.A, 0xBA, 8 * 2016),
        (g711.A, 0x9A, 8 * 504),
        (g711.A, 0x85, 8 * 528),
        (g711.A, 0xC5, 8 * 33),
        (g711.A, 0xDA, 8 * 31),
        (g711.A, 0xD5, 8 * 1),
        (g711.A, 0x55, 8 * -1),
        (g711.A, 0x2A, 8 * -4032),
    ],
)
def test_the_levels_of_the_standard(law: g711.Law, code: int, level: int) -> None:
    assert samples(law.decode(bytes([code]))) == [level]


@pytest.mark.parametrize(
    ("law", "sample", "code"),
    [
        (g711.MU, 0, 0xFF),
        (g711.MU, 3, 0xFF),
        (g711.MU, -3, 0x7F),
        (g711.MU, 4, 0xFE),  # the decision value 1
        (g711.MU, 123, 0xF0),
        (g711.MU, 124, 0xEF),  # 31
        (g711.MU, 32767, 0x80),
        (g711.MU, -32768, 0x00),
        (g711.A, 0, 0xD5),
        (g711.A, 15, 0xD5),
        (g711.A, 16, 0xD4),  # the decision value 2
        (g711.A, -1, 0x55),
        (g711.A, 32767, 0xAA),
        (g711.A, -32768, 0x2A),
    ],
)
def test_the_codes_of_the_standard(law: g711.Law, sample: int, code: int) -> None:
    assert law.encode(pcm(sample)) == bytes([code])


@pytest.mark.parametrize("law", [g711.MU, g711.A])
def test_every_code_is_unchanged_after_decoding_and_encoding(law: g711.Law) -> None:
    every = bytes(range(256))
    same = law.encode(law.decode(every))
    zero = {0x7F: 0xFF} if law is g711.MU else {}  # there are two of them
    assert same == bytes(zero.get(code, code) for code in every)


@pytest.mark.parametrize(("law", "least"), [(g711.MU, 4.125), (g711.A, 8.0)])
def test_a_sample_changes_by_half_a_step_at_most(law: g711.Law, least: float) -> None:
    """Half a step is a 32nd of a sample, except for the smallest samples."""
    every = np.arange(-32768, 32768)
    back = np.array(samples(law.decode(law.encode(every.astype("<i2").tobytes()))))
    assert (np.abs(back - every) <= np.abs(every) / 32 + least).all()


def by_the_standard(law: g711.Law) -> tuple[bytes, bytes]:
    """Return the codes of all samples and the samples of all codes, by the formulas.

    A code consists of a sign, one of eight chords, and one of sixteen steps in the
    chord; some of its bits are inverted. The level of a code is the middle of all
    samples with this code.
    """
    chords, steps = np.divmod(np.arange(128), 16)
    if law is g711.MU:
        halves, inverted = 4 << chords, 0xFF  # of 14 bits, in 16
        sizes = (2 * steps + 33) * halves - 4 * 33
    else:
        halves, inverted = 8 << np.maximum(chords - 1, 0), 0xD5  # of 13 bits, in 16
        sizes = (2 * steps + 1 + 32 * (chords > 0)) * halves
    codes = np.arange(256) ^ inverted
    levels = np.where(codes & 0x80, -1, 1) * sizes[codes & 0x7F]
    every = np.arange(2**16, dtype=np.uint16).view(np.int16).astype(int)
    place = np.searchsorted(sizes - halves, np.abs(every), side="right") - 1
    found = (place | np.where(every < 0, 0x80, 0)) ^ inverted
    return bytes(found.astype(np.uint8)), levels.astype("<i2").tobytes()


@pytest.mark.parametrize("law", [g711.MU, g711.A])
def test_every_sample_and_every_code(law: g711.Law) -> None:
    codes, levels = by_the_standard(law)
    assert law.encode(np.arange(2**16, dtype="<u2").tobytes()) == codes
    assert law.decode(bytes(range(256))) == levels
