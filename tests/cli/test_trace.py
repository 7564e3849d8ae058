"""The command ``trace`` shows, judges, compares and converts kept traces."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
    read,
)
from pytest_realtime_asr.trace.spoken import Spoken
from tests.support.paths import ROOT

TRACES = ROOT / "fixtures" / "traces"
SOUND, LATE = (str(ROOT / "examples/traces" / f"{n}.jsonl") for n in ("sound", "late"))
OLD = read(TRACES / "vllm-broken.jsonl")
HOSTILE = ("\x1b[31mred", "\r\nline", "\u202eback", "::error::x", "##[error]y", "\x00")


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["trace", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_session_without_violations_is_shortened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = str(TRACES / "vllm-sound.jsonl")
    lines = shown(capsys, file)
    assert ", vllm" in lines[0]
    assert lines[1].startswith("session ")
    assert not any("[MUST]" in line for line in lines)
    assert any("..." in line and line.endswith(" frames") for line in lines)
    every = shown(capsys, file, "--all")
    assert len(every) > len(lines)
    assert not any(line.endswith(" frames") for line in every)


def test_the_frames_of_a_violation_are_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(capsys, str(TRACES / "vllm-broken.jsonl"))
    assert any(line.startswith(">") for line in lines)
    assert any(" [MUST]: " in line for line in lines)


@pytest.mark.parametrize("words", [(), ("--all",)])
def test_a_file_alone_is_shown(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert shown(capsys, *words, LATE) == shown(capsys, "show", *words, LATE)


def test_one_utterance_of_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(TRACES / "vllm-sound.jsonl")  # a session with two utterances
    lines = shown(capsys, "show", file, "--item=2", "--corpus=bundled:english")
    (found,) = [line for line in lines if line.startswith("utterance ")]
    assert found.startswith("utterance 2 of 2: turn-left, ")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("judge", SOUND), 0),
        (("judge", LATE), 1),
        (("judge", SOUND, "--budget=final_from_commit max <= 1s"), 0),
        (("judge", SOUND, "--budget=final_from_commit max <= 10ms"), 1),
        (("judge", SOUND, "--budget=wer <= 0.1", "--budget=connect max <= 1s"), 0),
        (("diff", SOUND, SOUND), 0),
        (("diff", SOUND, LATE), 1),
    ],
)
def test_the_exit_code_is_the_result(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int
) -> None:
    assert main(["trace", *words]) == code
    assert capsys.readouterr().out


@pytest.mark.parametrize("view", ["show", "judge", "diff", "perfetto"])
def test_a_file_that_is_not_a_trace_is_an_error(
    view: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path(SOUND).read_text()
    output = tmp_path / "out.json"
    more = {"diff": [SOUND], "perfetto": ["-o", str(output)]}.get(view, [])
    for name, content, why in (
        ("missing.jsonl", None, "there is no such file or folder"),
        ("other.jsonl", "{}\n{}\n", "not a trace: line 1: "),
        ("text.jsonl", "hello\nworld\n", "not a trace: line 1: "),
        ("report.jsonl", '{"format":3,"kind":"run"}\n{}\n', "a JSON Lines report"),
        ("cut.jsonl", text[: len(text) // 2], "may be cut off"),
        ("new.jsonl", text.replace('"format":1', '"format":2'), "has format 2"),
        ("foreign.jsonl", text.replace('"vllm"', '"klingon"'), "klingon"),
    ):
        file = tmp_path / name
        if content is not None:
            file.write_text(content)
        assert main(["trace", view, str(file), *more]) == 2
        out, error = capsys.readouterr()
        assert out == ""
        (line,) = error.splitlines()
        assert line.startswith("error: ")
        assert why in line
        assert name in line or name == "foreign.jsonl"
        assert not output.exists()


def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(Path(SOUND).read_bytes())
    for words, why in (
        (("show", SOUND, "--item=2"), "no utterance 2"),
        (("show", SOUND, "--corpus=nowhere"), "nowhere"),
        (("judge", str(tmp_path / "none")), "no such file or folder"),
        (("judge", SOUND, "--budget=speed <= 1"), "names no metric"),
        (("judge", SOUND, "--report=nowhere.jsonl"), "nowhere.jsonl"),
        (("perfetto", str(copy), "-o", str(copy)), "is one of the traces"),
    ):
        assert main(["trace", *words]) == 2
        assert why in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["trace", "show", SOUND, "--item=0"])
    assert "--item" in capsys.readouterr().err
    assert copy.read_bytes() == Path(SOUND).read_bytes()


def test_a_folder_for_perfetto(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.json"
    folder = str(Path(SOUND).parent)
    assert shown(capsys, "perfetto", folder, "-o", str(output)) == [str(output)]
    events = json.loads(output.read_bytes())["traceEvents"]
    assert {each["pid"] for each in events} == {1, 2}


def spoiled(trace: Trace, text: str) -> Trace:
    """Return a trace in which a server sends a harmful text."""
    quoted = json.dumps(text)[1:-1]
    records = [
        replace(each, text=each.text.replace("open", quoted).replace("sess-", quoted))
        if each.text
        else each
        for each in trace.records
    ]
    end = replace(trace.end, reason=text)
    return replace(
        trace, records=tuple(records), target=f"ws://{text}", version=text, end=end
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_server_cannot_control_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "hostile.jsonl"
    spoiled(read(Path(SOUND)), text).write(file)
    output = tmp_path / "out.json"
    for words in (
        ("show", str(file), "--all"),
        ("judge", str(file), "--budget=final_from_commit max <= 10ms, wer <= 0.1"),
        ("diff", str(file), SOUND),
        ("perfetto", str(file), "-o", str(output)),
    ):
        main(["trace", *words])
        for line in capsys.readouterr().out.split("\n"):
            assert line.isprintable(), (words[0], line)
            assert not line.lstrip().startswith(("::error", "##["))
    for event in json.loads(output.read_bytes())["traceEvents"]:
        assert event["name"].isprintable()


NAMES = st.sampled_from(["open-door", "other", "tail"])
TIMES = st.integers(0, 10**11)
FRAMES = [record.text or "" for record in (*read(Path(SOUND)).records, *OLD.records)]
RECORDS = st.builds(
    Record,
    st.sampled_from(Sender),
    TIMES,
    text=st.sampled_from(FRAMES) | st.text(max_size=30),
    due=st.none() | TIMES,
    woke=st.none() | TIMES,
    span=st.none() | st.builds(Span, NAMES, TIMES, TIMES),
    raw=st.booleans(),
)
SPOKEN = st.builds(
    Spoken,
    NAMES,
    st.floats(0, 100),
    digest=st.sampled_from(["", "0123"]),
    text=st.text(max_size=20),
    words=st.just(()),
    envelope=st.binary(max_size=5),
    speech=st.none() | st.just((0.1, 0.9)),
)
GENERATED = st.builds(
    Trace,
    st.sampled_from(Vantage),
    st.sampled_from(["vllm", "openai", "vosk", "deepgram", "sglang-omni"]),
    st.sampled_from([8_000, 16_000, 24_000]),
    st.text(max_size=20),
    st.just(OLD.started),
    st.none() | TIMES,
    st.lists(RECORDS, max_size=12).map(tuple),
    st.builds(End, st.sampled_from(Ending), TIMES, st.none() | st.just(1011)),
    spoken=st.lists(SPOKEN, max_size=2).map(tuple),
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(GENERATED, GENERATED)
def test_any_trace_gives_a_result_or_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one: Trace, other: Trace
) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    one.write(first)
    replace(other, dialect=one.dialect).write(second)
    for words in (
        ("show", str(first)),
        ("judge", str(first)),
        ("diff", str(first), str(second)),
        ("perfetto", str(first), str(second), "-o", str(tmp_path / "out.json")),
    ):
        capsys.readouterr()
        code = main(["trace", *words])
        out, error = capsys.readouterr()
        assert bool(out) == (code != 2)
        assert len(error.splitlines()) == (code == 2)


def test_a_replayed_session_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "replayed.jsonl"
    path.write_bytes(replace(read(Path(SOUND)), replayed=True).dumps())
    main(["trace", "judge", str(path), "--budget=wer <= 90%"])
    assert "\nreplayed: PASS (" in capsys.readouterr().out
    main(["trace", "show", str(path)])
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith(", vllm 0.33.0, replayed")
