"""The command ``fake``: its address, and options that would have no effect."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.fake.faults import FAULTS, having, lacking, registry
from pytest_realtime_asr.fake.faults.registry import Needs
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser
from tests.support.letters import COMMIT, FINAL, LONG, UPDATE, Place
from tests.support.recordings import Sent, done, recorded
from tests.support.servers import CLIP

NAMES = (
    *("vllm", "openai", "openai:sglang", "openai-beta", "openai-beta:riva"),
    *("openai-beta:speaches", "sglang-omni", "vosk", "vosk:vosk-reset"),
    *("vosk:vosk-cpp", "deepgram", "deepgram:whisperlivekit-listen"),
)

# Faults that prove a requirement of one dialect, but have an effect in others too
_ANYWHERE = {
    *("answers-stray", "echoes", "reads-at-16000hz", "empty-frame-dies"),
    *("closes-idle-early", "ignores-keepalive", "two-finals", "early-text"),
    "refused-final-mutes",
}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--recogniser", "pocketsphinx", "--corpus", "bundled:english"],
            "--corpus: has no effect with --recogniser pocketsphinx, which recognises "
            "any speech; omit --corpus",
        ),
        (
            ["--fault", "same-item-ids"],
            "--fault same-item-ids: has no effect, since the dialect vllm has no "
            "items; omit the fault, or use --dialect openai or openai-beta",
        ),
        (
            ["--dialect", "openai:sglang", "--fault", "turn-loses"],
            "--fault turn-loses: has no effect, since the dialect openai:sglang has no "
            "turns that the server detects; omit the fault, or use --dialect openai or "
            "openai-beta",
        ),
        (
            ["--capacity-mode", "slow"],
            "--capacity-mode: has no effect without --capacity; add --capacity N, or "
            "omit the mode",
        ),
        (
            ["--fault", "slow-recovery"],
            "--fault slow-recovery: has no effect without --capacity; add --capacity "
            "N, or omit the fault",
        ),
        (
            ["--dialect", "openai", "--fault", "leaks"],
            "--fault leaks: has no effect, since the dialect openai has no gauge of "
            "open sessions; omit the fault, or use --dialect openai:sglang or vllm",
        ),
        (
            ["--dialect", "vosk", "--fault", "words-in-ms"],
            "--fault words-in-ms: has no effect, since the dialect vosk has no events "
            "like those of Deepgram's protocol; omit the fault, or use --dialect "
            "deepgram",
        ),
        (
            ["--replay-timing", "none"],
            "--replay-timing: has no effect without --replay; add --replay DIR, or "
            "omit the timing",
        ),
        (
            ["--replay", "/no-such-folder"],
            "/no-such-folder: there is no such folder; record sessions with "
            "--realtime-traces=/no-such-folder --realtime-trace-keep=all",
        ),
    ],
)
def test_an_option_without_effect_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fake", *words]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--recogniser", "scripted"],
        ["--word-delay", "1s"],
        ["--fault", "mute"],
        ["--capacity", "2"],
        ["--variety", "1"],
        ["--session-limit", "5s"],
    ],
)
def test_options_for_behaviour_are_refused_with_replay(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    recorded(CLIP, [Sent(done("right"), 10)]).write(path)
    assert main(["fake", "--replay", str(path), *words]) == 2
    told = capsys.readouterr().err
    assert f"error: {words[0]}: has no effect with --replay, which sends" in told


def _proving(name: str) -> set[str]:
    """Return the faults that prove the requirements of a dialect."""
    requirements = dialects.load(name).requirements
    proofs = [each.proof for each in requirements if each.proof is not None]
    return {fault for proof in proofs for fault in proof.faults}


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_that_proves_a_requirement_has_an_effect(name: str) -> None:
    dialect = dialects.load(name)
    faults = _proving(name)
    assert faults <= FAULTS.keys()
    assert {fault: lacking(fault, dialect) for fault in faults} == dict.fromkeys(faults)


def test_a_fault_that_proves_only_one_dialect_says_what_it_needs() -> None:
    proven = {name: _proving(name) for name in dialects.installed()}
    owners = {
        fault: [name for name, faults in proven.items() if fault in faults]
        for fault, declared in FAULTS.items()
        if declared.needs is None
    }
    alone = {fault for fault, names in owners.items() if len(names) == 1}
    assert alone == _ANYWHERE


@pytest.mark.parametrize(
    ("dialect", "others"),
    [
        ("vllm", "words-in-ms no-metadata skips-indexes word-times-in-ms foretells"),
        ("openai", "segments-overlap skips-indexes no-word-times accepts-any-model"),
        ("sglang-omni", "segments-overlap bad-usage cumulative restarts-on-begin"),
        ("vosk", "segments-overlap no-metadata accepts-any-option skips-indexes"),
        ("vosk", "again-loses codeless no-greeting same-id late-delta echo"),
        ("deepgram", "word-times-in-ms skips-indexes strict-fields odd-audio-closes"),
        ("deepgram:whisperlivekit-listen", "one-final-only shares-setup one-token"),
    ],
)
def test_a_fault_of_another_dialect_has_no_effect(dialect: str, others: str) -> None:
    loaded = dialects.load(dialect)
    assert [each for each in others.split() if lacking(each, loaded) is None] == []


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("no-final", dialects.installed()),
        ("closes-as-failed", ("deepgram", "vosk")),
        ("cumulative", ("openai", "openai-beta", "vllm")),
        ("accepts-any-option", ("deepgram", "sglang-omni")),
        ("created-twice", ("deepgram:whisperlivekit-listen",)),
        ("echo", ("vosk:vosk-reset",)),
    ],
)
def test_a_fault_of_several_dialects_is_usable_in_each(
    fault: str, names: tuple[str, ...]
) -> None:
    assert set(names) <= set(having(fault))


def test_faults_of_a_package_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    point = EntryPoint("theirs", "no_such_module", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    registry._import_installed.cache_clear()
    with pytest.raises(SystemExit):
        main(["fake", "--fault", "mute"])
    registry._import_installed.cache_clear()
    assert capsys.readouterr().err == (
        "error: argument --fault: the faults of the entry point theirs in the group "
        f"{registry.GROUP} cannot be imported from no_such_module: No module named "
        "'no_such_module'; see --help\n"
    )


def test_a_leak_needs_a_gauge_of_the_dialect() -> None:
    assert lacking("leaks", dialects.load("vllm")) is None
    assert lacking("leaks", dialects.load("openai:sglang")) is None
    assert lacking("leaks-requests", dialects.load("vllm")) is None
    assert lacking("leaks-requests", dialects.load("openai")) is Needs.RUNNING


def test_a_limit_on_audio_is_that_of_the_profile() -> None:
    assert lacking("drops-overlong", dialects.load("openai:sglang")) is None
    assert lacking("drops-overlong", dialects.load("openai")) is Needs.MOST


@pytest.mark.parametrize(
    ("host", "why"),
    [
        # Of the range for documentation (RFC 5737)
        ("192.0.2.1", "Cannot assign requested address|Can't assign .*"),
        ("no.such.host.invalid", "[^0-9]*"),
    ],
)
def test_an_address_of_another_machine(
    host: str,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        "pytest_realtime_asr.cli.fake.ScriptedRecogniser",
        lambda _: ScriptedRecogniser([]),
    )
    assert main(["fake", "--host", host, "--port", "0"]) == 2
    told = capsys.readouterr().err
    advice = "choose another --host, another port, or 0 for any free port"
    head = re.escape(f"error: --port: the server cannot listen on {host}:0 ")
    assert re.fullmatch(f"{head}\\(({why})\\); {advice}\n", told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("localhost", "localhost"), ("::1", "[::1]")],
)
def test_the_url_of_a_host_can_be_reached(host: str, shown: str) -> None:
    with FakeServer(["--corpus", "bundled:odd", "--host", host]) as server:
        assert server.url.startswith(f"http://{shown}:")
        assert server.traces() == ()


# The end by a signal

_UPDATE = {**UPDATE, "model": "scripted"}


@contextmanager
def speaking(*arguments: str) -> Iterator[tuple[FakeServer, Place]]:
    with FakeServer(["--corpus", "bundled:odd", *arguments]) as server:
        yield server, Place(int(server.url.rpartition(":")[2]))


@pytest.mark.slow
def test_a_signal_lets_utterances_finish() -> None:
    with speaking("--final-delay", "1s") as (server, place):

        async def run() -> None:
            idle = await place.open(configured=False)
            busy = await place.open(configured=False)
            await busy.send(_UPDATE, COMMIT, FINAL)
            await busy.rest()
            os.kill(server.pid, signal.SIGTERM)
            assert await idle.hear("no such event") is None
            assert idle.closed == 1001
            with pytest.raises(ConnectionRefusedError):
                await place.open()
            assert await busy.hear("transcription.done")
            await busy.hear("no such event")
            assert busy.closed == 1001

        asyncio.run(run())
        assert server._process.wait(LONG) == 0


@pytest.mark.slow
def test_a_second_signal_ends_the_server_at_once() -> None:
    with speaking() as (server, place):

        async def run() -> None:
            idle = await place.open(configured=False)
            busy = await place.open(configured=False)
            await busy.send(_UPDATE, COMMIT)
            await busy.rest()
            os.kill(server.pid, signal.SIGTERM)
            await idle.hear("no such event")
            assert idle.closed == 1001
            assert server._process.poll() is None  # it waits for the utterance
            os.kill(server.pid, signal.SIGTERM)
            await busy.hear("no such event")
            assert busy.closed == 1001
            assert not busy.all("transcription.done")

        asyncio.run(run())
        assert server._process.wait(LONG) == 0


@pytest.mark.slow
def test_the_end_of_the_lifeline_does_not_wait_for_an_utterance() -> None:
    with speaking() as (server, place):

        async def run() -> None:
            busy = await place.open(configured=False)
            await busy.send(_UPDATE, COMMIT)
            await busy.rest()
            assert server._process.stdin is not None
            server._process.stdin.close()
            await busy.hear("no such event")
            assert busy.closed == 1001

        asyncio.run(run())
        assert server._process.wait(LONG) == 0


@pytest.mark.slow
def test_the_help_states_the_host() -> None:
    command = [sys.executable, "-m", "pytest_realtime_asr", "fake", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--host ADDRESS" in told
