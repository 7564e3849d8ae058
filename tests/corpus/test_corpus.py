"""Corpora: their utterances, their sources, and the input that they refuse."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import (
    Audio,
    AudioError,
    from_float,
    join,
    read,
    silence,
    write,
)
from pytest_realtime_asr.corpus import (
    BUNDLED,
    Corpus,
    CorpusError,
    FileSpan,
    Utterance,
    Word,
    load,
    load_all,
)
from pytest_realtime_asr.corpus.nemo import NAME
from pytest_realtime_asr.corpus.nemo import write as write_manifest
from pytest_realtime_asr.perturb import gain
from tests.support.paths import FIXTURES

ODD = FIXTURES / "audio"
NEMO = FIXTURES / "manifests" / "nemo.jsonl"
TONE = ODD / "tone.flac"  # 1 s

steady = settings(deadline=None, derandomize=True)


def spoken(id: str, *words: Word) -> Utterance:
    return Utterance(id, "", silence(1), words=words)


def corpus(*ids: str) -> Corpus:
    return Corpus("some", tuple(map(spoken, ids)))


def manifest(folder: Path, *rows: dict[str, object] | str | bytes) -> Path:
    """Write a manifest of these rows beside a copy of the tone, and return its path.

    A row that is a dictionary may leave out the path and the text.
    """
    shutil.copy(TONE, folder)
    path = folder / "manifest.jsonl"
    start: dict[str, object] = {"audio_filepath": TONE.name, "text": "one"}
    lines = [
        row
        if isinstance(row, bytes)
        else row.encode()
        if isinstance(row, str)
        else json.dumps(start | row).encode()
        for row in rows
    ]
    path.write_bytes(b"\n".join(lines))
    return path


def refusal(spec: str | Path) -> str:
    """Return the message for a corpus that must be refused.

    The message says what to do after a semicolon.
    """
    with pytest.raises(CorpusError) as caught:
        load(spec)
    assert "; " in str(caught.value)
    return str(caught.value)


# Utterances


def test_utterance_in_memory() -> None:
    utterance = spoken("a", Word("one", 0.1, 0.4), Word("two", 0.4, 0.9))
    assert utterance.audio == silence(1)
    assert utterance.duration == 1
    assert (utterance.speech_start, utterance.speech_end) == (0.1, 0.9)


def test_utterance_in_a_file() -> None:
    utterance = Utterance("a", "", TONE)
    assert utterance.audio == read(TONE)
    assert utterance.audio is utterance.audio
    assert utterance.duration == 1
    assert (utterance.speech_start, utterance.speech_end) == (None, None)


def test_utterance_in_a_stretch_of_a_file() -> None:
    utterance = Utterance("a", "", FileSpan(TONE, 0.25, 0.75))
    assert utterance.audio == read(TONE).cut(0.25, 0.75)
    assert utterance.audio is utterance.audio
    assert utterance.duration == 0.5


def test_duration_is_known_without_decoding() -> None:
    utterance = Utterance("a", "", ODD / "cut-short.flac")
    assert utterance.duration == 1
    with pytest.raises(AudioError, match="truncated"):
        _ = utterance.audio


@pytest.mark.parametrize("id", ["", " ", " a", "a\t", "a\nb", "a\x00", "a\u200b"])
def test_id_is_printable(id: str) -> None:
    with pytest.raises(CorpusError, match="is empty, not printable, or starts or "):
        spoken(id)


@pytest.mark.parametrize("id", ["a b", "test-clean/84", "日本語", "é", "x" * 300])
def test_id_may_be_any_name(id: str) -> None:
    assert spoken(id).id == id


@pytest.mark.parametrize(
    "words",
    [
        [Word("one", -0.1, 0.2)],
        [Word("one", 0.2, 0.1)],
        [Word("one", 0.5, 0.6), Word("two", 0.4, 0.7)],
        [Word("one", 0.1, 0.6), Word("two", 0.4, 0.5)],
        [Word("one", math.nan, 0.6)],
        [Word("one", 0.1, math.nan)],
    ],
)
def test_words_are_in_order(words: list[Word]) -> None:
    with pytest.raises(CorpusError, match=r"the word '.*' from .* is out of order"):
        spoken("a", *words)


def test_words_may_overlap() -> None:
    utterance = spoken("a", Word("one", 0.0, 0.5), Word("two", 0.4, 0.5))
    assert utterance.speech_end == 0.5


def test_words_have_a_text() -> None:
    with pytest.raises(CorpusError, match=r"the word at 0\.5 s has no text"):
        spoken("a", Word("one", 0.0, 0.5), Word(" ", 0.5, 0.6))


# The collection


def test_corpus_is_ordered() -> None:
    some = corpus("b", "a", "c")
    assert [utterance.id for utterance in some] == ["b", "a", "c"]
    assert len(some) == 3
    assert some["a"] is some.utterances[1]
    assert some == corpus("b", "a", "c")
    assert hash(some) == hash(corpus("b", "a", "c"))
    assert some != corpus("a", "b", "c")


def test_unknown_id_names_the_nearest() -> None:
    some = corpus("go-forward", "turn-left", "turn-right", "stop")
    with pytest.raises(KeyError, match=r"'turn-leff' in some; similar ids: turn-left"):
        some["turn-leff"]


def test_an_index_is_refused_as_an_unknown_id() -> None:
    with pytest.raises(KeyError, match=r"no utterance 0 in some; similar ids: a"):
        corpus("a")[0]  # type: ignore[index]


def test_an_empty_corpus_is_refused() -> None:
    with pytest.raises(CorpusError, match="some: has no utterance"):
        corpus()


def test_an_id_that_occurs_twice_is_refused() -> None:
    with pytest.raises(CorpusError, match="some: the id 'a' occurs twice"):
        corpus("a", "b", "a")


def test_map() -> None:
    some = corpus("a", "b").map(lambda utterance: replace(utterance, text="new"))
    assert [(u.id, u.text) for u in some] == [("a", "new"), ("b", "new")]
    assert some.name == "some"


def test_map_refuses_equal_ids() -> None:
    with pytest.raises(CorpusError, match="occurs twice"):
        corpus("a", "b").map(lambda utterance: replace(utterance, id="c"))


HUNDRED = corpus(*map(str, range(100)))


@steady
@given(st.integers(1, 100), st.integers())
def test_sample(n: int, seed: int) -> None:
    sample = HUNDRED.sample(n, seed=seed)
    ids = [utterance.id for utterance in sample]
    assert len(set(ids)) == n
    assert ids == sorted(ids, key=int)
    assert sample == HUNDRED.sample(n, seed=seed)
    assert set(sample) <= set(HUNDRED.sample(min(100, n + 1), seed=seed))


def test_sample_is_the_same_everywhere() -> None:
    ids = [utterance.id for utterance in HUNDRED.sample(5, seed=1)]
    assert ids == ["1", "16", "32", "35", "47"]


def test_sample_draws_all_utterances_equally_often() -> None:
    drawn = Counter(u.id for seed in range(300) for u in HUNDRED.sample(10, seed=seed))
    assert len(drawn) == 100
    assert max(drawn.values()) < 60  # 30 expected, standard deviation 5.2


@pytest.mark.parametrize("n", [-1, 0, 4])
def test_sample_is_no_larger_than_the_corpus(n: int) -> None:
    why = f"cannot draw {n} utterances from some; give a number from 1 to 3"
    with pytest.raises(ValueError, match=why):
        corpus("a", "b", "c").sample(n, seed=1)


# Manifests


def test_manifest() -> None:
    some = load(NEMO)
    assert some.name == str(NEMO)
    assert [utterance.id for utterance in some] == ["whole", "2", "rest", "unsigned8"]
    whole, two, rest, named = some
    assert (whole.text, whole.language, whole.speaker) == ("one two", "en", "Ann")
    assert whole.audio == read(TONE)
    assert (two.text, two.language, two.speaker) == ("zwei", "de", "7")
    assert two.audio == read(TONE).cut(0.25, 0.75)
    assert rest.language == "fr"
    assert rest.audio == read(TONE).cut(0.25, 1)
    assert (named.text, named.language, named.speaker, named.words) == ("", "", "", ())


def test_the_end_of_a_word_is_limited_to_the_end_of_the_audio() -> None:
    assert load(NEMO)["whole"].words == (Word("one", 0.1, 0.4), Word("two", 0.5, 1.0))


def test_path_of_the_audio_does_not_depend_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest(tmp_path, {})
    monkeypatch.chdir(tmp_path)
    some = load("manifest.jsonl")
    assert some.name == "manifest.jsonl"
    monkeypatch.chdir("/")
    assert some["tone"].audio == read(TONE)


def test_absolute_path_and_byte_order_mark(tmp_path: Path) -> None:
    row = json.dumps({"audio_filepath": str(TONE), "text": "日本語"})
    some = load(manifest(tmp_path, b"\xef\xbb\xbf" + row.encode(), "", "  "))
    assert [utterance.text for utterance in some] == ["日本語"]


def test_text_may_contain_a_line_separator(tmp_path: Path) -> None:
    row = json.dumps({"audio_filepath": str(TONE), "text": "a\u2028b"})
    raw = row.replace("\\u2028", "\u2028")
    assert load(manifest(tmp_path, raw))["tone"].text == "a\u2028b"


@pytest.mark.parametrize("duration", [0.901, 1.099, None])
def test_duration_may_be_a_little_off(tmp_path: Path, duration: float | None) -> None:
    utterance = load(manifest(tmp_path, {"duration": duration}))["tone"]
    assert utterance.duration == 1


def test_stretch_may_end_a_little_late(tmp_path: Path) -> None:
    row: dict[str, object] = {"offset": 0.5, "duration": 0.55}
    utterance = load(manifest(tmp_path, row))["tone"]
    assert utterance.source == FileSpan(tmp_path / "tone.flac", 0.5, 1.0)
    assert utterance.audio == read(TONE).cut(0.5, 1)


def test_offset_of_0_makes_a_stretch(tmp_path: Path) -> None:
    row: dict[str, object] = {"offset": 0, "duration": 0.5}
    assert load(manifest(tmp_path, row))["tone"].duration == 0.5


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ('{"audio_filepath": "tone.flac"}', "missing required field `text`"),
        ('{"text": "one"}', "missing required field `audio_filepath`"),
        ({"duration": "1.0"}, "Expected `float | null`, got `str`"),
        ({"words": [{"word": "one", "start": 0.1}]}, "missing required field `end`"),
        ("one two", "JSON is malformed"),
        (
            b'{"audio_filepath": "tone.flac", "text": "\xff"}',
            "is not UTF-8 (byte 0xff); ",
        ),
        ({"audio_filepath": "x.wav"}, "x.wav: there is no such file"),
        ({"audio_filepath": "."}, ": this path is a folder"),
        ({"audio_filepath": str(ODD / "text.wav")}, "text.wav: cannot be read as"),
        ({"audio_filepath": str(ODD / "empty.wav")}, "empty.wav: has no audio"),
        ({"duration": 1.2}, "duration is 1.2 s, but "),
        ({"duration": 0.8}, "tone.flac lasts 1.000 s; correct the duration, or give"),
        ({"duration": -1}, "duration is -1 s"),
        ({"offset": -0.1}, "offset and duration select -0.1 to 1 s"),
        ({"offset": 1}, "offset and duration select 1 to 1 s"),
        (
            {"offset": 1.05, "duration": 0.01},
            "offset and duration select 1.05 to 1.06 s",
        ),
        ({"offset": 0.5, "duration": 0}, "offset and duration select 0.5 to 0.5 s"),
        ({"offset": 0.5, "duration": 0.7}, "offset and duration select 0.5 to 1.2 s"),
        ({"id": ""}, "the id '' is empty"),
        ({"id": "a\n"}, "the id 'a\\n' is empty, not printable"),
        ({"lang": "de", "language": "en"}, "language is 'en' but lang is 'de'"),
        (
            {"language": "German", "source_lang": "nl"},
            "language is 'German' but source_lang is 'nl'; keep only one",
        ),
        ({"language": "xx"}, "language: 'xx' is not a known language; write a tag"),
        (
            {"words": [{"word": "one", "start": 1, "end": 1}]},
            "the word 'one' from 1 to 1 s is not inside the 1.000 s of audio",
        ),
        (
            {"words": [{"word": "one", "start": 0.1, "end": 1.03}]},
            "the word 'one' from 0.1 to 1.03 s is not inside",
        ),
        (
            {
                "offset": 0.5,
                "words": [{"word": "one", "start": 0.6, "end": 0.7}],
            },
            "is not inside the 0.500 s of audio",
        ),
        (
            {"words": [{"word": "one", "start": 0.3, "end": 0.2}]},
            "the word 'one' from 0.3 to 0.2 s is out of order",
        ),
        ({"words": [{"word": "", "start": 0.3, "end": 0.4}]}, "has no text"),
    ],
)
def test_bad_line(tmp_path: Path, row: dict[str, object] | str, what: str) -> None:
    path = manifest(tmp_path, {"id": "good"}, "", row)
    said = refusal(path)
    assert said.startswith(f"{path}:3: ")
    assert what in said


def test_line_that_was_cut_off() -> None:
    path = FIXTURES / "manifests" / "cut-off.json"
    assert refusal(path).startswith(
        f"{path}:2: Input data was truncated; give one JSON"
    )


def test_json_that_is_not_in_lines() -> None:
    path = FIXTURES / "manifests" / "list.json"
    assert refusal(path).startswith(f"{path}:1: is a JSON array; give one")


def test_two_lines_with_one_id(tmp_path: Path) -> None:
    path = manifest(tmp_path, {"id": "tone"}, {})
    said = refusal(path)
    assert said.startswith(f"{path}:2: the id 'tone' is already used in {path}:1; give")


def test_empty_manifest(tmp_path: Path) -> None:
    path = manifest(tmp_path, "", " ")
    assert refusal(path) == f"{path}: has no utterance; give at least one"


def test_manifest_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = manifest(tmp_path, {})
    monkeypatch.setattr(Path, "open", denied)
    assert refusal(path) == f"{path}: Permission denied; make the file readable"


def denied(path: Path, *_: str) -> str:
    raise PermissionError(13, "Permission denied", str(path))


# Folders


def librispeech(folder: Path) -> Path:
    chapter = folder / "test-clean" / "84" / "121"
    chapter.mkdir(parents=True)
    (folder / "README.TXT").write_text("not a transcript")
    (chapter / "84-121.trans.txt").write_text(
        "84-121-0001 GO ON\n84-121-0000 DO  YOU HEAR\n\nother STOP\n"
    )
    for id in ("84-121-0000", "84-121-0001", "other"):
        shutil.copy(TONE, chapter / f"{id}.flac")
    return chapter


def test_librispeech_tree(tmp_path: Path) -> None:
    chapter = librispeech(tmp_path)
    some = load(str(tmp_path))
    assert [(u.id, u.text, u.speaker) for u in some] == [
        ("84-121-0001", "GO ON", "84"),
        ("84-121-0000", "DO  YOU HEAR", "84"),
        ("other", "STOP", ""),
    ]
    assert some["other"].source == chapter / "other.flac"
    assert some["other"].audio == read(TONE)


def test_librispeech_line_without_text(tmp_path: Path) -> None:
    path = librispeech(tmp_path) / "84-121.trans.txt"
    path.write_text("84-121-0000 \n")
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path}: 3 problems; ")
    assert f"\n  {path}:1: there is no text after '84-121-0000'; " in said


def test_librispeech_line_without_audio(tmp_path: Path) -> None:
    chapter = librispeech(tmp_path)
    (chapter / "other.flac").unlink()
    assert refusal(tmp_path).startswith(
        f"{chapter / '84-121.trans.txt'}:4: {chapter / 'other.flac'}: there is no such"
    )


def test_librispeech_audio_without_line(tmp_path: Path) -> None:
    chapter = librispeech(tmp_path)
    shutil.copy(TONE, chapter / "84-121-0002.flac")
    said = refusal(tmp_path)
    path = chapter / "84-121-0002.flac"
    assert said.startswith(f"{path}: this audio file is in no line of a .trans.txt")


def test_librispeech_id_that_occurs_twice(tmp_path: Path) -> None:
    path = librispeech(tmp_path) / "84-121.trans.txt"
    path.write_text(path.read_text() + "other AGAIN\n")
    assert refusal(tmp_path).startswith(
        f"{path}:5: the id 'other' is already used in {path}:4; "
    )


def test_transcript_that_is_not_utf_8(tmp_path: Path) -> None:
    path = librispeech(tmp_path) / "84-121.trans.txt"
    path.write_bytes(b"84-121-0000 \xe9\n")
    assert refusal(tmp_path).startswith(
        f"{path}:1: the text is not UTF-8 (byte 0xe9); "
    )


def folder(path: Path) -> Path:
    (path / "b").mkdir()
    shutil.copy(TONE, path / "b" / "1.5.flac")
    (path / "b" / "1.5.txt").write_text("\ufeff one\n  two\n", encoding="utf-8")
    write(path / "a.WAV", silence(0.1))
    (path / "a.txt").write_text("")
    (path / "._a.wav").write_bytes(b"left by a file manager")
    (path / ".git").mkdir()
    (path / ".git" / "x.txt").write_text("hidden")
    (path / "LICENSE").write_text("neither audio nor text")
    return path


def test_folder(tmp_path: Path) -> None:
    some = load(folder(tmp_path))
    assert [(u.id, u.text) for u in some] == [("a", ""), ("b/1.5", "one two")]
    assert some["b/1.5"].audio == read(TONE)


def test_folder_without_a_text(tmp_path: Path) -> None:
    (folder(tmp_path) / "b" / "1.5.txt").unlink()
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path / 'b' / '1.5.flac'}: there is no 1.5.txt beside")


def test_folder_with_a_text_alone(tmp_path: Path) -> None:
    (folder(tmp_path) / "a.WAV").unlink()
    said = refusal(tmp_path)
    path = tmp_path / "a.txt"
    assert said.startswith(f"{path}: there is no audio file beside this text file")


def test_folder_with_a_broken_file(tmp_path: Path) -> None:
    shutil.copy(ODD / "empty.wav", folder(tmp_path) / "a.WAV")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'a.WAV'}: has no audio")


def test_folder_with_one_name_twice(tmp_path: Path) -> None:
    shutil.copy(TONE, folder(tmp_path) / "a.flac")
    assert refusal(tmp_path).startswith(
        f"{tmp_path / 'a.flac'}: the id 'a' is already used in {tmp_path / 'a.WAV'}; "
    )


def test_folder_with_an_unprintable_name(tmp_path: Path) -> None:
    shutil.copy(TONE, folder(tmp_path) / " c.flac")
    (tmp_path / " c.txt").write_text("")
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path / ' c.flac'}: the id ' c' is empty, not print")


def test_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path)
    monkeypatch.setattr(Path, "open", denied)
    assert "Permission denied" in refusal(tmp_path)


def test_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: has no utterance; give at least one"


# What a spec may be


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path / "x.jsonl")
    assert said.startswith(f"{tmp_path / 'x.jsonl'}: there is no such file or folder; ")
    assert "give a NeMo manifest (.jsonl or .json), a Common Voice table" in said


def test_a_path_of_something_else_is_refused() -> None:
    said = refusal(TONE)
    assert said.startswith(f"{TONE}: is not a corpus; give a NeMo manifest")


def test_unknown_bundled_corpus() -> None:
    assert refusal("bundled:klingon") == (
        "bundled:klingon: there is no such corpus; "
        "choose from bundled:english, bundled:languages, bundled:odd"
    )


def test_load_all(tmp_path: Path) -> None:
    folder(tmp_path)
    some = load_all([NEMO, str(tmp_path)])
    assert some.name == f"{NEMO} + {tmp_path}"
    ids = [utterance.id for utterance in some]
    assert ids == ["whole", "2", "rest", "unsigned8", "a", "b/1.5"]
    assert load_all([NEMO]) == load(NEMO)


def test_load_all_names_both_places_of_an_id(tmp_path: Path) -> None:
    path = manifest(tmp_path, {}, {"id": "rest"})
    with pytest.raises(CorpusError) as caught:
        load_all([NEMO, path])
    assert str(caught.value).startswith(
        f"{path}: the id 'rest' is already used in {NEMO}; "
    )


def test_load_all_refuses_an_empty_list() -> None:
    with pytest.raises(CorpusError, match="no corpus is given; give a NeMo manifest"):
        load_all([])


# Bundled corpora


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_corpus(name: str) -> None:
    some = load(f"bundled:{name}")
    assert some.name == f"bundled:{name}"
    assert all(utterance.audio.seconds == utterance.duration for utterance in some)


def test_bundled_corpora_can_be_loaded_together() -> None:
    some = load_all(f"bundled:{name}" for name in BUNDLED)
    assert some.name == "bundled:english + bundled:languages + bundled:odd"


def test_bundled_english_has_timed_words() -> None:
    for utterance in load("bundled:english"):
        assert utterance.language == "en"
        assert utterance.text
        assert utterance.speech_start is not None


def test_bundled_languages_are_named() -> None:
    assert all(u.language and u.text for u in load("bundled:languages"))
    assert len({u.language for u in load("bundled:languages")}) > 1


@pytest.fixture(scope="module")
def odd() -> Corpus:
    return load("bundled:odd")


def test_odd_corpus_has_its_ids_rates_and_durations(odd: Corpus) -> None:
    ids = ["silence", "noise", "tone", "blip", "long"]
    assert [utterance.id for utterance in odd] == ids
    assert {utterance.audio.rate for utterance in odd} == {16000}
    assert [u.duration for u in odd][:4] == [3, 3, 2, 0.06]
    assert [u.text for u in odd][:4] == ["", "", "", ""]
    assert odd == load("bundled:odd")


def rms(audio: Audio) -> float:
    """Return the root mean square in dB of full scale."""
    return 10 * math.log10(np.mean((audio.array / 32768) ** 2))


def test_odd_corpus_has_the_described_sounds(odd: Corpus) -> None:
    assert odd["silence"].audio == silence(3)
    assert rms(odd["noise"].audio) == pytest.approx(-30, abs=0.1)
    spectrum = np.abs(np.fft.rfft(odd["tone"].audio.array))
    assert spectrum.argmax() / 2 == 440  # 2 s make bins of 0.5 Hz
    assert max(odd["blip"].audio.array) > 5000


def test_odd_long_utterance_is_english_with_pauses(odd: Corpus) -> None:
    english = list(load("bundled:english"))
    long = odd["long"]
    assert long.duration > 30
    assert long.text.startswith(f"{english[0].text} {english[1].text}")
    first = english[0].audio.resample(16000)
    second = english[1].audio.resample(16000)
    start = join(first, silence(0.5), second)
    assert long.audio.cut(0, start.seconds) == start
    shift = first.seconds + 0.5
    words = len(english[0].words)
    assert long.words[:words] == english[0].words
    assert long.words[words].text == english[1].words[0].text
    assert long.words[words].start == english[1].words[0].start + shift
    assert long.words[-1].end <= long.duration


# Perturbed utterances


def perturbed(utterance: Utterance, name: str = "louder/1") -> Utterance:
    return replace(
        utterance,
        id=f"{name}+{utterance.clip}",
        perturbation=name,
        original=utterance.original or utterance,
    )


def test_a_perturbed_utterance_knows_its_clip() -> None:
    plain = corpus("a", "b", "c", "d")
    noisy = plain.map(perturbed)
    assert [each.clip for each in noisy] == ["a", "b", "c", "d"]
    assert noisy.originals() == plain
    assert plain.originals() == plain
    assert noisy["a"] is noisy["louder/1+a"]
    both = Corpus("both", (*plain, *noisy))
    assert both["a"] is plain["a"]
    assert both.originals() == Corpus("both", plain.utterances)
    twice = Corpus("twice", (*noisy, *plain.map(lambda u: perturbed(u, "other"))))
    with pytest.raises(KeyError, match=r"no utterance 'a' .*similar.*louder/1\+a"):
        _ = twice["a"]


def test_a_perturbed_utterance_has_the_doubts_about_its_file(tmp_path: Path) -> None:
    square = np.where(np.arange(16000) // 40 % 2, 1.0, -1.0)
    write(tmp_path / "loud.wav", from_float(square, 16000))
    plain = Utterance("loud", "one", tmp_path / "loud.wav")
    assert plain.doubts
    assert gain("-6dB")(plain).doubts == plain.doubts


def test_a_sample_of_a_perturbed_corpus_has_the_same_clips() -> None:
    plain = corpus(*"abcdefgh")
    for seed in range(5):
        drawn = plain.sample(3, seed=seed)
        assert plain.map(perturbed).sample(3, seed=seed) == drawn.map(perturbed)


def test_located_speech_is_used_only_for_an_utterance_with_text() -> None:
    loud = from_float(np.full(16000, 0.5), 16000)
    clip = Utterance("a", "one", loud, located=(0.25, 0.5))
    assert (clip.speech_start, clip.speech_end, clip.speech_by) == (0.25, 0.5, "energy")
    timed = replace(clip, words=(Word("one", 0.1, 0.2),))
    assert (timed.speech_start, timed.speech_end) == (0.1, 0.2)
    mute = replace(clip, text="")
    assert mute.speech_start is None
    assert mute.sound == (0.25, 0.5)


def test_a_written_manifest_is_read_back(tmp_path: Path) -> None:
    english = load("bundled:english").sample(3, seed=1)
    write_manifest(tmp_path, english)
    found = load(tmp_path / NAME)
    for before, after in zip(english, found, strict=True):
        assert after.audio == before.audio
        assert (after.text, after.language) == (before.text, before.language)
        assert after.words == before.words
