"""Reads folders in which each audio file has a text file beside it."""

from __future__ import annotations

from pathlib import Path

from pytest_realtime_asr.audio.files import DECODABLE, UNDECODABLE
from pytest_realtime_asr.corpus import folders
from pytest_realtime_asr.corpus.description import Description, Found, parsed
from pytest_realtime_asr.corpus.utterance import CorpusError
from pytest_realtime_asr.text import inputs

_TEXT = ".txt"


def read(folder: Path) -> Found:
    """Yield a description of each audio file, with the text from the file beside it."""
    files = folders.visible(folder)
    texts = {path for path in files if path.suffix.lower() == _TEXT}
    audio = [path for path in files if folders.is_audio(path)]

    def described(place: str, path: Path) -> Description:
        beside = path.with_suffix(_TEXT)
        if beside not in texts:
            raise CorpusError(
                f"there is no {beside.name} beside this audio file; add such a file "
                "with the reference transcript (it may be empty), or give the path of "
                "a manifest instead of a folder"
            )
        id = path.relative_to(folder).with_suffix("").as_posix()
        return Description(place, id, path, " ".join(inputs.text(beside).split()))

    yield from parsed(((str(path), path) for path in audio), described)
    yield from folders.unused(
        path for path in files if path not in texts and not folders.is_audio(path)
    )
    suffixes = DECODABLE | UNDECODABLE
    beside = {path.with_suffix(_TEXT) for path in files if _suffix(path) in suffixes}
    for alone in sorted(texts - beside):
        yield CorpusError(
            f"{alone}: there is no audio file beside this text file; add an audio file "
            f"({' '.join(sorted(DECODABLE))}), or move the text out of the corpus"
        )


def _suffix(path: Path) -> str:
    return path.suffix.lower()
