"""Corpora: utterances to send to a server, with their reference transcripts.

A corpus comes from a manifest, a table or a folder in one of the `formats`, or from the
package itself (``bundled:...``). Each format has a module that turns files into
descriptions of utterances; `collection` turns the descriptions into a corpus.

A corpus is checked when it is loaded: the headers of all audio files are read, and the
first 10 minutes of its audio are decoded. The other audio is decoded when it is used.
Every problem raises a `CorpusError` that says where the problem is. Hidden files are
ignored; other unused files are counted in the notes of the corpus.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from pytest_realtime_asr.corpus import corpus_file, formats
from pytest_realtime_asr.corpus.bundled_corpora import (
    BUNDLED,
    PREFIX,
    bundled,
    names,
)
from pytest_realtime_asr.corpus.collection import collect, join
from pytest_realtime_asr.corpus.description import at
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


def load(spec: str | Path) -> Corpus:
    """Return the corpus that ``spec`` names; ``spec`` becomes the corpus's name.

    ``spec`` is ``bundled:english``, ``bundled:languages``, ``bundled:odd``, or the path
    of a file or a folder in one of the `formats`. If an utterance states no language,
    its language comes from a ``corpus.toml`` in the folder of the corpus or of the
    audio. Raises `CorpusError` if the corpus cannot be used.
    """
    name = str(spec)
    check(name)
    if name.startswith(PREFIX):
        return bundled(name)
    path = Path(spec).absolute()  # the audio may be decoded after a change of folder
    with at():
        if (found := formats.of(path, folder=path.is_dir())) is None:
            raise CorpusError(f"{path}: is not a corpus; {_forms()}")
        corpus = collect(name, found.read(path))
    root = path if path.is_dir() else path.parent
    return corpus_file.in_stated_languages(corpus, root)


def check(spec: str) -> None:
    """Check that a spec names a corpus, without reading the corpus.

    Raises `CorpusError` if the spec names no corpus.
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
    known = stat.S_ISREG(mode) and formats.of(path, folder=False)
    if not (known or stat.S_ISDIR(mode)):
        raise CorpusError(f"{path}: is not a corpus; {_forms()}")


def load_all(specs: Iterable[str | Path], *, language: str = "") -> Corpus:
    """Join the corpora that ``specs`` name into one corpus, in this order.

    ``language`` is the language tag for utterances that state no language.
    Raises `CorpusError` if an id occurs in two of the corpora, or if ``specs`` is
    empty.
    """
    corpora = [load(spec) for spec in specs]
    if not corpora:
        raise CorpusError(f"no corpus is given; {_forms()}")
    return join(corpora).map(lambda utterance: utterance.in_language(language))


def _forms() -> str:
    """Return the part of a message that says what a corpus can be."""
    return f"give {formats.forms()}, or {names()}"
