"""The language that a folder's ``corpus.toml`` states."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from pytest_realtime_asr.corpus import CorpusError, Utterance, load, load_all
from tests.support.paths import FIXTURES

TONE = FIXTURES / "audio" / "tone.flac"


def clip(path: Path, text: str = "one") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(TONE, path)
    path.with_suffix(".txt").write_text(text)
    return path


def state(folder: Path, language: str) -> None:
    (folder / "corpus.toml").write_text(f"language = {language}\n")


def test_the_nearest_corpus_file_applies(tmp_path: Path) -> None:
    clip(tmp_path / "a.flac")
    clip(tmp_path / "de" / "b.flac")
    clip(tmp_path / "de" / "at" / "c.flac")
    assert {each.language for each in load(tmp_path)} == {""}
    state(tmp_path, '"English"')
    state(tmp_path / "de", '"de"')
    found = {each.id: each.language for each in load(tmp_path)}
    assert found == {"a": "en", "de/b": "de", "de/at/c": "de"}


def test_a_manifest_has_precedence_over_the_file(tmp_path: Path) -> None:
    clip(tmp_path / "a.flac")
    state(tmp_path, '"de"')
    rows = [
        {"audio_filepath": "a.flac", "text": "one", "id": "1"},
        {"audio_filepath": "a.flac", "text": "one", "id": "2", "lang": "French"},
        {"audio_filepath": str(TONE), "text": "one", "id": "3"},
        {"audio_filepath": "a.flac", "text": "one", "id": "4", "source_lang": "es"},
    ]
    path = tmp_path / "some.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert [each.language for each in load(path)] == ["de", "fr", "de", "es"]


def test_the_option_applies_to_corpora_without_a_language(tmp_path: Path) -> None:
    clip(tmp_path / "a.flac")
    clip(tmp_path / "de" / "b.flac")
    state(tmp_path / "de", '"de"')
    found = load_all([tmp_path], language="sv")
    assert [each.language for each in found] == ["sv", "de"]
    assert load_all(["bundled:english"], language="sv")["turn-left"].language == "en"


@pytest.mark.parametrize("name", ["english", "languages", "odd"])
def test_the_bundled_corpora_state_their_languages(name: str) -> None:
    assert all(each.language for each in load(f"bundled:{name}"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('language = "xx"', "corpus.toml: language: 'xx' is not a known language"),
        ("language = 3", 'corpus.toml: states no language; write language = "de"'),
        ('language = " "', 'corpus.toml: states no language; write language = "de"'),
        ("", 'corpus.toml: states no language; write language = "de"'),
        (
            'langauge = "de"',
            "corpus.toml: the key 'langauge' is unknown; write ",
        ),
        ("language = ", "corpus.toml: Invalid value"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, why: str) -> None:
    clip(tmp_path / "a.flac")
    (tmp_path / "corpus.toml").write_text(text)
    with pytest.raises(CorpusError, match=re.escape(why)):
        load(tmp_path)


def test_an_unknown_language_says_where_it_is_stated(tmp_path: Path) -> None:
    clip(tmp_path / "a.flac")
    row = {"audio_filepath": "a.flac", "text": "one", "lang": "Klingonisch"}
    path = tmp_path / "some.jsonl"
    path.write_text(json.dumps(row))
    why = r"some.jsonl:1: lang: 'Klingonisch' is not a known language; write a tag"
    with pytest.raises(CorpusError, match=why):
        load(path)
    with pytest.raises(CorpusError, match=r"^language: 'xx' is not a known language"):
        Utterance("a", "one", TONE, language="xx")
