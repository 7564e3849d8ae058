"""Recognises the manifests of Lhotse, and says how to export them as NeMo manifests."""

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
_HEAD = 2**20  # bytes of a compressed file that are looked at
_RECORDINGS, _SUPERVISIONS = "recordings.jsonl.gz", "supervisions.jsonl.gz"
_WRITE = (
    'pathlib.Path("manifest.jsonl").write_text("".join(json.dumps({"id": '
    'c.supervisions[0].id, "audio_filepath": c.recording.sources[0].source, '
    '"channel_selector": c.channel, "offset": c.start, "duration": c.duration, "text": '
    'c.supervisions[0].text, "language": c.supervisions[0].language, "speaker": '
    'c.supervisions[0].speaker}) + "\\n" for c in cuts))'
)


def refuse(path: Path, line: str) -> None:
    """Raise `CorpusError` if a file is a manifest of Lhotse.

    ``line`` is the first line of the file.
    """
    try:
        row = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(row, Mapping) or "audio_filepath" in row:
        return
    if row.get("type") in _CUTS or {"recording", "supervisions"} <= set(row):
        kind, cuts = "cuts", f"from_file({str(path)!r})"
    elif {"recording_id", "start", "duration"} <= set(row):
        kind, cuts = "supervisions", _cuts(_RECORDINGS, str(path))
    elif {"sources", "sampling_rate"} <= set(row):
        kind, cuts = "recordings", _cuts(str(path), _SUPERVISIONS)
    else:
        return
    raise CorpusError(
        f"{path}: is a Lhotse manifest ({kind}), which is not supported; to export a "
        "NeMo manifest, run these lines of Python in the folder at which the relative "
        "paths of the audio files start:",
        "import json, lhotse, pathlib",
        f"cuts = lhotse.CutSet.{cuts}.trim_to_supervisions(keep_overlapping=False)",
        _WRITE,
    )


def _cuts(recordings: str, supervisions: str) -> str:
    """Return the Python call that makes cuts from two manifests of Lhotse.

    ``recordings`` and ``supervisions`` are the paths of these manifests.
    """
    return (
        f"from_manifests(recordings=lhotse.RecordingSet.from_file({recordings!r}), "
        f"supervisions=lhotse.SupervisionSet.from_file({supervisions!r}))"
    )


def refuse_compressed(path: Path) -> NoReturn:
    """Raise `CorpusError` for a compressed file.

    If the file is a manifest of Lhotse, the message says so.
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
