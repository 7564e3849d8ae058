"""Speaks the bundled corpora from ``sentences.toml``: FLAC files and their manifests.

    python tools/make_corpora.py            # write pytest_realtime_asr/corpus/bundled
    python tools/make_corpora.py --check    # print the files that would differ

English is spoken by flite, the other languages by espeak-ng. The versions of ``KNOWN``
give the same PCM again, sample for sample. Another version of flite, espeak-ng or soxr
may give other samples and other recognition results. FLAC files are compared by their
PCM, since their bytes depend on the encoder.

Every clip is 16 kHz mono PCM16 with ``PAD`` seconds before and after the speech and a
peak of ``PEAK`` dBFS. White noise at about -82 dBFS is added, since no microphone gives
digital silence; its seed is computed from the id of the clip. Word times are the times
at which flite placed its phones, so they are exact and not estimated.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

HERE = Path(__file__).resolve().parent
SENTENCES = HERE / "sentences.toml"
CORPORA = HERE.parent / "pytest_realtime_asr" / "corpus" / "bundled"

RATE = 16_000
PAD = 0.3
FADE = 0.1  # s over which sound before and after the speech is faded
PEAK = -4.0
NOISE = 4  # the largest sample of the noise floor
QUIET = 0.01  # of full scale; the speech of espeak-ng is louder than this
KNOWN = {"flite": "flite-2.2", "espeak-ng": "1.51"}
PAUSE = "pau"

Samples = npt.NDArray[np.float64]
Pcm = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence: ``say`` is the input of the voice, ``text`` is for the manifest."""

    id: str
    voice: str
    language: str
    say: str

    @property
    def text(self) -> str:
        """The sentence in lower case and without punctuation."""
        kept = (c for c in self.say if unicodedata.category(c)[0] != "P")
        return " ".join("".join(kept).lower().split())


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone and its time in the synthesiser's own audio, in seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Clip:
    """A spoken sentence: its PCM and its line of the manifest."""

    id: str
    pcm: Pcm
    line: dict[str, object]


def read_sentences(path: Path) -> dict[str, tuple[Sentence, ...]]:
    """Return the sentences of each corpus, by the name of the corpus."""
    tables = tomllib.loads(path.read_text("utf-8"))
    return {
        name: tuple(Sentence(**{"language": "en", **row}) for row in rows)
        for name, rows in tables.items()
    }


def require_voices() -> None:
    """Exit if a synthesiser is missing; warn if a version is not in ``KNOWN``."""
    for program, known in KNOWN.items():
        if shutil.which(program) is None:
            raise SystemExit(
                f"{program} is not installed; on Debian or Ubuntu: "
                "apt-get install flite espeak-ng"
            )
        answer = run(program, "--version")
        if known not in answer:
            found = " ".join(answer.split())
            print(
                f"warning: {program} is not version {known} but {found}; the clips "
                "may differ",
                file=sys.stderr,
            )


def run(*command: str) -> str:
    """Return the output of a command; exit if it fails.

    flite ends with code 1 after ``--version``, which is no failure.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and "--version" not in command:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def speak(sentence: Sentence, corpus: str) -> Clip:
    """Return the clip of a sentence, with word times if flite speaks it."""
    if corpus == "english":
        samples, phones = flite(sentence.say, sentence.voice)
        spoken = [phone for phone in phones if phone.name != PAUSE]
        onset, offset = spoken[0].start, spoken[-1].end
        speaker = f"flite-{sentence.voice}"
    else:
        samples = espeak(sentence.say, sentence.voice)
        phones = ()
        loud = np.flatnonzero(np.abs(samples) > QUIET * np.abs(samples).max())
        onset, offset = loud[0] / RATE, (loud[-1] + 1) / RATE
        speaker = f"espeak-ng-{sentence.voice}"
    pcm = frame(samples, onset, offset, seed=zlib.crc32(sentence.id.encode()))
    line: dict[str, object] = {
        "id": sentence.id,
        "audio_filepath": f"{corpus}/{sentence.id}.flac",
        "duration": len(pcm) / RATE,
        "text": sentence.text,
        "language": sentence.language,
        "speaker": speaker,
    }
    if phones:
        line["words"] = [
            {
                "word": word,
                "start": round(start - onset + PAD, 3),
                "end": round(end - onset + PAD, 3),
            }
            for word, start, end in word_times(sentence, phones)
        ]
    return Clip(sentence.id, pcm, line)


def flite(say: str, voice: str) -> tuple[Samples, tuple[Phone, ...]]:
    """Return the samples and the phones of a text that flite speaks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flite.wav")
        names = run("flite", "-voice", voice, "-psdur", "-t", say, "-o", str(path))
        samples, rate = soundfile.read(path, dtype="int16")
    if rate != RATE:
        raise SystemExit(f"flite's voice {voice} speaks at {rate} Hz, not at {RATE}")
    phones = []
    start = 0.0
    for name, end in (item.rsplit(":", 1) for item in names.split()):
        phones.append(Phone(name, start, float(end)))
        start = float(end)
    return np.asarray(samples, np.float64), tuple(phones)


def espeak(say: str, voice: str) -> Samples:
    """Return the samples at 16 kHz of a text that espeak-ng speaks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "espeak.wav")
        run("espeak-ng", "-v", voice, "-w", str(path), say)
        samples, rate = soundfile.read(path, dtype="float64")
    return np.asarray(soxr.resample(samples, rate, RATE, "VHQ"), np.float64)


def frame(samples: Samples, onset: float, offset: float, *, seed: int) -> Pcm:
    """Return the speech with pads, at its level and with noise.

    The speech lasts from ``onset`` to ``offset`` (s) of the samples.
    """
    pad = round(PAD * RATE)
    first, last = round(onset * RATE), round(offset * RATE)
    speech = samples[max(0, first - pad) : last + pad]
    before = max(0, pad - first)
    after = max(0, last + pad - len(samples))
    padded = np.pad(speech, (before, after))
    fade = np.interp(np.arange(pad), [pad - FADE * RATE, pad], [0.0, 1.0])
    padded[:pad] *= fade
    padded[-pad:] *= fade[::-1]
    level = 10 ** (PEAK / 20) * 32767 / np.abs(padded).max()
    # RandomState's stream is frozen for good, which default_rng's is not.
    noise = np.random.RandomState(seed).randint(-NOISE, NOISE + 1, len(padded))
    return np.asarray(np.round(padded * level) + noise, np.int16)


def word_times(
    sentence: Sentence, phones: Sequence[Phone]
) -> Iterator[tuple[str, float, float]]:
    """Yield each word with its start and end in seconds of flite's own audio.

    flite prints the phones of the whole sentence without their words. Each word is
    therefore also spoken alone, and the two sequences of phones are aligned. A vowel
    that is reduced in the sentence, or a consonant that is dropped there, does not
    disturb the alignment of the other phones.
    """
    words = sentence.text.split()
    alone = [
        (name, index)
        for index, word in enumerate(words)
        for name in phone_names(word, sentence.voice)
    ]
    spoken = [phone for phone in phones if phone.name != PAUSE]
    owners = owning_words(alone, [phone.name for phone in spoken])
    for index, word in enumerate(words):
        own = [
            phone for phone, owner in zip(spoken, owners, strict=True) if owner == index
        ]
        if not own:
            raise SystemExit(f"{sentence.id}: flite does not pronounce {word!r}")
        yield word, own[0].start, own[-1].end


@cache
def phone_names(word: str, voice: str) -> tuple[str, ...]:
    """Return the phones of a word that is spoken alone."""
    names = run("flite", "-voice", voice, "-ps", "-t", word, "none").split()
    return tuple(name for name in names if name != PAUSE)


def owning_words(alone: Sequence[tuple[str, int]], spoken: Sequence[str]) -> list[int]:
    """Return the index of the word of each spoken phone, by the least edit distance."""
    rows, columns = len(alone) + 1, len(spoken) + 1
    cost = np.zeros((rows, columns))
    cost[:, 0] = np.arange(rows)
    cost[0, :] = np.arange(columns)
    for i in range(1, rows):
        for j in range(1, columns):
            other = float(alone[i - 1][0] != spoken[j - 1])
            cost[i, j] = min(
                cost[i - 1, j - 1] + other, cost[i - 1, j] + 1, cost[i, j - 1] + 1
            )
    owners = []
    i, j = rows - 1, columns - 1
    while j:
        other = float(i == 0 or alone[i - 1][0] != spoken[j - 1])
        if i and cost[i, j] == cost[i - 1, j - 1] + other:
            owners.append(alone[i - 1][1])
            i, j = i - 1, j - 1
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        else:
            owners.append(alone[max(0, i - 1)][1])
            j -= 1
    return owners[::-1]


def manifest(clips: Iterable[Clip]) -> str:
    """Return the manifest of the clips in NeMo's format, one JSON object per line."""
    rows = (json.dumps(clip.line, ensure_ascii=False) for clip in clips)
    return "".join(f"{row}\n" for row in rows)


def write(corpus: str, clips: Sequence[Clip]) -> None:
    """Write a corpus, and remove the clips that it no longer has."""
    folder = CORPORA / corpus
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.flac")) - {folder / f"{c.id}.flac" for c in clips}:
        stale.unlink()
    for clip in clips:
        path = folder / f"{clip.id}.flac"
        soundfile.write(path, clip.pcm, RATE, "PCM_16", compression_level=1.0)
    (CORPORA / f"{corpus}.jsonl").write_text(manifest(clips), "utf-8")


def differences(corpus: str, clips: Sequence[Clip]) -> Iterator[str]:
    """Yield a line for each file of the corpus that differs from these clips."""
    folder = CORPORA / corpus
    for clip in clips:
        path = folder / f"{clip.id}.flac"
        if not path.exists():
            yield f"{path}: missing"
            continue
        pcm, rate = soundfile.read(path, dtype="int16")
        if rate != RATE or not np.array_equal(pcm, clip.pcm):
            yield f"{path}: differs from the new audio"
    for stale in set(folder.glob("*.flac")) - {folder / f"{c.id}.flac" for c in clips}:
        yield f"{stale}: has no sentence in {SENTENCES.name}"
    path = CORPORA / f"{corpus}.jsonl"
    if not path.exists() or path.read_text("utf-8") != manifest(clips):
        yield f"{path}: missing or different"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the corpora, or check them; return 1 if the check found a difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare with the existing files, write nothing",
    )
    check = parser.parse_args(arguments).check
    require_voices()
    wrong: list[str] = []
    for corpus, sentences in read_sentences(SENTENCES).items():
        for sentence in sentences:
            if not re.fullmatch("[a-z]+(-[a-z]+)*", sentence.id):
                raise SystemExit(
                    f"{SENTENCES.name}: the id {sentence.id!r} must be words in "
                    "lower case, joined by hyphens"
                )
        clips = [speak(sentence, corpus) for sentence in sentences]
        if check:
            wrong += differences(corpus, clips)
        else:
            write(corpus, clips)
        seconds = sum(len(clip.pcm) for clip in clips) / RATE
        size = sum(path.stat().st_size for path in (CORPORA / corpus).glob("*.flac"))
        print(f"{corpus}: {len(clips)} clips, {seconds:.1f} s, {size / 1e6:.2f} MB")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
