"""The folder through which workers share answers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pytest_realtime_asr.run.shared_answers import SharedAnswers


class Answer(msgspec.Struct):
    """An answer of a server."""

    text: str


def test_an_answer_replaces_the_earlier_one(tmp_path: Path) -> None:
    answers = SharedAnswers(tmp_path)
    assert answers.find(Answer, "target", "model") is None
    for text in ("first", "second"):
        answers.keep(Answer(text), "target", "model")
        assert answers.find(Answer, "target", "model") == Answer(text)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_worker_that_dies_while_it_writes_leaves_the_earlier_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = SharedAnswers(tmp_path)
    answers.keep(Answer("first"), "target")

    def die(path: Path, _: bytes) -> None:
        path.open("wb").close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", die)
    with pytest.raises(KeyboardInterrupt):
        answers.keep(Answer("second"), "target")
    assert answers.find(Answer, "target") == Answer("first")
