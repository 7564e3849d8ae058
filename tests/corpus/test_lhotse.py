"""The manifests of Lhotse are refused by name, with the way to export them."""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from pytest_realtime_asr.corpus import CorpusError, FileSpan, load
from tests.corpus.sounds import put

SUPERVISION = {"id": "s1", "recording_id": "r", "start": 0, "duration": 0.5}
RECORDING = {"id": "r", "sources": [{"source": "a.wav"}], "sampling_rate": 8000}
CUT = {"id": "c", "start": 0.25, "duration": 0.5, "channel": 0, "type": "MonoCut"}


def refusal(path: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        load(path)
    return str(caught.value)


def store(path: Path, row: dict[str, object]) -> Path:
    line = f"{json.dumps(row)}\n".encode()
    path.write_bytes(gzip.compress(line) if path.suffix == ".gz" else line)
    return path


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz", "x.json"])
def test_cuts(tmp_path: Path, name: str) -> None:
    path = store(tmp_path / name, CUT)
    first, *lines = refusal(path).splitlines()
    assert first == (
        f"{path}: is a Lhotse manifest (cuts), which is not supported; to export a "
        "NeMo manifest, run these lines of Python in the folder at which the relative "
        "paths of the audio files start:"
    )
    assert len(lines) == 3
    assert f"from_file({str(path)!r})" in lines[1]


@pytest.mark.parametrize(
    ("row", "kind", "sources"),
    [
        ({"id": "c", "recording": {}, "supervisions": []}, "cuts", ["x.jsonl.gz"]),
        (SUPERVISION, "supervisions", ["recordings.jsonl.gz", "x.jsonl.gz"]),
        (RECORDING, "recordings", ["x.jsonl.gz", "supervisions.jsonl.gz"]),
    ],
)
def test_other_manifests(
    tmp_path: Path, row: dict[str, object], kind: str, sources: list[str]
) -> None:
    first, _, cuts, _ = refusal(store(tmp_path / "x.jsonl.gz", row)).splitlines()
    assert f"is a Lhotse manifest ({kind}), which is not supported" in first
    files = [Path(name).name for name in re.findall(r"from_file\('(.*?)'\)", cuts)]
    assert files == sources


def test_nemo_manifest_with_fields_of_lhotse(tmp_path: Path) -> None:
    row = {**SUPERVISION, "audio_filepath": str(put(tmp_path / "a.wav")), "text": "go"}
    assert (
        load(store(tmp_path / "x.jsonl", {**row, "duration": 1.0}))["s1"].text == "go"
    )


def test_lines_of_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines run, with the names that Lhotse gives, and what they write is read."""
    path = store(tmp_path / "cuts.jsonl.gz", CUT)
    wav = put(tmp_path / "a.wav")
    cut = SimpleNamespace(
        channel=0,
        start=0.25,
        duration=0.5,
        recording=SimpleNamespace(sources=[SimpleNamespace(source="a.wav")]),
        supervisions=[
            SimpleNamespace(id="s1", text="geh weg", language="de", speaker=None)
        ],
    )

    class CutSet:
        @staticmethod
        def from_file(name: str) -> type[CutSet]:
            assert name == str(path)
            return CutSet

        @staticmethod
        def trim_to_supervisions(*, keep_overlapping: bool) -> list[SimpleNamespace]:
            assert not keep_overlapping  # so that each cut has one supervision
            return [cut]

    stub = ModuleType("lhotse")
    stub.CutSet = CutSet  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lhotse", stub)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for line in refusal(path).splitlines()[1:]:
        exec(line.strip(), names)
    (one,) = load(tmp_path / "manifest.jsonl")
    assert (one.id, one.text, one.language) == ("s1", "geh weg", "de")
    assert one.source == FileSpan(wav, 0.25, 0.75, (0,))


def test_other_compressed_file(tmp_path: Path) -> None:
    path = store(tmp_path / "x.jsonl.gz", {"audio_filepath": "a.wav", "text": "go"})
    what = "is compressed; decompress it (gunzip) and give the .jsonl file"
    assert refusal(path) == f"{path}: {what}"
    path.write_bytes(b"not compressed")
    assert refusal(path) == f"{path}: {what}"
