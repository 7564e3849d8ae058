"""Recognises the manifests of Lhotse, and tells how to export them for NeMo."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import msgspec

from pytest_realtime_asr.corpus.utterance import CorpusError
from pytest_realtime_asr.text import inputs

_CUTS = ("MonoCut", "MultiCut", "MixedCut", "PaddingCut")
_FIELDS = (
    {"recording", "supervisions"},
    {"recording_id", "start", "duration"},
    {"sources", "sampling_rate"},
)
_HEAD = 2**20  # bytes of a compressed file that are looked at
_EXPORT = (
    "import json, lhotse, pathlib",
    "cuts = lhotse.CutSet.from_file({cuts!r}).trim_to_supervisions("
    "keep_overlapping=False)",
    'pathlib.Path("manifest.jsonl").write_text("".join(json.dumps({{"id": '
    'c.supervisions[0].id, "audio_filepath": c.recording.sources[0].source, '
    '"channel_selector": c.channel, "offset": c.start, "duration": c.duration, "text": '
    'c.supervisions[0].text, "language": c.supervisions[0].language, "speaker": '
    'c.supervisions[0].speaker}}) + "\\n" for c in cuts))',
)


def refuse(path: Path, line: str) -> None:
    """Refuse a file whose first line is an object of Lhotse. Raises `CorpusError`."""
    try:
        row = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(row, Mapping):
        return
    if row.get("type") in _CUTS or any(fields <= set(row) for fields in _FIELDS):
        kind = row.get("type") or "recordings or supervisions"
        cuts = str(path) if row.get("type") in _CUTS else "cuts.jsonl.gz"
        raise CorpusError(
            f"{path}: is a Lhotse manifest ({kind}), which is not read; export a NeMo "
            "manifest with these lines of Python, in the folder to which the paths of "
            "the audio relate:",
            *(each.format(cuts=cuts) for each in _EXPORT),
        )


def refuse_compressed(path: Path) -> NoReturn:
    """Refuse a compressed file, by name if it is a manifest of Lhotse.

    Raises `CorpusError`.
    """
    inputs.regular(path)
    try:
        with gzip.open(path) as file:
            head = file.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        head = b""
    refuse(path, head.partition(b"\n")[0].decode(errors="replace"))
    raise CorpusError(
        f"{path}: is compressed; decompress it (gunzip) and give the .jsonl file"
    )
