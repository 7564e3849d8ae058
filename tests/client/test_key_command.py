"""The command that prints the API key: run once, and again when a key expires."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_realtime_asr.client import key_command
from pytest_realtime_asr.client.key_command import KeyCommand
from pytest_realtime_asr.text.inputs import InputError

COUNTING = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
count = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(count))
print(f"key-number-{count}")
"""


def counting(folder: Path) -> tuple[str, ...]:
    """A command that prints another key each time."""
    return sys.executable, "-c", COUNTING, str(folder / "count")


def test_the_command_runs_at_most_once_a_minute(tmp_path: Path) -> None:
    now, learned = [100.0], list[str]()
    command = KeyCommand(counting(tmp_path), learned.append, clock=lambda: now[0])
    assert command.key == command.key == "key-number-1"
    assert not command.renew("key-number-1")  # the command has just been run
    now[0] += key_command.PAUSE
    assert command.renew("key-number-1")
    assert command.key == "key-number-2"
    assert command.renew("key-number-1")  # another session has renewed it
    assert not command.renew("key-number-2")
    assert learned == ["key-number-1", "key-number-2"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('hush-hush'); raise SystemExit(3)", "ended with exit code 3"),
        ("print()", "must print the key and nothing else"),
        ("print('hush-hush'); print('more')", "must print the key and nothing else"),
        ("print('hush-h\\xfcsh')", "must print the key and nothing else"),
        ("print('hush-hush', flush=True); import time; time.sleep(9)", "did not end"),
    ],
)
def test_a_failure_is_told_without_the_output(
    monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr(key_command, "TIMEOUT", 0.5 if "sleep" in code else 30.0)
    command = KeyCommand((sys.executable, "-c", code), lambda key: None)
    with pytest.raises(InputError, match=said) as caught:
        _ = command.key
    assert str(caught.value).startswith("--realtime-api-key-command: the command pyth")
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_command_that_is_not_there() -> None:
    command = KeyCommand(("/no/such/command-of-keys",), lambda key: None)
    with pytest.raises(InputError, match="command-of-keys cannot be run: No such file"):
        _ = command.key
