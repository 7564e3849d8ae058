"""The tables of Common Voice."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from pytest_realtime_asr.corpus import CorpusError, load
from tests.corpus.sounds import RATE, put, put_text, tone

COLUMNS = "client_id\tpath\tsentence\tage\tlocale"


def table(folder: Path, *rows: str) -> Path:
    put(folder / "clips" / "other.wav")
    path = folder / "clips" / "cv_de_1.mp3"
    soundfile.write(path, tone().array, RATE, format="MP3")
    return put_text(folder / "test.tsv", *rows)


def refusal(path: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        load(path)
    return str(caught.value)


def test_table(tmp_path: Path) -> None:
    (one,) = load(table(tmp_path, COLUMNS, 'a7\tcv_de_1.mp3\t"Los", sagte er.\t\tde'))
    assert (one.id, one.text, one.speaker, one.language) == (
        "cv_de_1",
        '"Los", sagte er.',
        "a7",
        "de",
    )
    assert one.audio.seconds == 1


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    path = table(tmp_path)
    text = "path\tsentence\r\ncv_de_1.mp3\tgrüß dich\r\n"
    path.write_bytes(f"\ufeff{text}".encode("utf-16-le"))
    (one,) = load(path)
    assert (one.text, one.language, one.speaker) == ("grüß dich", "", "")


def test_table_without_its_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "path\ttext", "cv_de_1.mp3\tlos")
    assert refusal(path) == (
        f"{path}:1: there is no column sentence (the columns are path, text); name the "
        "columns in the first line"
    )
    assert "(the columns are none)" in refusal(table(tmp_path))


def test_row_without_audio(tmp_path: Path) -> None:
    path = table(tmp_path, COLUMNS, "a\tcv_de_1.mp3\tlos\t\tde", "a\tx.mp3\tlos\t\tde")
    assert refusal(path).startswith(
        f"{path}:3: {tmp_path / 'clips' / 'x.mp3'}: there is no such file"
    )


def test_folder_of_a_language(tmp_path: Path) -> None:
    table(tmp_path, COLUMNS)
    put_text(tmp_path / "dev.tsv", COLUMNS)
    assert refusal(tmp_path) == (
        f"{tmp_path}: is a folder of Common Voice with several tables; give the path "
        "of one of them (dev.tsv, test.tsv)"
    )
