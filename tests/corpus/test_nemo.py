"""Manifests in NeMo's convention: ids, channels and encodings."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.corpus import Corpus, CorpusError, FileSpan, load
from pytest_realtime_asr.corpus.description import Description
from pytest_realtime_asr.corpus.nemo import read
from tests.corpus.sounds import RATE, put, put_text, tone

Row = Mapping[str, object]


def manifest(folder: Path, *rows: Row) -> Path:
    lines = (json.dumps({"text": "go", **row}) for row in rows)
    return put_text(folder / "clips.jsonl", *lines)


def ids(corpus: Corpus) -> list[str]:
    return [each.id for each in corpus]


def refusal(path: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        load(path)
    return str(caught.value)


# Ids


def test_parts_of_one_file(tmp_path: Path) -> None:
    put(tmp_path / "call.wav", tone(3.0))
    put(tmp_path / "other.wav")
    file = {"audio_filepath": "call.wav"}
    rows = [
        {**file, "offset": 0, "duration": 0.5},
        {**file, "offset": 1.0625, "duration": 1.25},
        {**file, "offset": 2.5},
        {**file, "offset": 2, "duration": 1, "id": "named"},
        {"audio_filepath": "other.wav", "offset": 0.5},
    ]
    some = load(manifest(tmp_path, *rows))
    expected = ["call@0-0.5", "call@1.062-2.312", "call@2.5-", "named", "other"]
    assert ids(some) == expected
    assert [each.duration for each in some] == [0.5, 1.25, 0.5, 1, 0.5]
    backwards = load(manifest(tmp_path, *reversed(rows)))
    assert ids(backwards) == expected[::-1]


def test_files_of_one_name(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "1.wav")
    for name in ("ann/1.wav", "bob/1.wav", "bob/2.wav"):
        put(tmp_path / "corpus" / name)
    paths = ["ann/1.wav", "bob/1.wav", str(outside), "bob/2.wav"]
    rows = [{"audio_filepath": path} for path in paths]
    some = load(manifest(tmp_path / "corpus", *rows))
    stem = outside.with_suffix("").as_posix()
    assert ids(some) == ["ann/1", "bob/1", stem, "2"]


def test_channels_of_one_file(tmp_path: Path) -> None:
    two_sided(tmp_path / "call.wav")
    file = {"audio_filepath": "call.wav"}
    rows = [{**file, "channel_selector": each} for each in (0, [1], [0, 1], "average")]
    assert ids(load(manifest(tmp_path, *rows))) == [
        "call#0",
        "call#1",
        "call#0+1",
        "call",
    ]


parts = st.tuples(
    st.sampled_from(["a.wav", "x/a.wav", "y/a.wav", "b.flac"]),
    st.sampled_from([None, 0, 0.5, 1.125]),
    st.sampled_from([None, 0.25, 2]),
    st.sampled_from([None, 0, 1]),
)


@settings(deadline=None, derandomize=True)
@given(st.lists(parts, unique=True, max_size=12), st.randoms(use_true_random=False))
def test_ids_are_unique_and_do_not_depend_on_the_order(
    tmp_path_factory: pytest.TempPathFactory,
    selected: list[tuple[str, float | None, float | None, int | None]],
    order: random.Random,
) -> None:
    # Without an offset, a duration selects nothing.
    kept = [each for each in selected if each[1] is not None or each[2] is None]
    folder = tmp_path_factory.getbasetemp()
    found = []
    for rows in (kept, order.sample(kept, len(kept))):
        names = ("audio_filepath", "offset", "duration", "channel_selector")
        path = manifest(folder, *(dict(zip(names, row, strict=True)) for row in rows))
        entries = [each for each in read(path) if isinstance(each, Description)]
        found.append({row: each.id for row, each in zip(rows, entries, strict=True)})
    assert found[0] == found[1]
    assert len(set(found[0].values())) == len(kept)


def test_identical_lines_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "call.wav")
    row = {"audio_filepath": "call.wav", "offset": 0, "duration": 0.5}
    path = manifest(tmp_path, row, row)
    assert refusal(path).startswith(
        f"{path}:2: the id 'call@0-0.5' is already used in {path}:1; give every"
    )


# Channels


def two_sided(path: Path) -> None:
    sides = [tone(hertz=300).array, tone(hertz=500).array]
    soundfile.write(path, np.stack(sides, axis=1), RATE, subtype="PCM_16")


@pytest.mark.parametrize(
    ("selector", "channels", "heard"),
    [
        (0, (0,), [300]),
        (1, (1,), [500]),
        ([1], (1,), [500]),
        ([0, 1], (0, 1), [300, 500]),
    ],
)
def test_channel_selector(
    tmp_path: Path, selector: object, channels: tuple[int, ...], heard: list[int]
) -> None:
    two_sided(tmp_path / "call.wav")
    row = {"audio_filepath": "call.wav", "channel_selector": selector}
    (whole,) = load(manifest(tmp_path, row))
    assert whole.source == FileSpan(tmp_path / "call.wav", 0.0, 1.0, channels)
    spectrum = np.abs(np.fft.rfft(whole.audio.array))
    assert sorted(np.argsort(spectrum)[-len(heard) :]) == heard
    (part,) = load(manifest(tmp_path, {**row, "offset": 0.25, "duration": 0.5}))
    assert part.audio == whole.audio.cut(0.25, 0.75)


@pytest.mark.parametrize("selector", ["average", None])
def test_all_channels(tmp_path: Path, selector: object) -> None:
    two_sided(tmp_path / "call.wav")
    row = {"audio_filepath": "call.wav", "channel_selector": selector}
    (whole,) = load(manifest(tmp_path, row))
    assert whole.source == tmp_path / "call.wav"


def test_channel_of_audio_with_opposite_phase(tmp_path: Path) -> None:
    side = tone().array
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([side, -side], axis=1), RATE, subtype="PCM_16")
    row = {"audio_filepath": "call.wav"}
    said = refusal(manifest(tmp_path, row))
    assert said.startswith(f"{tmp_path / 'clips.jsonl'}:1: {path}: its channels cancel")
    (one,) = load(manifest(tmp_path, {**row, "channel_selector": 1}))
    assert (one.audio.array == -side).all()


@pytest.mark.parametrize(
    ("selector", "what"),
    [
        (2, "there is no channel 2; the file has 2, and the first is channel 0"),
        ([0, 7], "there is no channel 7; the file has 2, and the first is channel 0"),
        (-1, "channel_selector is -1; give one channel, counted from 0, "),
        ([], "channel_selector is []; give one channel"),
        ("left", "channel_selector is 'left'; give one channel"),
        (1.5, "got `float`"),
    ],
)
def test_wrong_channel(tmp_path: Path, selector: object, what: str) -> None:
    two_sided(tmp_path / "call.wav")
    row = {"audio_filepath": "call.wav", "channel_selector": selector}
    path = manifest(tmp_path, row)
    said = refusal(path)
    assert said.startswith(f"{path}:1: ")
    assert what in said


# Encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    put(tmp_path / "a.wav")
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    path = tmp_path / "clips.jsonl"
    row = '{"audio_filepath": "a.wav", "text": "grüß 日本語"}\r\n'
    path.write_text(mark + row, encoding=encoding, newline="")
    assert load(path)["a"].text == "grüß 日本語"
