"""Real clients get the right text from the fake server, which finds their violations.

Each client runs in its own environment. The page docs/interop.md describes its frames;
these tests fail when a line of the page is no longer true.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from drive import KEY
from environments import CLIENTS, NODE, missing, place, program, wanted

from pytest_realtime_asr import audio, corpus, dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.trace.records import Record, Sender, Trace

ASKED = "CLIENTS_INTEROP"
COMMAND = (
    'pip install -e ".[test]" && python tests/interop/clients/environments.py && '
    f"{ASKED}=1 pytest -n 0 tests/interop/clients"
)
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not os.environ.get(ASKED), reason=f"to run it: {COMMAND}"),
]

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs" / "interop.md").read_text()
SECRET = "clients-key-1234"
PATIENCE = 120  # s for a client to start, to speak and to end
CLIPS = corpus.load("bundled:english")
SPOKEN = (CLIPS["turn-right"], CLIPS["open-door"])
TEXTS = [clip.text for clip in SPOKEN]
MODELS = (  # the clients' own, which stand in their code
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
)
APPEND = "input_audio_buffer.append"
AUDIO = "audio"  # in binary frames


@dataclass(frozen=True)
class Came:
    """The output of a client, and its sessions and violations as the fake saw them."""

    told: Mapping[str, Any]
    sessions: tuple[Trace, ...]
    broken: tuple[str, ...]

    @property
    def session(self) -> Trace:
        """The only session."""
        (session,) = self.sessions
        return session


def serving(
    *arguments: str, dialect: str = "openai", models: Sequence[str] = MODELS
) -> FakeServer:
    words = ["--corpus", "bundled:english", *arguments]
    words += [word for model in models for word in ("--model", model)]
    return FakeServer([*words, "--word-delay", "50ms"], key=SECRET, dialect=dialect)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving() as server:
        yield server


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    """Files with the two clips."""
    return [_file(tmp_path / f"{clip.id}.wav", clip.audio) for clip in SPOKEN]


def _file(path: Path, sound: Audio) -> str:
    audio.write(path, sound)
    return str(path)


def run(client: str, command: Sequence[object], **variables: str) -> str:
    """What a client printed; fails if the client is missing or fails."""
    if missing(client):
        pytest.fail(missing(client), pytrace=False)
    with subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, KEY: SECRET, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        late = ""
        try:
            printed, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            late = f", after {PATIENCE} s, by force"
        finally:
            with contextlib.suppress(ProcessLookupError):  # its workers may outlive it
                os.killpg(process.pid, signal.SIGKILL)
        if late:
            printed, errors = process.communicate()
    code = process.returncode
    assert code == 0, f"{client} ended with {code}{late}: {errors}"
    return printed


def drive(server: FakeServer, client: str, mode: str, files: Sequence[str]) -> Came:
    """Run the driver of a client with these files."""
    script = HERE / f"drive_{client}.py"
    printed = run(client, [program(client), script, server.url, mode, *files])
    return came(server, json.loads(printed.splitlines()[-1]))


def came(server: FakeServer, told: Mapping[str, Any]) -> Came:
    broken = tuple(each.requirement.id for each in server.violations())
    return Came(told, server.traces(), broken)


def outline(trace: Trace) -> str:
    """What the client sent, in order; appends in a row are one line."""
    dialect = dialects.load(trace.dialect)
    lines: list[str] = []
    audio: list[Record] = []
    for record in trace.records:
        if record.sender is not Sender.CLIENT:
            continue
        move = dialect.parse(record).move
        if move in (APPEND, AUDIO):
            audio.append(record)
            continue
        lines += _appends(audio, trace.rate)
        audio = []
        lines.append(_said(record))
    return "\n".join([*lines, *_appends(audio, trace.rate)])


def _appends(records: Sequence[Record], rate: int) -> list[str]:
    """One line for appends: the size of most of them, and how fast they came."""
    if not records:
        return []
    sizes = list(map(_samples, records))
    # Where the fake detects turns, a span is what it put into the turn at this frame.
    own = [size for r, size in zip(records, sizes, strict=True) if r.span is None]
    usual = statistics.mode(own or sizes)
    pace = sum(sizes) / rate / max(1e-3, (records[-1].at - records[0].at) / 1e9)
    how = "in real time" if 0.7 < pace < 1.4 else "at once" if pace > 5 else f"{pace}"
    name = APPEND if records[0].data is None else AUDIO
    return [f"{name}: pieces of {1000 * usual / rate:.0f} ms, {how}"]


def _samples(record: Record) -> int:
    if record.span is not None:
        return record.span.stop - record.span.start
    return len(base64.b64decode(json.loads(record.text or "null")["audio"])) // 2


def _said(record: Record) -> str:
    event = json.loads(record.text or "null")
    kind = event.pop("type")
    return f"{kind} {json.dumps(event, sort_keys=True)}" if event else str(kind)


def section(client: str) -> str:
    """The section of the page on a client."""
    (found,) = re.findall(rf"^## {client}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return str(found)


def agrees(client: str, found: Came) -> None:
    """Compare a session with the page, which shows what the client sent."""
    text = section(client)
    assert found.told["version"] == wanted(client)
    assert f"{CLIENTS[client]} {wanted(client)}" in text
    assert f"| {wanted(client)} |" in PAGE
    for trace in found.sessions:
        assert f"```text\n{outline(trace)}\n```" in text


@pytest.mark.parametrize("mode", ["local", "server"])
def test_pipecat(server: FakeServer, clips: list[str], mode: str) -> None:
    found = drive(server, "pipecat", mode, clips)
    assert found.told["texts"] == TEXTS
    assert found.told["errors"] == []
    assert found.broken == ()
    agrees("pipecat", found)
    # Each partial is the piece that was added, and not the text so far.
    assert "".join(found.told["partials"]) == "".join(TEXTS)


@pytest.mark.parametrize("mode", ["local", "server"])
def test_livekit(server: FakeServer, clips: list[str], mode: str) -> None:
    found = drive(server, "livekit", mode, clips)
    assert found.told["texts"] == TEXTS
    assert found.broken == ()
    agrees("livekit", found)


def test_livekit_loses_speech_without_a_pause_after_it(
    server: FakeServer, tmp_path: Path
) -> None:
    clip = SPOKEN[0]
    end = clip.words[-1].end
    file = _file(tmp_path / "cut.wav", clip.audio.cut(0, end))
    found = drive(server, "livekit", "ended", [file])
    assert found.told["texts"] == []
    assert "input_audio_buffer.commit" not in outline(found.session)


def test_pipecat_reconnects_after_each_error(server: FakeServer) -> None:
    found = drive(server, "pipecat", "refused", [])
    assert len(found.sessions) == 3
    assert found.told["errors"][-1].endswith("3 times immediately after connecting")


def test_livekit_ends_after_an_error(server: FakeServer) -> None:
    found = drive(server, "livekit", "refused", [])
    assert len(found.sessions) == 1
    (error,) = found.told["errors"]
    assert "'unheard-of' does not exist" in error


@pytest.mark.parametrize("mode", ["manual", "both", "server"])
def test_openai_for_node(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    trusted, chain, key = (str(tmp_path / f"{n}.pem") for n in ("ca", "chain", "key"))
    authority.cert_pem.write_to_path(trusted)
    issued.private_key_and_cert_chain_pem.write_to_path(chain)
    issued.private_key_pem.write_to_path(key)
    files = [tmp_path / f"{clip.id}.pcm" for clip in SPOKEN]
    for clip, file in zip(SPOKEN, files, strict=True):
        file.write_bytes(clip.audio.resample(24000).pcm)
    with serving("--tls-cert", chain, "--tls-key", key) as server:
        monkeypatch.setenv("SSL_CERT_FILE", trusted)  # for what we ask the server
        script = HERE / "drive_openai.mjs"
        command = ["node", script, place(NODE), server.url, mode, *files]
        told = run(NODE, command, NODE_EXTRA_CA_CERTS=trusted)
        found = came(server, json.loads(told))
    assert found.told["texts"] == TEXTS
    assert found.told["query"] == "?model=gpt-4o-transcribe"
    assert found.broken == ()
    agrees(NODE, found)


def test_guidellm(clips: list[str], tmp_path: Path) -> None:
    spoken, wanted = [*clips, clips[0]], [*TEXTS, TEXTS[0]]
    data, report = tmp_path / "data.jsonl", tmp_path / "report.json"
    data.write_text("".join(json.dumps({"audio": clip}) + "\n" for clip in spoken))
    with serving(dialect="vllm", models=()) as server:
        backend = f"kind=openai_websocket,target={server.url},api_key={SECRET}"
        command = [program("guidellm", "guidellm"), "run", "--backend", backend]
        command += ["--profile", "kind=synchronous", "--disable-console"]
        command += ["--constraint", f"kind=max_requests,count={len(spoken)}"]
        command += ["--data", f"kind=json_file,path={data}"]
        command += ["--output", f"kind=json,path={report}"]
        run("guidellm", command, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hf"))
        told = json.loads(report.read_text())
        (benchmark,) = told["benchmarks"]
        texts = [row["output"] for row in benchmark["requests"]["successful"]]
        version = told["metadata"]["guidellm_version"]
        found = came(server, {"version": version, "texts": texts})
    assert texts in (wanted, wanted[:-1])  # it may forget the last one
    dialect = dialects.load("vllm")
    assert [dialects.read(dialect, trace).text for trace in found.sessions] == wanted
    assert found.broken == ()
    agrees("guidellm", found)


@pytest.mark.parametrize("mode", ["finalize", "close"])
def test_deepgram(clips: list[str], mode: str) -> None:
    with serving(dialect="deepgram", models=("nova-3",)) as server:
        found = drive(server, "deepgram", mode, clips)
        assert found.told["texts"] == TEXTS
        assert "ListenV1Results" in found.told["events"]
        assert set(found.told["events"]) <= {"ListenV1Results", "ListenV1Metadata"}
        assert found.broken == ()
        assert len(found.sessions) == (1 if mode == "finalize" else 2)
        agrees("deepgram", found)


def test_deepgram_reports_a_model_that_is_refused() -> None:
    with serving(dialect="deepgram", models=("nova-3",)) as server:
        found = drive(server, "deepgram", "refused", [])
    assert found.told["errors"] == [400]
    assert found.sessions == ()


def test_a_missing_client_is_reported_with_the_command_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLIENTS_FOLDER", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match=r"environments\.py pipecat"):
        run("pipecat", [sys.executable, "-c", ""])


def test_missing_ffmpeg_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLIENTS_FOLDER", str(tmp_path))
    python = program("guidellm")
    python.parent.mkdir(parents=True)
    (place("guidellm") / "made").touch()
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    assert missing("guidellm") == ""
    python.write_text("#!/bin/sh\nexit 1\n")
    assert "install the libraries of ffmpeg" in missing("guidellm")


def test_a_client_that_does_not_end_is_stopped_with_its_workers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE", 0.5)
    monkeypatch.setattr(sys.modules[__name__], "missing", lambda client: "")
    # Without the end of the worker, which holds the pipe, this would take a minute.
    with pytest.raises(AssertionError, match="by force: said"):
        run("pipecat", ["sh", "-c", "echo said >&2; sleep 60 & sleep 60"])
