"""Makes a corpus from descriptions, and checks its audio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pytest_realtime_asr.audio import files, header
from pytest_realtime_asr.corpus.description import (
    Description,
    Found,
    PassedOver,
    at,
)
from pytest_realtime_asr.corpus.utterance import (
    Corpus,
    CorpusError,
    FileSpan,
    Utterance,
    Word,
)

_NAMED = 10  # problems that one message names
_SHOWN = 3  # files that a note names
EXAMINED = 600.0  # s of audio that is decoded when a corpus is loaded
_DURATION_SLACK = 0.1  # s by which ``duration`` may differ from the file
_WORD_SLACK = 0.02  # s by which a rounded end of a word may exceed the audio


def collect(name: str, found: Found, *, seconds: float = EXAMINED) -> Corpus:
    """Return the corpus that is described by the entries in ``found``.

    The headers of all audio files are checked. The first ``seconds`` seconds of audio
    are decoded too, so that most unusable audio is reported before the first session.
    All later audio is decoded only when it is used. Raises `CorpusError`, which names
    up to 10 problems.
    """
    placed: list[tuple[str, Utterance]] = []
    problems: list[str] = []
    passed: list[PassedOver] = []
    for entry in found:
        if isinstance(entry, PassedOver):
            passed.append(entry)
        elif isinstance(entry, CorpusError):
            problems.append(str(entry))
        else:
            try:
                with at(entry.place):
                    placed.append((entry.place, _utterance(entry)))
            except CorpusError as error:
                problems.append(str(error))
    problems += _repeated(placed)
    doubts = _examine(placed, seconds, problems)
    notes = [f"{name}: {each}" for each in _passed_over(passed)]
    notes += doubts[:_NAMED]
    if (rest := len(doubts) - _NAMED) > 0:
        notes.append(f"{name}: {rest} more utterances have doubtful audio")
    if problems:
        raise _refusal(name, problems)
    if not placed and passed:
        raise CorpusError(
            f"{notes[0]}; the corpus has no utterance; give at least one utterance, or "
            "the path of a manifest"
        )
    return Corpus(name, tuple(each for _, each in placed), tuple(notes))


def join(corpora: Iterable[Corpus]) -> Corpus:
    """Join several corpora into one. Raises `CorpusError` for an id in two corpora."""
    corpora = list(corpora)
    placed = [(corpus.name, each) for corpus in corpora for each in corpus]
    name = " + ".join(corpus.name for corpus in corpora)
    if problems := list(_repeated(placed)):
        raise _refusal(name, problems)
    notes = tuple(note for corpus in corpora for note in corpus.notes)
    return Corpus(name, tuple(each for _, each in placed), notes)


def _refusal(name: str, problems: list[str]) -> CorpusError:
    if len(problems) == 1:
        return CorpusError(problems[0])
    rest = len(problems) - _NAMED
    return CorpusError(
        f"{name}: {len(problems)} problems; correct these entries, or remove them:",
        *problems[:_NAMED],
        *([f"and {rest} more"] if rest > 0 else []),
    )


def _repeated(placed: list[tuple[str, Utterance]]) -> Iterator[str]:
    """Yield a sentence for each utterance that has the id of an earlier utterance."""
    places: dict[str, str] = {}
    for place, utterance in placed:
        if utterance.id in places:
            yield (
                f"{place}: the id {utterance.id!r} is already used in "
                f"{places[utterance.id]}; give every utterance a unique id"
            )
        else:
            places[utterance.id] = place


def _examine(
    placed: list[tuple[str, Utterance]], seconds: float, problems: list[str]
) -> list[str]:
    """Decode the first ``seconds`` s of audio, and return what may be wrong with it.

    Adds a message to ``problems`` for each utterance that cannot be decoded.
    """
    doubts: list[str] = []
    for place, utterance in placed:
        seconds -= utterance.duration
        if seconds < 0:
            break
        try:
            with at(place):
                _ = utterance.audio
            doubts += utterance.doubts
        except CorpusError as error:
            problems.append(str(error))
    return doubts


def _passed_over(passed: list[PassedOver]) -> Iterator[str]:
    """Yield a sentence for each reason why files are not used; it names these files."""
    for why in dict.fromkeys(each.why for each in passed):
        names = [each.path.name for each in passed if each.why == why]
        more = len(names) - _SHOWN
        shown = ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        count = "1 file was" if len(names) == 1 else f"{len(names)} files were"
        yield f"{count} not used ({why}): {shown}"


def _utterance(description: Description) -> Utterance:
    """Return the utterance of a description. Raises `InputError`."""
    utterance = Utterance(
        id=description.id,
        text=description.text,
        source=_source(description),
        words=description.words,
        language=description.language,
        speaker=description.speaker,
    )
    return replace(utterance, words=_inside(utterance.words, utterance.duration))


def _source(description: Description) -> Path | FileSpan:
    """Return the path of the audio, or a span if a part or channels are selected."""
    path, channels = description.audio, description.channels
    offset, stated = description.offset, description.duration
    found = header(path)
    files.check_channels(channels, found.channels)
    if offset is None:
        if stated is not None and abs(stated - found.seconds) > _DURATION_SLACK:
            raise CorpusError(
                f"duration is {stated:g} s, but {path} lasts {found.seconds:.3f} s; "
                "correct the duration, or give an offset to select a part of the file"
            )
        return FileSpan(path, 0.0, found.seconds, channels) if channels else path
    stop = found.seconds if stated is None else offset + stated
    end = min(stop, found.seconds)
    if not (0 <= offset < end and stop <= found.seconds + _DURATION_SLACK):
        raise CorpusError(
            f"offset and duration select {offset:g} to {stop:g} s, but {path} lasts "
            f"{found.seconds:.3f} s; select a part of the file"
        )
    return FileSpan(path, offset, end, channels)


def _inside(words: tuple[Word, ...], seconds: float) -> tuple[Word, ...]:
    """Return the words, with no end after the end of the audio.

    ``seconds`` is the length of the audio. Because of rounding, a word may end shortly
    after the audio; its end is then moved to the end of the audio. Raises `CorpusError`
    for a word outside the audio.
    """
    for word in words:
        if word.start >= seconds or word.end > seconds + _WORD_SLACK:
            raise CorpusError(
                f"the word {word.text!r} from {word.start:g} to {word.end:g} s is not "
                f"inside the {seconds:.3f} s of audio; give the times of words in "
                "seconds from the start of the utterance"
            )
    return tuple(replace(word, end=min(word.end, seconds)) for word in words)
