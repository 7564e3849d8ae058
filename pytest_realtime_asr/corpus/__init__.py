"""Corpora: utterances to send to a server, with their reference transcripts.

A corpus comes from a manifest in NeMo's convention (JSON Lines), from a LibriSpeech
tree, from a folder in which each audio file has a text file beside it, or from the
package itself (``bundled:...``). The headers of all audio files are checked when a
corpus is loaded; the audio is decoded when it is used. Every problem raises a
`CorpusError` that says where the problem is. Only blank lines, hidden files, and files
that are neither audio nor text are ignored.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from pytest_realtime_asr.corpus import corpus_file, folder, manifest
from pytest_realtime_asr.corpus.bundled_corpora import (
    BUNDLED,
    PREFIX,
    bundled,
    names,
)
from pytest_realtime_asr.corpus.places import at, collect
from pytest_realtime_asr.corpus.utterance import (
    Corpus,
    CorpusError,
    FileSpan,
    Utterance,
    Word,
)
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError

__all__ = [
    "BUNDLED",
    "Corpus",
    "CorpusError",
    "FileSpan",
    "Utterance",
    "Word",
    "check",
    "load",
    "load_all",
]

_MANIFESTS = (".json", ".jsonl")


def load(spec: str | Path) -> Corpus:
    """Return the corpus that ``spec`` names; ``spec`` becomes the corpus's name.

    ``spec`` is ``bundled:english``, ``bundled:languages``, ``bundled:odd``, or the path
    of a manifest (``.jsonl`` or ``.json``), of a LibriSpeech tree, or of a folder of
    audio files, each with a ``.txt`` file beside it. A ``corpus.toml`` in the folder of
    the corpus or of the audio states the language of the utterances that state none.
    Raises `CorpusError`.
    """
    name = str(spec)
    check(name)
    if name.startswith(PREFIX):
        return bundled(name)
    path = Path(spec).absolute()  # the audio may be decoded after a change of folder
    with at():
        if path.is_dir():
            found, root = collect(name, folder.read(path)), path
        else:
            found, root = collect(name, manifest.read(path)), path.parent
    return corpus_file.in_stated_languages(found, root)


def check(spec: str) -> None:
    """Check that a spec names a corpus, without reading the corpus.

    Raises `CorpusError`.
    """
    if spec.startswith(PREFIX):
        if spec.removeprefix(PREFIX) not in BUNDLED:
            raise CorpusError(f"{spec}: there is no such corpus; choose from {names()}")
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
        raise CorpusError(f"{path}: is not a corpus; {_forms()}")


def load_all(specs: Iterable[str | Path], *, language: str = "") -> Corpus:
    """Return the corpora that ``specs`` name, joined in this order.

    ``language`` is the tag of the language of the utterances that state none.
    Raises `CorpusError` if an id occurs in two of the corpora, or if ``specs`` is
    empty.
    """
    corpora = [load(spec) for spec in specs]
    if not corpora:
        raise CorpusError(f"no corpus is given; {_forms()}")
    found = ((corpus.name, utterance) for corpus in corpora for utterance in corpus)
    joined = collect(" + ".join(corpus.name for corpus in corpora), found)
    return joined.map(lambda utterance: utterance.in_language(language))


def _forms() -> str:
    """Return the part of a message that says what a corpus can be."""
    return (
        "give a manifest (.jsonl or .json), a LibriSpeech tree, a folder of audio "
        f"files with a .txt file beside each, or {names()}"
    )
