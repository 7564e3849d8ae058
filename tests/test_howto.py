"""The commands of the how-to pages run on the fake server, or are valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements import known_failures
from tests.support.paths import ROOT

FOLDER = ROOT / "docs/howto"
PAGES = {  # by name; a command has one line
    path.stem: re.sub(r"\\\n +", "", path.read_text())
    for path in sorted(FOLDER.glob("*.md"))
}
COMMANDS = {
    command: page
    for page, text in PAGES.items()
    for command in re.findall(r"(?:^|`)(pytest [^`\n]*-[^`\n]*)", text, re.MULTILINE)
    if "--realtime-target" in command
}
LOCAL = [command for command in COMMANDS if "--realtime-target=fake" in command]
REMOTE = [  # test_corpora_guide has the others
    command
    for command, page in COMMANDS.items()
    if command not in LOCAL and page != "corpora"
]
FASTER = ("--realtime-pace=8", "--realtime-warmup=0")
SERVERS = (ROOT / "docs/servers.md").read_text()


def block(page: str, kind: str, word: str) -> str:
    """Return the block of a page that contains this word."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", PAGES[page], re.DOTALL)
    found: list[str] = [text for text in blocks if word in text]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("command", REMOTE)
def test_the_options_are_valid(command: str, pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("known.toml").write_text(block("vllm", "toml", "[[known]]"))
    pytester.parseconfigure(*shlex.split(command)[1:])


@pytest.mark.parametrize(
    "wrong",
    [
        "--realtime-profile=azur",
        "--realtime-budget=wer",
        "--realtime-max-audio=5x",
        "--realtime-known-failures=none.toml",
        "--realtime-session-options={",
    ],
)
def test_an_invalid_option_would_be_found(
    wrong: str, pytester: pytest.Pytester
) -> None:
    with pytest.raises(pytest.UsageError, match=wrong.partition("=")[0]):
        pytester.parseconfigure("--realtime-target=http://gpu-7:8000", wrong)


@pytest.mark.slow
@pytest.mark.parametrize("command", LOCAL)
def test_commands_that_need_no_server_pass(
    command: str, pytester: pytest.Pytester
) -> None:
    (dialect,) = re.findall(r"--realtime-dialect=(\S+)", command)
    done = pytester.runpytest(*shlex.split(command)[1:], *FASTER)
    assert done.ret == 0
    done.stdout.fnmatch_lines([f"ws://*, {dialect}, model *", "1 requirement*: 1 sat*"])


def test_each_dialect_with_a_server_has_a_command_for_the_fake() -> None:
    pages = {COMMANDS[command] for command in LOCAL}
    assert pages == PAGES.keys() - {"corpora", "own-repository"}


@pytest.mark.slow
def test_the_repository_of_a_server_passes(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("my_server.py").write_text(
        "import sys\n"
        "from pytest_realtime_asr.cli.main import main\n"
        "sys.exit(main(['fake', *sys.argv[1:]]))\n"
    )
    pytester.makeconftest(block("own-repository", "python", "conftest.py"))
    pytester.makeini(block("own-repository", "ini", "realtime_dialect"))
    tests = pytester.mkdir("tests")
    test = block("own-repository", "python", "test_realtime.py")
    tests.joinpath("test_realtime.py").write_text(test)
    pytester.runpytest_subprocess("tests", "-W", "error").assert_outcomes(passed=2)


def test_the_known_failures_are_those_of_the_release(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    path.write_text(block("vllm", "toml", "[[known]]"))
    rows = re.findall(r"^\| `([\w-]+)` \| MUST \| .*? \| (.*) \|$", SERVERS, re.M)
    violated = {name for name, where in rows if "vLLM 0.33.0:" in where}
    assert {each.id for each in known_failures.read(path)} == violated


def test_the_profiles_exist() -> None:
    text = "\n".join(PAGES.values())
    names = {
        each for name in dialects.installed() for each in dialects.load(name).profiles
    }
    assert set(re.findall(r'--realtime-profile="?([\w-]+)', text)) <= names
    for named in re.findall(r"--realtime-dialect=([\w:-]+)", text):
        assert dialects.load(named)
