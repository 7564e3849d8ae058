"""The client gets the right text, reports errors, and keeps the protocol itself."""

import pytest
from client import transcribe
from websockets.exceptions import ConnectionClosed


@pytest.fixture
def audio(corpus):
    return corpus["turn-right"].audio.resample(16_000).pcm


def test_a_correct_server(fake_server, corpus, audio):
    server = fake_server(corpus="bundled:english", final_delay="10ms")
    text = transcribe(server.url, "scripted", audio)
    assert text == corpus["turn-right"].text
    with pytest.raises(RuntimeError, match="model"):
        transcribe(server.url, "no-such-model", audio)
    assert server.violations() == ()  # what the client sent keeps the protocol


def test_a_lost_connection(fake_server, audio):
    server = fake_server(corpus="bundled:english", faults="reset")
    with pytest.raises(ConnectionClosed):
        transcribe(server.url, "scripted", audio)
