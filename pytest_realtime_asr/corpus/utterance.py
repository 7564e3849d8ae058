"""Utterances (pieces of speech with a reference transcript), and corpora of them."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import msgspec

from pytest_realtime_asr.audio import Audio, AudioError, Decoded, decode, length, speech
from pytest_realtime_asr.corpus import language
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.messages import one_line


class CorpusError(InputError):
    """A corpus that cannot be used; the message says where, why and what to do.

    Each of ``details`` becomes a line of its own below the message.
    """

    def __init__(self, message: str, *details: str) -> None:
        lines = [one_line(message), *(f"  {one_line(each)}" for each in details)]
        ValueError.__init__(self, "\n".join(lines))


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a reference transcript.

    ``start`` and ``end`` are in seconds from the start of the utterance.
    """

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class FileSpan:
    """A part of an audio file; ``start`` and ``stop`` are in seconds.

    The average of ``channels`` is used; they are numbered from 0, and an empty tuple
    means all channels.
    """

    path: Path
    start: float
    stop: float
    channels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Utterance:
    """A piece of speech with its reference transcript.

    ``id`` is printable and neither starts nor ends with a blank. ``text`` is the
    reference transcript. ``words``, which may be empty, are in the order in which they
    are spoken. ``language`` is a tag such as ``en`` or an English name such as
    ``German``. It is kept as a canonical tag, and is empty if it is not stated.
    ``synthetic`` marks synthesised speech, such as the speech of the bundled corpora.

    `pytest_realtime_asr.perturb` sets the last three fields: ``perturbation`` names
    the change of the audio, and ``original`` is the utterance before this change.
    ``located`` is the start and the end of speech in seconds, since `audio.speech` may
    not find them in noise. Raises `CorpusError` for a wrong ``id``, wrong ``words`` or
    an unknown ``language``.
    """

    id: str
    text: str
    source: Path | FileSpan | Audio
    words: tuple[Word, ...] = ()
    language: str = ""
    speaker: str = ""
    synthetic: bool = False
    perturbation: str = ""
    original: Utterance | None = field(default=None, repr=False)
    located: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.id.isprintable() or self.id != self.id.strip():
            raise CorpusError(
                f"the id {self.id!r} is empty, not printable, or starts or ends with a "
                "blank; give a printable id without such blanks"
            )
        try:
            object.__setattr__(self, "language", language.parse(self.language))
        except InputError as error:
            raise CorpusError(f"language: {error}") from error
        before = Word("", 0.0, 0.0)
        for word in self.words:
            if not word.text.strip():
                raise CorpusError(
                    f"the word at {word.start:g} s has no text; give words only, "
                    "not pauses"
                )
            if not (before.start <= word.start <= word.end >= before.end):
                raise CorpusError(
                    f"the word {word.text!r} from {word.start:g} to {word.end:g} s is "
                    f"out of order (the word before it: {before.start:g} to "
                    f"{before.end:g} s); list the words in the order in which they are "
                    "spoken, with times in seconds from 0"
                )
            before = word

    def in_language(self, tag: str) -> Utterance:
        """Return the utterance; a missing language is replaced by ``tag``."""
        return self if self.language or not tag else replace(self, language=tag)

    @property
    def clip(self) -> str:
        """The id that the utterance had before any perturbation."""
        return self.id if self.original is None else self.original.id

    @property
    def audio(self) -> Audio:
        """The audio of the utterance; a file is decoded at its first use, then cached.

        Raises `AudioError` if the file cannot be used, or if there is a reference
        transcript but no speech.
        """
        if isinstance(self.source, Audio):
            return self.source
        if self.text.strip() and _detected(self.source) is None:
            raise AudioError(
                f"{_path(self.source)}: has no speech (nothing is louder than -60 dB "
                "of full scale), but has a reference transcript; amplify the audio, or "
                "leave the transcript empty if nothing is said"
            )
        return _decoded(self.source).audio

    @property
    def doubts(self) -> tuple[str, ...]:
        """Lines that say what may be wrong with a file's audio, such as clipping."""
        if self.original is not None:
            return self.original.doubts
        if isinstance(self.source, Audio):
            return ()
        return _doubts(self.source)

    @property
    def duration(self) -> float:
        """The length of the audio in seconds, without decoding it."""
        if isinstance(self.source, Audio):
            return self.source.seconds
        if isinstance(self.source, FileSpan):
            return self.source.stop - self.source.start
        return length(self.source)

    @property
    def speech_start(self) -> float | None:
        """The start of speech in seconds, from word times or `audio.speech`.

        ``None`` if there is no speech.
        """
        return self._speech[0]

    @property
    def speech_end(self) -> float | None:
        """The end of speech in seconds, from word times or `audio.speech`.

        ``None`` if there is no speech.
        """
        return self._speech[1]

    @property
    def speech_by(self) -> str:
        """The way in which speech was located: ``words`` or ``energy``.

        It is an empty string if there is no speech.
        """
        if self.words:
            return "words"
        return "energy" if self._speech[0] is not None else ""

    @property
    def _speech(self) -> tuple[float | None, float | None]:
        if not (self.words or self.text.strip()):
            return None, None  # without a reference transcript, loud audio is noise
        return self.sound or (None, None)

    @property
    def sound(self) -> tuple[float, float] | None:
        """The start and the end of the sound in seconds, even if it is not speech."""
        if self.words:
            return self.words[0].start, self.words[-1].end
        return self.located or _detected(self.source)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Utterances in a fixed order, with unique ids.

    ``notes`` are lines about its files that a user should see. Raises `CorpusError` if
    there is no utterance, or if an id occurs twice.
    """

    name: str
    utterances: tuple[Utterance, ...]
    notes: tuple[str, ...] = field(default=(), compare=False)
    _by_id: dict[str, Utterance] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.utterances:
            raise CorpusError(f"{self.name}: has no utterance; give at least one")
        by_id: dict[str, Utterance] = {}
        for utterance in self.utterances:
            if utterance.id in by_id:
                raise CorpusError(
                    f"{self.name}: the id {utterance.id!r} occurs twice; "
                    "give every utterance a unique id"
                )
            by_id[utterance.id] = utterance
        object.__setattr__(self, "_by_id", by_id)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.utterances)

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, id: str) -> Utterance:
        """Return the utterance with this id.

        ``id`` may also be the id of a clip, if the corpus has exactly one utterance
        made from this clip. Raises KeyError, whose message names similar ids.
        """
        try:
            return self._by_id[id]
        except KeyError:  # `id` may be a number by mistake
            perturbed = [each for each in self if each.clip == id]
            if len(perturbed) == 1:
                return perturbed[0]
            near = difflib.get_close_matches(str(id), self._by_id, cutoff=0.0)
            raise KeyError(
                f"no utterance {id!r} in {self.name}; similar ids: {', '.join(near)}"
            ) from None

    def anonymous(self) -> Corpus:
        """Return the same utterances with numbered ids, such as ``clip-07``.

        Notes may name files, so all notes are replaced by one with their number.
        """
        width = len(str(len(self)))
        hidden = f"number of hidden notes on the files of the corpus: {len(self.notes)}"
        return Corpus(
            self.name,
            tuple(
                replace(each, id=f"clip-{number:0{width}}", original=None)
                for number, each in enumerate(self, 1)
            ),
            (hidden,) if self.notes else (),
        )

    @property
    def synthetic(self) -> bool:
        """Return whether any speech is synthesised.

        The accuracy of a server cannot be measured with such a corpus.
        """
        return any(utterance.synthetic for utterance in self)

    @property
    def digest(self) -> str:
        """A hash of the ids, texts and languages, in 16 hexadecimal digits.

        The audio is not part of the hash, so no audio needs to be decoded. Each `Audio`
        has its own digest.
        """
        rows = [(each.id, each.text, each.language) for each in self]
        return hashlib.sha256(msgspec.json.encode(rows)).hexdigest()[:16]

    def sample(self, n: int, *, seed: int) -> Corpus:
        """Return ``n`` random utterances, in the order of this corpus.

        The same seed gives the same sample on every machine and with every version of
        Python. A perturbed corpus gives the same clips as the corpus without
        perturbation. A smaller sample is part of each larger sample with the same seed.
        Raises ValueError if ``n`` is not from 1 to the size of the corpus.
        """
        if not 1 <= n <= len(self):
            raise ValueError(
                f"cannot draw {n} utterances from {self.name}; give a number from 1 to "
                f"{len(self)}"
            )

        def lot(utterance: Utterance) -> bytes:
            return hashlib.sha256(f"{seed} {utterance.clip}".encode()).digest()

        drawn = {utterance.id for utterance in sorted(self, key=lot)[:n]}
        return Corpus(self.name, tuple(u for u in self if u.id in drawn))

    def map(self, function: Callable[[Utterance], Utterance]) -> Corpus:
        """Return a corpus with the result of ``function`` for each utterance."""
        return Corpus(self.name, tuple(map(function, self)), self.notes)

    def originals(self) -> Corpus:
        """Return the corpus as it was before any perturbation, each clip once."""
        found = {each.clip: each.original or each for each in self}
        return Corpus(self.name, tuple(found.values()), self.notes)


@lru_cache(maxsize=4096)
def _detected(source: Path | FileSpan | Audio) -> tuple[float, float] | None:
    return speech(source if isinstance(source, Audio) else _decoded(source).audio)


@lru_cache(maxsize=4096)
def _doubts(source: Path | FileSpan) -> tuple[str, ...]:
    return _decoded(source).doubts


@lru_cache(maxsize=32)
def _decoded(source: Path | FileSpan) -> Decoded:
    if isinstance(source, FileSpan):
        return decode(
            source.path,
            start=source.start,
            stop=source.stop,
            channels=source.channels,
        )
    return decode(source)


def _path(source: Path | FileSpan) -> Path:
    return source.path if isinstance(source, FileSpan) else source
