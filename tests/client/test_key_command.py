"""The command that prints the API key: run once, and again when a key expires."""

from __future__ import annotations

import sys
import threading
import time
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
FAILING = COUNTING + "sys.exit(3 if len(sys.argv) == 2 or count > 1 else 0)"
WAITING = """
import pathlib, sys, time
first, begun, go = map(pathlib.Path, sys.argv[1:])
again = first.exists()
first.touch()
if again:
    begun.touch()
    until = time.monotonic() + 10
    while not go.exists() and time.monotonic() < until:
        time.sleep(0.01)
print("key-number-2" if again else "key-number-1")
"""


def counting(folder: Path) -> tuple[str, ...]:
    """A command that prints another key each time."""
    return sys.executable, "-c", COUNTING, str(folder / "count")


def failing(folder: Path, *, later: bool = False) -> tuple[str, ...]:
    """A command that fails, at once or from its second run on."""
    more = ("later",) if later else ()
    return sys.executable, "-c", FAILING, str(folder / "count"), *more


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
def test_a_failure_is_reported_without_the_output(
    monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr(key_command, "TIMEOUT", 0.5 if "sleep" in code else 30.0)
    command = KeyCommand((sys.executable, "-c", code), lambda key: None)
    with pytest.raises(InputError, match=said) as caught:
        _ = command.key
    assert str(caught.value).startswith("--realtime-api-key-command: the command pyth")
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_command_is_reported() -> None:
    command = KeyCommand(("/no/such/command-of-keys",), lambda key: None)
    with pytest.raises(InputError, match="command-of-keys cannot be run: No such file"):
        _ = command.key


def test_a_command_that_fails_is_not_run_again_at_once(tmp_path: Path) -> None:
    now = [100.0]
    command = KeyCommand(failing(tmp_path), lambda key: None, clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(InputError, match="ended with exit code 3"):
            _ = command.key
    assert (tmp_path / "count").read_text() == "1"
    now[0] += key_command.PAUSE
    with pytest.raises(InputError, match="ended with exit code 3"):
        _ = command.key
    assert (tmp_path / "count").read_text() == "2"


def test_a_failed_renewal_is_reported_each_time(tmp_path: Path) -> None:
    now = [100.0]
    words = failing(tmp_path, later=True)
    command = KeyCommand(words, lambda key: None, clock=lambda: now[0])
    key = command.key
    now[0] += key_command.PAUSE
    for _ in range(3):
        with pytest.raises(InputError, match="ended with exit code 3"):
            command.renew(key)
    assert command.key == key
    assert (tmp_path / "count").read_text() == "2"


def test_a_known_key_is_read_while_the_command_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(key_command, "PAUSE", 0.0)
    first, begun, go = (tmp_path / name for name in ("first", "begun", "go"))
    words = (sys.executable, "-c", WAITING, str(first), str(begun), str(go))
    command = KeyCommand(words, lambda key: None)
    assert command.key == "key-number-1"
    renewing = threading.Thread(target=command.renew, args=("key-number-1",))
    renewing.start()
    while renewing.is_alive() and not begun.exists():
        time.sleep(0.01)
    assert command.key == "key-number-1"
    assert renewing.is_alive()
    go.touch()
    renewing.join()
    assert command.key == "key-number-2"
