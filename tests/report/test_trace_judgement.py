"""What ``trace judge`` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.report.trace_judgement import differences, lines
from pytest_realtime_asr.run.recorded_results import judge, sessions
from pytest_realtime_asr.verdicts.run_limits import run_limits
from tests.support.paths import ROOT

TRACES = ROOT / "examples" / "traces"
SOUND, LATE = TRACES / "sound.jsonl", TRACES / "late.jsonl"


def shown(*paths: Path, limits: str = "") -> list[str]:
    found = sessions(paths)
    results = judge(found, run_limits([limits] if limits else []))
    return list(lines(found, results, width=200))


def test_one_utterance_has_a_line_for_each_metric() -> None:
    text = shown(SOUND)
    assert text[0].startswith(f"{SOUND}: open-door, WER 0.0%")
    (missing,) = [i for i, line in enumerate(text) if line.startswith("not measured: ")]
    head = text.index("")
    named = {line.split()[0] for line in text[head:missing] if line.startswith("  ")}
    rest = " ".join(text[missing:]).removeprefix("not measured: ").replace(",", "")
    assert named | set(rest.split()) == CATALOGUE.keys()


def test_several_utterances_have_statistics() -> None:
    text = shown(SOUND, LATE)
    assert "2 utterances, 0 lost" in text
    assert "1 session without an error or a violation" in text
    assert not any(line.startswith(f"{SOUND}: ") for line in text)
    (row,) = [line.split() for line in text if "final_from_commit " in line]
    assert row == ["final_from_commit", "252", "ms", "951", "ms", "951", "ms"]


def test_violations_are_below_their_session_and_limits_at_the_end() -> None:
    limits = "final_from_commit max <= 800ms, wer <= 10%"
    text = shown(SOUND, LATE, limits=limits)
    rule = next(i for i, line in enumerate(text) if "deltas-add-up [MUST]" in line)
    assert text[rule - 1].startswith(f"{LATE}: ")
    (good,) = [i for i, line in enumerate(text) if line.startswith("PASS")]
    (bad,) = [i for i, line in enumerate(text) if line.startswith("FAIL")]
    assert rule < good < bad
    assert "wer = " in text[good]
    assert "final_from_commit max = 951 ms > 800 ms" in text[bad]
    assert any(line.strip() == f"trace: {LATE}" for line in text[bad:])
    assert any("^limit 800 ms" in line or "limit 800 ms^" in line for line in text)


def test_a_report_of_another_run_differs_and_another_file_is_refused(
    tmp_path: Path,
) -> None:
    report = tmp_path / "out.jsonl"
    report.write_text(
        '{"kind":"utterance","started":"2026-01-01T00:00:00Z","session":"s"}\n'
    )
    (line,) = differences(sessions([SOUND]), report)
    assert line == f"{SOUND}: open-door: is not in {report}"
    for text, why in (
        ('{"kind":"run"}\n', "no line about an utterance"),
        ("x\n", r"out\.jsonl:1: "),
        ('{"kind":"utterance"}\n', r"out\.jsonl:1: "),
    ):
        report.write_text(text)
        with pytest.raises(ValueError, match=why):
            list(differences(sessions([SOUND]), report))
