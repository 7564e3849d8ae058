"""The behaviours that vLLM's own tests of /v1/realtime demand, seen by a client."""

from urllib.request import urlopen

import pytest

BEGIN = {"type": "input_audio_buffer.commit"}
AUDIO = {"type": "input_audio_buffer.append", "audio": "AAAA" * 400}
CASES = {  # the messages of the client, and the codes of the errors that it gets
    "teardown": ([], []),
    "abort": ([BEGIN, AUDIO], []),
    "no audio": ([BEGIN, BEGIN | {"final": True}], []),
    "unknown model": ([{"type": "session.update", "model": "?"}], ["model_not_found"]),
    "idle timeout": ([BEGIN, AUDIO], ["idle_timeout"]),
    "queue cap": ([AUDIO] * 300, ["buffer_full"]),
}


def gauges(session):
    page = "http" + session.trace.target[2:].replace("v1/realtime", "metrics")
    return [line for line in urlopen(page) if b"_running" in line or b"_active" in line]


@pytest.mark.parametrize(("messages", "codes"), CASES.values(), ids=CASES)
def test_server_tells_and_frees(realtime, corpus, messages, codes):
    with realtime.connect() as session:
        before = gauges(session)
        for message in messages:
            session.send_raw(message)
        for code in codes:
            assert session.expect("error", timeout=35).code == code
    with realtime.connect() as other:
        assert other.transcribe(corpus["turn-right"]).text
        assert gauges(other) == before


def test_optional_fields(realtime, corpus):
    with realtime.connect(options={"language": "en", "prompt": "robot"}) as session:
        assert session.transcribe(corpus["turn-right"]).text
