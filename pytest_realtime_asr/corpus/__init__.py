"""What is said to a server, and what it should answer: utterances and corpora of them.

A corpus comes from a manifest in NeMo's convention (JSON Lines), from a LibriSpeech
tree, from a folder of audio files with a text file beside each, or from the package
itself (``bundled:...``). The heads of all audio files are checked when a corpus is
loaded, their bodies are decoded when they are used. Whatever is wrong is one
``CorpusError`` that says where; nothing is left out in silence. Blank lines, hidden
files and files that are neither audio nor text are not looked at.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import msgspec
import numpy as np

from pytest_realtime_asr.audio import (
    Audio,
    from_float,
    join,
    length,
    read,
    silence,
    speech,
)
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError

BUNDLED = ("english", "languages", "odd")
_PREFIX = "bundled:"
_CORPORA = Path(__file__).parent / "bundled"
_MANIFESTS = (".json", ".jsonl")
_TRANSCRIPT = ".trans.txt"
_SOUNDS = frozenset(
    {".aif", ".aiff", ".au", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".w64", ".wav"}
)
_LARGEST = 2**30  # bytes of a manifest
_DURATION_SLACK = 0.1  # s that a stated duration may be off
_WORD_SLACK = 0.02  # s that rounding may put the end of a word behind the audio
_ODD_RATE = 16000


class CorpusError(InputError):
    """A corpus that cannot be used: where, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a reference and when it is spoken, in seconds of its utterance."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of an audio file, in seconds."""

    path: Path
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """A piece of speech and its reference text.

    ``id`` is printable, without a blank at either end. ``words`` are in the order in
    which they are spoken, each with a text; they may be left out. ``language`` is a
    tag such as ``en``. Otherwise a ``CorpusError`` is raised. ``synthetic`` says that
    a machine made the sound, as in the bundled corpora.
    """

    id: str
    text: str
    source: Path | Stretch | Audio
    words: tuple[Word, ...] = ()
    language: str = ""
    speaker: str = ""
    synthetic: bool = False

    def __post_init__(self) -> None:
        if not self.id or not self.id.isprintable() or self.id != self.id.strip():
            raise CorpusError(
                f"the id {self.id!r} is empty, not printable, or has a blank at an "
                "end; give another one"
            )
        before = Word("", 0.0, 0.0)
        for word in self.words:
            if not word.text.strip():
                raise CorpusError(
                    f"a word at {word.start:g} s has no text; leave pauses out"
                )
            if not (before.start <= word.start <= word.end >= before.end):
                raise CorpusError(
                    f"the word {word.text!r} from {word.start:g} to {word.end:g} s is "
                    f"out of order (before it: {before.start:g} to {before.end:g} s); "
                    "give words as they are spoken, with times in seconds from 0"
                )
            before = word

    @property
    def audio(self) -> Audio:
        """The sound, decoded once and kept for a while where it comes from a file."""
        if isinstance(self.source, Audio):
            return self.source
        return _decoded(self.source)

    @property
    def duration(self) -> float:
        """Seconds of sound; a file is not decoded for it."""
        if isinstance(self.source, Audio):
            return self.source.seconds
        if isinstance(self.source, Stretch):
            return self.source.stop - self.source.start
        return length(self.source)

    @property
    def speech_start(self) -> float | None:
        """When speech begins, in seconds: the first word, else by `audio.speech`."""
        return self._speech[0]

    @property
    def speech_end(self) -> float | None:
        """When speech ends, in seconds: the last word, else by `audio.speech`."""
        return self._speech[1]

    @property
    def speech_by(self) -> str:
        """How it is known where the speech is: ``words``, ``energy`` or not (empty)."""
        if self.words:
            return "words"
        return "energy" if self._speech[0] is not None else ""

    @property
    def _speech(self) -> tuple[float | None, float | None]:
        if self.words:
            return self.words[0].start, self.words[-1].end
        if not self.text.strip():
            return None, None  # what is heard in noise is not speech
        return _detected(self.source) or (None, None)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Utterances in a fixed order, each with an id of its own.

    No utterance, or an id that comes twice, is a ``CorpusError``.
    """

    name: str
    utterances: tuple[Utterance, ...]
    _by_id: dict[str, Utterance] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.utterances:
            raise CorpusError(f"{self.name}: holds no utterance; give at least one")
        by_id: dict[str, Utterance] = {}
        for utterance in self.utterances:
            if utterance.id in by_id:
                raise CorpusError(
                    f"{self.name}: the id {utterance.id!r} comes twice; "
                    "give every utterance an id of its own"
                )
            by_id[utterance.id] = utterance
        object.__setattr__(self, "_by_id", by_id)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, id: str) -> Utterance:
        """The utterance of this id; ``KeyError`` names the ids nearest to it."""
        try:
            return self._by_id[id]
        except KeyError:  # str(), because an index is a likely mistake
            near = difflib.get_close_matches(str(id), self._by_id, cutoff=0.0)
            raise KeyError(
                f"no utterance {id!r} in {self.name}; nearest: {', '.join(near)}"
            ) from None

    def anonymous(self) -> Corpus:
        """Return the same utterances under numbers in place of their ids."""
        width = len(str(len(self)))
        return Corpus(
            self.name,
            tuple(
                replace(each, id=f"clip-{number:0{width}}")
                for number, each in enumerate(self, 1)
            ),
        )

    @property
    def synthetic(self) -> bool:
        """Whether a machine made any of it, so that it does not measure accuracy."""
        return any(utterance.synthetic for utterance in self)

    @property
    def digest(self) -> str:
        """16 hex digits that are the same for the same ids, texts and languages.

        The audio has no part in it, so that none is decoded; each has its own digest.
        """
        rows = [(each.id, each.text, each.language) for each in self]
        return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()[:16]

    def sample(self, n: int, *, seed: int) -> Corpus:
        """``n`` utterances drawn without replacement, in the order of this corpus.

        The same seed draws the same on every machine and Python, and of two sizes the
        smaller sample is part of the larger one. ``ValueError`` where ``n`` is not
        from 1 to the size of the corpus.
        """
        if not 1 <= n <= len(self):
            raise ValueError(
                f"cannot draw {n} from {self.name}; give 1 to {len(self)} utterances"
            )

        def lot(utterance: Utterance) -> bytes:
            return hashlib.sha256(f"{seed} {utterance.id}".encode()).digest()

        drawn = {utterance.id for utterance in sorted(self, key=lot)[:n]}
        return Corpus(self.name, tuple(u for u in self if u.id in drawn))

    def map(self, function: Callable[[Utterance], Utterance]) -> Corpus:
        """The corpus of what ``function`` makes of each utterance."""
        return Corpus(self.name, tuple(map(function, self)))


def load(spec: str | Path) -> Corpus:
    """The corpus that ``spec`` names; it is also the name of the corpus.

    ``spec`` is ``bundled:english``, ``bundled:languages``, ``bundled:odd``, or the path
    of a manifest (``.jsonl`` or ``.json``), of a LibriSpeech tree, or of a folder of
    audio files with a ``.txt`` beside each. Raises ``CorpusError``.
    """
    name = str(spec)
    check(name)
    if name.startswith(_PREFIX):
        return _bundled(name)
    path = Path(spec).absolute()  # audio is decoded later, maybe from another folder
    with _at():
        if not path.is_dir():
            return _collect(name, _manifest(path))
        files = _visible(path)
        tree = any(file.name.endswith(_TRANSCRIPT) for file in files)
        return _collect(name, _librispeech(files) if tree else _folder(path, files))


def check(spec: str) -> None:
    """Refuse a spec that names no corpus, without reading it. Raises `CorpusError`."""
    if spec.startswith(_PREFIX):
        if spec.removeprefix(_PREFIX) not in BUNDLED:
            raise CorpusError(f"{spec}: there is no such corpus; give {_names()}")
        return
    path = Path(spec)
    try:
        with inputs.reading(spec):
            inputs.plain(spec)
        mode = inputs.status(path).st_mode
    except InputError as error:
        raise CorpusError(f"{error}, or {_forms()}") from None
    manifest = stat.S_ISREG(mode) and path.suffix.lower() in _MANIFESTS
    if not (manifest or stat.S_ISDIR(mode)):
        raise CorpusError(f"{path}: is no corpus; {_forms()}")


def load_all(specs: Iterable[str | Path]) -> Corpus:
    """The corpora that ``specs`` name, joined in this order.

    An id that is in two of them is a ``CorpusError`` that names both, and so is no
    spec at all.
    """
    corpora = [load(spec) for spec in specs]
    if not corpora:
        raise CorpusError(f"no corpus is named; {_forms()}")
    found = ((corpus.name, utterance) for corpus in corpora for utterance in corpus)
    return _collect(" + ".join(corpus.name for corpus in corpora), found)


_Found = Iterable[tuple[str, Utterance]]  # each with the place that describes it


def _collect(name: str, found: _Found) -> Corpus:
    """The corpus of what was found; an id that comes twice names both places."""
    places: dict[str, str] = {}
    utterances = []
    for place, utterance in found:
        if utterance.id in places:
            raise CorpusError(
                f"{place}: the id {utterance.id!r} is already that of "
                f"{places[utterance.id]}; give every utterance an id of its own "
                "(where a manifest gives none, it is the file name without its suffix)"
            )
        places[utterance.id] = place
        utterances.append(utterance)
    return Corpus(name, tuple(utterances))


@contextmanager
def _at(place: Path | str = "") -> Iterator[None]:
    """Raise what is found wrong as a ``CorpusError``, which begins with the place."""
    try:
        yield
    except InputError as error:
        raise CorpusError(f"{place}: {error}" if place else str(error)) from error


def _forms() -> str:
    return (
        "give a manifest (.jsonl or .json), a LibriSpeech tree, a folder of audio "
        f"files with a .txt beside each, or {_names()}"
    )


# Manifests


class _Timed(msgspec.Struct):
    word: str
    start: float
    end: float


class _Line(msgspec.Struct):
    """A line of a manifest; what else stands there is nobody's concern here."""

    audio_filepath: str
    text: str
    duration: float | None = None
    offset: float | None = None
    id: str | int | None = None
    language: str | None = None
    lang: str | None = None
    speaker: str | int | None = None
    words: tuple[_Timed, ...] = ()


def _manifest(path: Path) -> _Found:
    whole = inputs.utf8(inputs.content(path, most=_LARGEST), path)
    for number, row in enumerate(whole.encode().splitlines(), 1):
        if row.strip():
            place = f"{path}:{number}"
            with _at(place):
                utterance = _utterance(_decode(row), path.parent)
            yield place, utterance


def _decode(row: bytes) -> _Line:
    try:
        with inputs.reading():
            return msgspec.json.decode(row, type=_Line)
    except InputError as error:
        raise CorpusError(
            f"{error}; give one JSON object on each line, with audio_filepath, text "
            "and duration"
        ) from error


def _utterance(line: _Line, folder: Path) -> Utterance:
    path = folder / line.audio_filepath
    source = _source(path, line.offset, line.duration)
    if line.language and line.lang and line.language != line.lang:
        raise CorpusError(
            f"language is {line.language!r} and lang is {line.lang!r}; give one"
        )
    utterance = Utterance(
        id=path.stem if line.id is None else str(line.id),
        text=line.text,
        source=source,
        words=tuple(Word(word.word, word.start, word.end) for word in line.words),
        language=line.language or line.lang or "",
        speaker="" if line.speaker is None else str(line.speaker),
    )
    return replace(utterance, words=_inside(utterance.words, utterance.duration))


def _source(path: Path, offset: float | None, stated: float | None) -> Path | Stretch:
    """The file, or the stretch of it where an offset is given, be it 0."""
    seconds = length(path)
    if offset is None:
        if stated is not None and abs(stated - seconds) > _DURATION_SLACK:
            raise CorpusError(
                f"duration is {stated:g} s, but {path} lasts {seconds:.3f} s; correct "
                "it, or give the offset of the stretch"
            )
        return path
    stop = seconds if stated is None else offset + stated
    if not (0 <= offset < min(stop, seconds) and stop <= seconds + _DURATION_SLACK):
        raise CorpusError(
            f"offset and duration are the stretch {offset:g} to {stop:g} s, but {path} "
            f"lasts {seconds:.3f} s; give a stretch inside it"
        )
    return Stretch(path, offset, min(stop, seconds))


def _inside(words: tuple[Word, ...], seconds: float) -> tuple[Word, ...]:
    """The words, with ends that rounding put behind the audio brought back to it."""
    for word in words:
        if word.start >= seconds or word.end > seconds + _WORD_SLACK:
            raise CorpusError(
                f"the word {word.text!r} from {word.start:g} to {word.end:g} s is not "
                f"inside the {seconds:.3f} s of audio; give times in seconds of the "
                "utterance"
            )
    return tuple(replace(word, end=min(word.end, seconds)) for word in words)


# Folders


def _visible(folder: Path) -> list[Path]:
    """All files below a folder, in the order of their names; hidden ones left out.

    A folder that cannot be read is a ``CorpusError``.
    """

    def refuse(error: OSError) -> NoReturn:
        raise CorpusError(
            f"{error.filename}: {error.strerror}; make it readable, or take it away"
        ) from error

    found: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, name) for name in names if not name.startswith(".")]
    return sorted(found, key=Path.as_posix)


def _sounds(files: list[Path]) -> list[Path]:
    return [path for path in files if path.suffix.lower() in _SOUNDS]


def _librispeech(files: list[Path]) -> _Found:
    described: set[Path] = set()
    for transcript in files:
        if transcript.name.endswith(_TRANSCRIPT):
            lines = inputs.text(transcript).split("\n")
            for number, line in enumerate(lines, 1):
                if line.strip():
                    place = f"{transcript}:{number}"
                    with _at(place):
                        utterance = _spoken(line.strip(), transcript.parent)
                    described.add(transcript.parent / f"{utterance.id}.flac")
                    yield place, utterance
    for path in _sounds(files):
        if path not in described:
            raise CorpusError(
                f"{path}: no line of a {_TRANSCRIPT} file beside it describes it; "
                "add one, or take the file away"
            )


def _spoken(line: str, folder: Path) -> Utterance:
    id, _, text = line.partition(" ")
    if not text:
        raise CorpusError(f"no text after {id!r}; give the id, a blank and the text")
    path = folder / f"{id}.flac"
    length(path)
    speaker, dash, _ = id.partition("-")  # speaker-chapter-number
    return Utterance(id, text.strip(), path, speaker=speaker if dash else "")


def _folder(folder: Path, files: list[Path]) -> _Found:
    texts = {path for path in files if path.suffix.lower() == ".txt"}
    described: set[Path] = set()
    for path in _sounds(files):
        beside = path.with_suffix(".txt")
        if beside not in texts:
            raise CorpusError(
                f"{path}: there is no {beside.name} beside it; add its reference text "
                "(it may be empty), or load the manifest, if there is one, by its path"
            )
        text = " ".join(inputs.text(beside).split())
        with _at(folder):
            length(path)
            id = path.relative_to(folder).with_suffix("").as_posix()
            utterance = Utterance(id, text, path)
        described.add(beside)
        yield str(path), utterance
    if alone := texts - described:
        raise CorpusError(
            f"{min(alone)}: there is no audio file beside it; add one "
            f"({' '.join(sorted(_SOUNDS))}), or take the text away"
        )


# Bundled corpora


def _names() -> str:
    return ", ".join(f"{_PREFIX}{name}" for name in BUNDLED)


def _bundled(name: str) -> Corpus:
    which = name.removeprefix(_PREFIX)
    if which == "odd":
        found = Corpus(name, _odd())
    else:
        found = _collect(name, _manifest(_CORPORA / f"{which}.jsonl"))
    return found.map(lambda utterance: replace(utterance, synthetic=True))


def _odd() -> tuple[Utterance, ...]:
    """What trips a recogniser that was only tried with speech of a usual length."""
    noise = np.random.default_rng(30).standard_normal(3 * _ODD_RATE)
    return (
        Utterance("silence", "", silence(3.0, rate=_ODD_RATE)),
        Utterance("noise", "", from_float(noise * 10 ** (-30 / 20), _ODD_RATE)),
        Utterance("tone", "", _tone(2.0)),
        Utterance("blip", "", _tone(0.06)),
        _long(load(f"{_PREFIX}english")),
    )


def _tone(seconds: float) -> Audio:
    times = np.arange(round(seconds * _ODD_RATE)) / _ODD_RATE
    return from_float(0.3 * np.sin(2 * math.pi * 440 * times), _ODD_RATE)


def _long(english: Corpus) -> Utterance:
    """More than 30 s of speech, which is where many recognisers cut their input."""
    pause = silence(0.5, rate=_ODD_RATE)
    parts: list[Audio] = []
    words: list[Word] = []
    texts: list[str] = []
    at = 0.0
    spoken = itertools.cycle(english)
    while at < 31:
        utterance = next(spoken)
        audio = utterance.audio.resample(_ODD_RATE)
        parts += [audio, pause]
        texts.append(utterance.text)
        words += [Word(w.text, at + w.start, at + w.end) for w in utterance.words]
        at += audio.seconds + pause.seconds
    return Utterance(
        "long", " ".join(texts), join(*parts), words=tuple(words), language="en"
    )


@lru_cache(maxsize=4096)
def _detected(source: Path | Stretch | Audio) -> tuple[float, float] | None:
    return speech(source if isinstance(source, Audio) else _decoded(source))


@lru_cache(maxsize=32)
def _decoded(source: Path | Stretch) -> Audio:
    if isinstance(source, Stretch):
        return read(source.path, start=source.start, stop=source.stop)
    return read(source)
