"""The page on public corpora: its script, its commands and its table of hours."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import special

from pytest_realtime_asr import Utterance
from pytest_realtime_asr.corpus import load
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.verdicts.wer import rate_interval
from tests.support.paths import ROOT

PAGE = re.sub(r"\\\n +", "", (ROOT / "docs/howto/corpora.md").read_text())
SCRIPT = "examples/recordings/make_manifest.py"
COMMANDS = re.findall(r"^(?:pytest|python) .*$", PAGE, re.MULTILINE)
HOURS = (0.25, 0.5, 1, 2, 4, 8, 16, 32)
WORDS = 9000  # in an hour of speech
SPREAD = 0.5  # standard deviation of the speakers' error rates, in shares of the WER
GROUPED = 3  # variance of the errors of a speaker, in shares of independent errors


def table() -> dict[tuple[float, int], str]:
    """Return the cells of the table of hours, by WER and number of speakers."""
    head, _, *rows = PAGE.partition("| WER |")[2].partition("\n\n")[0].splitlines()
    speakers = [int(each) for each in re.findall(r"(\d+) speakers", head)]
    found = {}
    for row in rows:
        wer, *cells = (each.strip() for each in row.strip("|").split("|"))
        for number, cell in zip(speakers, cells, strict=True):
            found[float(wer.removesuffix(" %")) / 100, number] = cell
    return found


@cache
def half_width(wer: float, speakers: int, hours: float) -> float:
    """Return half the width of the interval of an error rate, by the assumptions.

    The rates of the speakers are equally spaced quantiles of the gamma distribution
    with the mean ``wer`` and the variance of the assumptions.
    """
    words = round(hours * WORDS / speakers)
    variance = (SPREAD * wer) ** 2 + GROUPED * wer / words
    ranks = (np.arange(speakers) + 0.5) / speakers
    rates = special.gammaincinv(wer**2 / variance, ranks) * variance / wer
    wrong = [min(words, round(rate * words)) for rate in rates]
    errors = [Errors(hits=words - each, substitutions=each) for each in wrong]
    low, high = rate_interval(errors, range(speakers))
    return (high - low) / 2


def needed(wer: float, speakers: int) -> str:
    for hours in HOURS:
        if half_width(wer, speakers, hours) <= 0.01:
            return f"{hours:g}"
    return "-"


@pytest.mark.parametrize(("wer", "speakers"), table())
def test_the_hours_are_those_of_the_interval(wer: float, speakers: int) -> None:
    assert table()[wer, speakers] == needed(wer, speakers)


@pytest.fixture
def corpora(tmp_path: Path) -> Path:
    """A folder with a small LibriSpeech and a small Common Voice."""
    clips = list(load("bundled:english").sample(4, seed=1))
    read = tmp_path / "LibriSpeech/test-clean/61/70968"
    read.mkdir(parents=True)
    spoken = tmp_path / "cv-corpus/de/clips"
    spoken.mkdir(parents=True)
    texts, rows = [], ["client_id\tpath\tsentence\tlocale"]
    for number, clip in enumerate(clips):
        texts.append(f"61-70968-{number:04} {clip.text.upper()}")
        write(clip, read / f"61-70968-{number:04}.flac")
        rows.append(f"{number % 3}\tclip_{number}.mp3\t{clip.text}\tde")
        write(clip, spoken / f"clip_{number}.mp3")
    (read / "61-70968.trans.txt").write_text("\n".join(texts) + "\n")
    (spoken.parent / "test.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def write(clip: Utterance, path: Path) -> None:
    soundfile.write(path, clip.audio.array, clip.audio.rate)


@pytest.mark.parametrize(
    ("name", "speakers"), [("librispeech", ["61"] * 3), ("common-voice", [*"012"])]
)
def test_the_manifest_has_what_the_corpus_has(
    name: str, speakers: list[str], corpora: Path
) -> None:
    (command,) = (each for each in COMMANDS if f"> {name}.jsonl" in each)
    python, script, path, most, _, manifest = shlex.split(command)
    assert (python, script) == ("python", SCRIPT)
    done = subprocess.run(
        [sys.executable, ROOT / script, path, most],
        cwd=corpora,
        capture_output=True,
        text=True,
        check=True,
    )
    (corpora / manifest).write_text(done.stdout)
    found = list(load(corpora / manifest))
    assert [each.speaker for each in found] == speakers
    direct = {each.id: each for each in load(corpora / path)}
    for each in found:
        assert (each.text, each.audio) == (direct[each.id].text, direct[each.id].audio)
        assert each.speaker == direct[each.id].speaker
    assert {json.loads(line)["language"] for line in done.stdout.splitlines()} == {
        "en" if name == "librispeech" else "de"
    }


def test_the_commands_name_what_the_page_makes() -> None:
    paths = set(re.findall(r"--realtime-corpus=(\S+)", "\n".join(COMMANDS)))
    made = set(re.findall(r"make_manifest.py (\S+) \d > (\S+)", "\n".join(COMMANDS)))
    assert paths <= {path for pair in made for path in pair}
