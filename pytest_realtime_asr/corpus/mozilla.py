"""Reads the tables of Mozilla's Common Voice: TSV, with the audio in clips/."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from pytest_realtime_asr.corpus import folders, tables
from pytest_realtime_asr.corpus.description import Description, Found, parsed
from pytest_realtime_asr.corpus.utterance import CorpusError

_CLIPS = "clips"


def recognises(folder: Path) -> bool:
    """Return whether a folder is the folder of one language in Common Voice."""
    return folders.has(folder, _CLIPS) and any(folder.glob("*.tsv"))


def read_folder(folder: Path) -> NoReturn:
    """Raise `CorpusError`, since the folder of a language has several tables."""
    names = ", ".join(sorted(path.name for path in folder.glob("*.tsv")))
    raise CorpusError(
        f"{folder}: is a folder of Common Voice with several tables; give the path of "
        f"one of them ({names})"
    )


def read(path: Path) -> Found:
    """Yield an entry for each row of a table."""
    rows = tables.rows(path, separator="\t", needed=("path", "sentence"))
    folder = path.parent / _CLIPS

    def clip(place: str, row: tables.Row) -> Description:
        return Description(
            place,
            id=Path(row["path"]).stem,
            audio=folder / row["path"],
            text=row["sentence"].strip(),
            language=row.get("locale", ""),
            speaker=row.get("client_id", ""),
        )

    return parsed(rows, clip)
