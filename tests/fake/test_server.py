"""The fake server: its faults, its HTTP routes, its traces of clients, its command."""

from __future__ import annotations

import asyncio
import random
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import trustme
from websockets.asyncio.client import connect

from pytest_realtime_asr import audio, corpus, dialects
from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects.vllm.events import Done, Error
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.fake.recognisers.recogniser import RecognisedWord
from pytest_realtime_asr.requirements.violations import observe
from pytest_realtime_asr.trace.records import Ending, Sender, Trace, Vantage
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.servers import BRIEF, CLIP, SOUND, VLLM, faking, plan

ENGLISH = ("--corpus", "bundled:english")
TURN = corpus.load("bundled:english")["turn-right"]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with FakeServer([*ENGLISH, "--final-delay", "20ms", "--seed", "1"]) as fake:
        yield fake


def get(url: str, **headers: str) -> tuple[int, bytes]:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=headers)
    try:
        with direct.open(request, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


# Faults


def two(
    loop: Loop, url: str, *, raw: Sequence[object] = (), wait: float = 10.0
) -> Live:
    """Run a session with raw frames and then two utterances, until it is lost.

    The server may be silent for ``wait`` s.
    """
    live = Live(loop, plan(url, limits=Limits(5, wait, wait, 10)))

    async def talk() -> None:
        try:
            await live.open()
            await live.configure()
            for frame in raw:
                await live.send_raw(frame)  # type: ignore[arg-type]
                await live.expect("error")
            await live.transcribe(SOUND, "one")
            await asyncio.sleep(0.1)
            await live.transcribe(SOUND, "two")
            await asyncio.sleep(0.1)
        except Lost:
            pass
        finally:
            await live.close()

    loop.run(talk())
    return live


def violations(trace: Trace) -> set[str]:
    """Return the ids of the requirements that the trace violates."""
    part = dialects.part(VLLM, trace)
    found = observe(VLLM.requirements, part)
    return {violation.requirement.id for violation in found}


def sent(trace: Trace) -> list[str]:
    return [r.text or "" for r in trace.records if r.sender is Sender.SERVER]


def final(live: Live, item: int) -> str:
    found = live.timeline.item(item).final
    return "" if found is None else found.text


TEXT = TURN.text
CHECKS: dict[str, Callable[[Live], bool]] = {
    "mute": lambda live: sent(live.trace) == [],
    "nameless": lambda live: '"id":""' in sent(live.trace)[0],
    "created-twice": lambda live: (
        ["created" in frame for frame in sent(live.trace)[:3]] == [True, True, False]
    ),
    "tolerant": lambda live: not any('"error"' in frame for frame in sent(live.trace)),
    "lost-delta": lambda live: (
        '"delta":" right"' in sent(live.trace)[1] and final(live, 1) == TEXT
    ),
    "two-finals": lambda live: (
        sum("transcription.done" in frame for frame in sent(live.trace)) == 4
    ),
    "no-final": lambda live: live.trace.end.how is Ending.DEADLINE,
    "late-delta": lambda live: '"delta":" again"' in sent(live.trace)[-1],
    "bad-usage": lambda live: '"prompt_tokens":-1' in sent(live.trace)[-1],
    "echo": lambda live: final(live, 0) == TEXT and final(live, 1) == f"{TEXT} {TEXT}",
    "no-json": lambda live: sent(live.trace)[1] == "this is {no JSON",
    "novelty": lambda live: sent(live.trace)[1] == '{"type":"session.novelty"}',
    "flood": lambda live: live.trace.end.how is Ending.LIMIT,
    "close": lambda live: live.trace.end.code == 1011,
    "reset": lambda live: live.trace.end.how is Ending.BROKEN,
}
BROKEN = {  # requirements on one session; some faults may violate more
    "mute": {"first-event"},
    "nameless": {"first-event"},
    "created-twice": {"order"},
    "tolerant": set[str](),
    "lost-delta": {"deltas-add-up"},
    "two-finals": {"order", "one-final", "deltas-add-up"},
    "no-final": {"one-final"},
    "late-delta": {"order", "deltas-add-up"},
    "bad-usage": {"usage-adds-up"},
    "echo": set[str](),
    "no-json": {"well-formed"},
    "novelty": {"known-events"},
    "flood": set[str](),
    "close": set[str](),
    "reset": set[str](),
}


@pytest.mark.parametrize("name", BROKEN)
def test_fault(loop: Loop, name: str) -> None:
    raw = [{"type": "novelty.ours"}] if name == "tolerant" else []
    with faking(name) as (url, fake):
        wait = 0.3 if name in ("mute", "no-final", "tolerant") else 10.0
        live = two(loop, url, raw=raw, wait=wait)
    (theirs,) = fake.traces()
    assert CHECKS[name](live)
    assert violations(live.trace) >= BROKEN[name]
    assert violations(theirs) <= {"client-known-events", "client-order"}


@pytest.mark.slow
def test_a_deaf_server_stops_reading_audio(loop: Loop) -> None:
    with faking("deaf") as (url, fake):
        held = plan(url, pace=0.0, limits=BRIEF)
        take = loop.run(run_utterance(Live(loop, held), CLIP))
    (theirs,) = fake.traces()
    assert not take.lost, take.reason
    took = take.metrics["final_from_commit"]
    assert took is not None
    assert took >= 2900  # it did not read after the fifth frame
    heard = [r.at for r in theirs.records if r.span]
    assert max(b - a for a, b in pairwise(heard)) >= 2.9e9


def test_a_correct_server_violates_nothing(loop: Loop) -> None:
    with faking() as (url, fake):
        live = two(loop, url)
    assert violations(live.trace) == set()
    assert [final(live, 0), final(live, 1)] == [TEXT, TEXT]
    (theirs,) = fake.traces()
    assert violations(theirs) == set()
    assert theirs.vantage is Vantage.SERVER
    assert sent(theirs) == sent(live.trace)
    assert (theirs.end.how, theirs.end.code) == (Ending.CLOSED_BY_PEER, 1000)


def test_faults_can_be_combined(loop: Loop) -> None:
    with faking("nameless", "bad-usage") as (url, _):
        live = two(loop, url)
    assert violations(live.trace) == {"first-event", "usage-adds-up"}


@pytest.mark.parametrize(("seconds", "tokens"), [(0.01, 1), (0.08, 1), (0.4, 5)])
def test_the_usage_counts_at_least_one_token_for_audio(
    loop: Loop, seconds: float, tokens: int
) -> None:
    clip = Utterance("short", "", audio.silence(seconds))
    with faking() as (url, _):
        take = loop.run(run_utterance(Live(loop, plan(url)), clip))
    assert take.usage is not None
    assert take.usage.prompt == tokens


def test_usage_counts_audio_and_words(loop: Loop) -> None:
    with faking() as (url, _):
        take = loop.run(run_utterance(Live(loop, plan(url)), CLIP))
    words = len(TEXT.split())
    audio = round(SOUND.seconds * 12.5)
    assert take.usage == Usage(audio, words, audio + words)


# HTTP


def test_routes(loop: Loop) -> None:
    with faking(key="right", models=("one", "two")) as (url, _):
        given = {"Authorization": "Bearer right"}
        assert get(f"{url}/health") == (200, b"")
        for route in ("/v1/models", "/fake/traces", "/v1/realtime", "/v1/other"):
            assert get(url + route)[0] == 401
            assert get(url + route, Authorization="Bearer wrong")[0] == 401
            assert get(url + route, Authorization="right")[0] == 401
        status, body = get(f"{url}/v1/models?limit=1", **given)
        assert status == 200
        rows = msgspec.json.decode(body)["data"]
        assert [row["id"] for row in rows] == ["one", "two"]
        assert get(f"{url}/other")[0] == 404  # only paths below /v1 need the key
        assert get(f"{url}/v1/other", **given)[0] == 404
        assert get(f"{url}/fake/traces", **given) == (200, b"[]")
        assert get(f"{url}/v1/realtime", **given)[0] == 426  # it needs an upgrade


def test_version() -> None:
    with faking(key="a key of a server") as (url, _):
        assert get(f"{url}/version") == (200, b'{"version":"0.33.0"}')
    with faking(version="1.2.3rc1") as (url, _):
        assert get(f"{url}/version") == (200, b'{"version":"1.2.3rc1"}')
    with faking(version="") as (url, _):
        assert get(f"{url}/version")[0] == 404
    # A hosted service states no version.
    with faking(dialect=dialects.load("openai")) as (url, _):
        assert get(f"{url}/version")[0] == 404


@pytest.mark.parametrize(
    ("dialect", "names"),
    [
        ("openai", []),
        ("openai:sglang", ["sglang:num_running_reqs"]),
        ("openai-beta:riva", []),
    ],
)
def test_metrics_have_the_names_of_the_dialect(dialect: str, names: list[str]) -> None:
    with faking(dialect=dialects.load(dialect)) as (url, _):
        lines = get(f"{url}/metrics")[1].decode().splitlines()
    found = [line.split()[0] for line in lines if not line.startswith("#")]
    process = ["process_start_time_seconds", "process_resident_memory_bytes"]
    assert found == [*process, *names]


def test_metrics(loop: Loop) -> None:
    def metrics(url: str) -> dict[str, float]:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{url}/metrics", timeout=10) as response:
            kind = response.headers["Content-Type"]
            assert kind == "text/plain; version=0.0.4; charset=utf-8"
            lines = response.read().decode().splitlines()
        rows = [line.split() for line in lines if not line.startswith("#")]
        assert len(lines) == 3 * len(rows)
        return {name: float(value) for name, value in rows}

    before = time.time()
    with faking(key="a key of a server") as (url, _):
        headers = {"Authorization": "Bearer a key of a server"}
        at_first = metrics(url)
        lives = [Live(loop, plan(url, headers=headers)) for _ in range(2)]
        for live in lives:
            loop.run(live.open())
        loop.run(lives[0].close())
        time.sleep(0.05)
        at_last = metrics(url)
        loop.run(lives[1].close())
    start = at_first.pop("process_start_time_seconds")
    memory = "process_resident_memory_bytes"
    assert at_last.pop(memory) - at_first.pop(memory) == 2**20  # of one open session
    assert before <= start <= time.time()
    active, total, running = (
        "vllm:websocket_connections_active",
        "vllm:websocket_connections_total",
        "vllm:num_requests_running",
    )
    none = {running: 0}  # no session has an utterance
    assert at_first == {active: 0, total: 0, **none}
    assert at_last == {"process_start_time_seconds": start, active: 1, total: 2, **none}


def test_seed_gives_the_ids(loop: Loop) -> None:
    def ids(seed: int | None) -> list[str]:
        with faking(seed=seed) as (url, _):
            lives = [Live(loop, plan(url)) for _ in range(2)]
            for live in lives:
                loop.run(live.open())
                loop.run(live.close())
        return [live.timeline.session for live in lives]

    first = ids(7)
    assert first == ids(7)
    assert first[0] != first[1]
    assert all(name.startswith("sess-") for name in first)
    assert ids(None) != ids(None)


def test_traces_have_no_key(loop: Loop) -> None:
    with faking(key="hush-hush") as (url, fake):
        live = Live(loop, plan(url, headers={"Authorization": "Bearer hush-hush"}))
        loop.run(live.open())
        loop.run(live.send_raw({"type": "hush-hush"}))
        loop.run(live.expect("error"))
        loop.run(live.close())
    (theirs,) = fake.traces()
    assert b"hush" not in theirs.dumps()


# Many sessions


@pytest.mark.slow
def test_sessions_do_not_mix(loop: Loop, fake: FakeServer) -> None:
    clips = list(corpus.load("bundled:english"))[:8]
    random.Random(3).shuffle(clips)

    async def all_of_them() -> list[Transcription]:
        held = plan(fake.url, model="scripted", pace=4.0)
        return await asyncio.gather(
            *(run_utterance(Live(loop, held), clip) for clip in clips)
        )

    takes = loop.run(all_of_them())
    assert [take.reason for take in takes] == [""] * len(clips)
    assert [t.text for t in takes] == [clip.text for clip in clips]
    assert len({take.session for take in takes}) == len(clips)
    assert all(take.violations == () for take in takes)


# Requirements on its clients


def broken(loop: Loop, *frames: dict[str, object] | str | bytes) -> set[str]:
    """Return the ids of the requirements that a client with these frames violates."""
    with FakeServer([*ENGLISH]) as fake:
        live = Live(loop, plan(fake.url))
        loop.run(live.open())
        for frame in frames:
            loop.run(live.send_raw(frame))
            loop.run(live.expect("error"))
        loop.run(live.close())
        deadline = time.monotonic() + 5
        while not (traces := fake.traces()) or traces[0].end.code is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(traces[0].records) == 1 + 2 * len(frames)
        return {violation.requirement.id for violation in fake.violations()}


@pytest.mark.slow
def test_commit_before_update_is_the_clients_fault(loop: Loop) -> None:
    found = broken(loop, {"type": "input_audio_buffer.commit"})
    assert found == {"client-order"}


@pytest.mark.slow
def test_unknown_and_malformed_are_the_clients_fault(loop: Loop) -> None:
    found = broken(loop, {"type": "novelty"}, "no JSON", b"binary")
    assert found == {"client-known-events", "client-well-formed"}


def test_the_client_of_this_package_violates_nothing(
    loop: Loop, fake: FakeServer
) -> None:
    take = loop.run(run_utterance(Live(loop, plan(fake.url, model="scripted")), CLIP))
    assert not take.lost
    assert fake.violations() == ()
    name = take.session
    (theirs,) = [t for t in fake.traces() if name in "".join(sent(t))]
    assert sent(theirs) == sent(take.trace)
    heard = [r.span for r in theirs.records if r.span is not None]
    assert heard[-1].stop == SOUND.samples


def test_audio_before_its_utterance_is_not_lost(loop: Loop) -> None:
    """Audio before the commit belongs to the utterance that the commit starts."""
    pcm = SOUND.pcm
    with faking() as (url, _):
        live = Live(loop, plan(url))
        loop.run(live.open())
        loop.run(live.configure())
        for start in range(0, len(pcm), 3200):
            part = VLLM.caller("m", {}).append(pcm[start : start + 3200]).decode()
            loop.run(live.send_raw(part))
        loop.run(live.send_raw({"type": "input_audio_buffer.commit"}))
        loop.run(live.send_raw({"type": "input_audio_buffer.commit", "final": True}))
        done = loop.run(live.expect("transcription.done"))
        loop.run(live.close())
    assert isinstance(done, Done)
    assert done.text == TEXT


# A recogniser that fails


class _Failing:
    rate = 16000

    async def listen(self) -> _Failing:
        return self

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        raise ArithmeticError("the recogniser has a bug")

    async def finish(self) -> Sequence[RecognisedWord]:
        return ()

    async def close(self) -> None:
        pass


def test_recogniser_that_fails(loop: Loop, capfd: pytest.CaptureFixture[str]) -> None:
    with faking(recogniser=_Failing()) as (url, _):
        take: Transcription = loop.run(run_utterance(Live(loop, plan(url)), CLIP))
        found: Transcription = take
    assert take.lost == "closed"
    assert "closed with code 1011: the recogniser failed" in take.reason
    assert found.trace.end.code == 1011
    assert "ArithmeticError: the recogniser has a bug" in capfd.readouterr().err


def test_frames_before_a_close_frame_are_read() -> None:
    """There are more than the library reads ahead; the server answers 44 of them."""
    append = b'{"type":"input_audio_buffer.append","audio":"AAAAAAAA"}'

    async def talk(url: str) -> None:
        address = url.replace("http", "ws", 1) + "/v1/realtime"
        connection = await connect(address, compression=None)
        await connection.recv()
        for _ in range(300):
            connection.protocol.send_text(append)
        connection.protocol.send_close(1000)
        connection.transport.write(b"".join(connection.protocol.data_to_send()))
        await connection.wait_closed()

    with faking("caps-queue") as (url, fake):
        asyncio.run(talk(url))
        for _ in range(3000):
            (trace,) = fake.traces()
            if trace.end.how is Ending.CLOSED_BY_PEER:
                break
            time.sleep(0.01)
    assert trace.end.how is Ending.CLOSED_BY_PEER
    heard = [each for each in trace.records if each.sender is Sender.CLIENT]
    assert len(heard) == 300


def test_client_that_vanishes(loop: Loop) -> None:
    with faking(final_delay=0.3) as (url, fake):
        live = Live(loop, plan(url))
        loop.run(live.open())
        loop.run(live.configure())
        future = loop.submit(live.transcribe(SOUND, "turn-right"))
        time.sleep(0.1)
        future.cancel()

        async def cut() -> None:
            live._abort()

        loop.run(cut())
        loop.run(live.close())
        assert live.trace.end.how is Ending.CANCELLED
        again = loop.run(run_utterance(Live(loop, plan(url)), CLIP))
        assert not again.lost  # the server still works
    first, second = fake.traces()
    assert first.end.how is Ending.BROKEN
    assert second.end.how is Ending.CLOSED_BY_PEER


def test_each_refusal_has_its_code(loop: Loop) -> None:
    with faking() as (url, _):
        live = Live(loop, plan(url))
        loop.run(live.open())
        for frame, code in (
            ({"type": "session.update"}, "invalid_event"),
            ({"type": "session.update", "model": "x"}, "model_not_found"),
            ({"type": "input_audio_buffer.append", "audio": "%"}, "invalid_audio"),
            ({"type": "input_audio_buffer.commit"}, "model_not_validated"),
            ("[]", "processing_error"),
        ):
            loop.run(live.send_raw(frame))
            error = loop.run(live.expect("error"))
            assert isinstance(error, Error)
            assert error.code == code
        loop.run(live.close())


# The command


@contextmanager
def command(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_realtime_asr", "fake", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command(number: signal.Signals) -> None:
    with command("--port", "0", *ENGLISH) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert get(f"{url}/health")[0] == 200
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""
        assert process.stderr.read() == ""


@pytest.mark.slow
def test_command_with_tls_and_key(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    monkeypatch.setenv("FAKE_KEY", "hush")
    files = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with command("--port", "0", "--api-key-env", "FAKE_KEY", *files, *ENGLISH) as it:
        assert it.stdout is not None
        url = it.stdout.readline().strip()
        assert url.startswith("https://127.0.0.1:")
        held = plan(url, tls=trusting, model="scripted")
        refused = loop.run(run_utterance(Live(loop, held), CLIP))
        assert refused.trace.end.code == 401
        given = {"Authorization": "Bearer hush"}
        held = plan(url, tls=trusting, headers=given, model="scripted")
        assert loop.run(run_utterance(Live(loop, held), CLIP)).text == TEXT
        stranger = loop.run(run_utterance(Live(loop, plan(url)), CLIP))
        assert "the certificate cannot be verified" in stranger.reason
        it.terminate()
        assert it.wait(10) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--corpus", "no-such.jsonl"], "no-such.jsonl: there is no such file"),
        (
            ["--dialect", "klingon"],
            f"unknown dialect 'klingon'; choose from {', '.join(dialects.installed())}",
        ),
        (["--api-key-env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (["--tls-cert", "no-such.pem"], "no-such.pem"),
        (["--tls-key", "no-such.key"], "--tls-cert"),
    ],
)
def test_invalid_argument_of_the_command_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = [] if "--corpus" in arguments else list(ENGLISH)
    assert main(["fake", "--port", "0", *extra, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--fault", "mut"],
            "--fault: there is no fault 'mut'; the closest names are mute, ",
        ),
        (["--session-limit", "0s"], "--session-limit: '0s' is not a positive time"),
        (["--word-delay", "3"], "'3' is not a duration"),
        (["--port", "many"], "--port: 'many' is not a whole number from 0"),
        (["--port", "65536"], "--port: '65536' is not a whole number from 0 to 65535"),
        (["--port=-1"], "--port: '-1' is not a whole number from 0"),
        (["--recogniser", "ear"], "invalid choice"),
        (["--capacity", "0"], "--capacity: '0' is not a whole number from 1 to"),
        (["--capacity", "1", "--capacity-mode", "stop"], "invalid choice: 'stop'"),
    ],
)
def test_invalid_option_of_the_command_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fake", *arguments])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_port_that_is_taken(
    fake: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    port = fake.url.rpartition(":")[2]
    assert main(["fake", "--port", port, *ENGLISH]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(
        f"error: --port: the server cannot listen on 127.0.0.1:{port} (Address already"
    )
    assert printed.endswith("; choose another port, or 0 for any free port\n")
