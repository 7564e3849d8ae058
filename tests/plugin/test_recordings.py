"""What a run reports about the user's own recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pytest_realtime_asr.audio import Audio, write
from pytest_realtime_asr.corpus import load
from tests.support.project import CLIPS, Project

TEST = """
def test_it(realtime, corpus):
    realtime.transcribe(corpus)
"""


def recordings(project: Project) -> Path:
    """Store the shortest bundled clips in a folder; the first is clipped."""
    folder = project.path / "own"
    folder.mkdir()
    for number, name in enumerate(CLIPS):
        clip = load("bundled:english")[name]
        steps = clip.audio.array * (1.0 if number else 20.0)
        pcm = np.clip(steps, -32768, 32767).astype("<i2").tobytes()
        write(folder / f"{name}.wav", Audio(pcm, clip.audio.rate))
        (folder / f"{name}.txt").write_text(clip.text)
    return folder


def test_doubts_and_files_passed_over_are_shown_once(project: Project) -> None:
    folder = recordings(project)
    (folder / "notes.pdf").write_bytes(b"")
    project.write(TEST)
    result = project.run(f"--realtime-corpus={folder}")
    result.assert_outcomes(passed=1)
    lines = [line for line in result.outlines if line.startswith("realtime: /")]
    over, doubt = lines
    assert over == (
        f"realtime: {folder}: 1 file was not used (neither audio nor text): notes.pdf"
    )
    assert doubt.startswith(f"realtime: {folder / CLIPS[0]}.wav: ")
    assert "of its samples are clipped at full scale" in doubt


def test_private_run_hides_the_names(project: Project) -> None:
    folder = recordings(project)
    project.write(TEST)
    result = project.run(f"--realtime-corpus={folder}", "--realtime-private")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "realtime: number of hidden notes on the files of the corpus: 1",
            "realtime: clip-2: its audio may be distorted",
        ]
    )
    result.stdout.no_fnmatch_line(f"*{CLIPS[0]}*")


def test_all_problems_are_shown(project: Project) -> None:
    folder = recordings(project)
    for name in ("a.m4a", "b.webm"):
        (folder / name).write_bytes(b"audio")
    project.write(TEST)
    result = project.run(f"--realtime-corpus={folder}")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            f"*--realtime-corpus: {folder}: 2 problems; correct these entries, or *",
            f"*  {folder / 'a.m4a'}: is audio that cannot be decoded here (*",
            f"*  {folder / 'b.webm'}: is audio that cannot be decoded here (*",
        ]
    )
