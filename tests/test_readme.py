"""Every example of the README and of the guide does what it says."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_realtime_asr import Utterance, dialects, noise
from pytest_realtime_asr.corpus import load, nemo
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.plugin.options import OPTIONS
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.trace.records import Sender
from tests.support.paths import ROOT

README = ROOT / "README.md"
GUIDE = sorted((ROOT / "docs/guide").glob("*.md"))
DIALECT = ROOT / "docs/guide/dialect.md"
TEXTS = {page: page.read_text() for page in (README, *GUIDE)}
TEXT = "\n".join(TEXTS.values())
EXAMPLES: list[str] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
TABLES: list[str] = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
OUTPUTS: list[str] = re.findall(r"```text\n(.*?)```", TEXTS[README], re.DOTALL)
PAGES = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("[A-Z]*.md")]
DESELECTED = sum(r.binds is Sender.SERVER for r in dialects.load("vllm").requirements)
INI = "[pytest]\nrealtime_dialect = vllm\n"


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with the files that the guide requires."""
    pytester.makeini(INI)
    return pytester


def example(word: str) -> str:
    """The only example that contains this word."""
    (found,) = (text for text in EXAMPLES if word in text)
    return found


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of eight clips with one word each, enough to compare two runs."""
    folder = tmp_path_factory.mktemp("few")
    words = []
    for each in load("bundled:english").sample(8, seed=1):
        start = each.words[0].start
        cut = each.audio.cut(start, start + 0.4)
        words.append(Utterance(each.id, each.words[0].text, cut, language="en"))
    nemo.write(folder, words)
    return folder / nemo.NAME


def plain(text: str) -> str:
    """A text with one blank between words, and a sign in place of each number."""
    return re.sub(r"[-+]?\d+(\.\d+)?", "#", " ".join(text.split()))


def said(done: pytest.RunResult) -> str:
    return plain(done.stdout.str())


def command(word: str) -> list[str]:
    """The words of the only command of the README with this word."""
    lines = re.findall(r"^pytest .*$", TEXTS[README], re.MULTILINE)
    (found,) = (line for line in lines if word in line)
    return shlex.split(found)[1:]


@pytest.mark.slow
def test_the_questions_of_the_readme_are_answered_as_it_shows(
    project: pytest.Pytester, few: Path
) -> None:
    """The commands are those of the README, for clips that take less time."""
    _, judged, slower, two, _ = map(plain, OUTPUTS)
    corpus = f"--realtime-corpus={few}"
    done = project.runpytest_subprocess(*command("--realtime-budget="), corpus)
    done.assert_outcomes(passed=1)
    for line in judged.split(" PASS (not proven: ")[1:]:
        assert line.partition(" (")[0] in said(done)
    assert judged.partition(" test_spoken")[0].partition(" sent ")[2] in said(done)
    done = project.runpytest_subprocess(*command("--realtime-compare="), corpus)
    done.assert_outcomes(failed=1)
    head, _, tail = slower.partition("(")
    assert head in said(done)
    assert tail.partition("; worst")[0] in said(done)
    with FakeServer(["--corpus", str(few), "--final-delay", "150ms"]) as server:
        words = [
            word.replace("http://127.0.0.1:8765", server.url)
            for word in command("--realtime-baseline-target=fake")
        ]
        done = project.runpytest_subprocess(*words, corpus)
    done.assert_outcomes(passed=1)
    for line in two.split("final_from_commit")[1:3]:
        assert line.partition(" (")[0].partition("first_")[0] in said(done)


@pytest.mark.slow
def test_the_example_of_the_readme_fails_as_it_shows(
    project: pytest.Pytester,
) -> None:
    project.makepyfile(test_commands=example("def test_short_commands"))
    failed = OUTPUTS[-1].splitlines()
    done = project.runpytest_subprocess("--realtime-target=fake")
    done.assert_outcomes(passed=1)
    fake = "--realtime-fake=--final-delay 1200ms"
    done = project.runpytest_subprocess("--realtime-target=fake", fake)
    done.assert_outcomes(failed=1)
    # A busy machine may disturb a session, which is then retried.
    shown = said(done).replace(", # retried", "")
    assert plain(failed[0].partition("; path")[0]) in shown
    why = failed[0].rpartition("; ")[2].partition("(")[0]  # who is responsible
    assert plain(why) in said(done)
    rows = ("  audio ", "  said ", "  heard ", "^commit", "limit 800 ms", "  s     |0")
    for label in ("trace: ", "text: ", *rows, "again: "):
        assert any(label in line for line in failed)
        assert label in done.stdout.str()


def test_the_strip_of_the_guide_is_that_of_the_readme() -> None:
    """The example of the README is compared with a run."""
    (text,) = re.findall(
        r"```text\n(  audio .*?)```", TEXTS[ROOT / "docs/guide/reports.md"], re.DOTALL
    )
    assert text in OUTPUTS[-1]


@pytest.mark.slow
def test_the_suite_of_the_readme_passes_on_the_reference(
    project: pytest.Pytester,
) -> None:
    """One requirement and the spoken corpus stand for the suite."""
    pytest.importorskip("pocketsphinx")
    folder = project.mkdir("clips")
    nemo.write(folder, load("bundled:english").sample(2, seed=1))
    words = (f"--realtime-corpus={folder / nemo.NAME}", "--realtime-undecided=warn")
    chosen = ("-k", "first-event or spoken")
    done = project.runpytest_subprocess(*command("reference"), *words, *chosen)
    suite = plain(OUTPUTS[0])
    assert done.ret in (0, 1)  # two clips prove no error rate
    assert suite.partition(", cold")[0].partition("ws:")[2] in said(done)
    assert "# requirement" in said(done)


@pytest.mark.slow
def test_the_examples_pass_on_the_server_that_the_conftest_starts(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(example("subprocess"))
    project.makepyfile(test_own=example("test_second_utterance"))
    three = "go-forward or turn-left or turn-right"
    options = ["--realtime-warmup=0", "-k", f"not each or {three}", "-W", "error"]
    done = project.runpytest_subprocess(*options)
    done.assert_outcomes(passed=3 + 3, deselected=23)


@pytest.mark.slow
def test_the_examples_of_verdicts_pass_as_well(project: pytest.Pytester) -> None:
    project.makeconftest(example("subprocess"))
    (table,) = (text for text in TABLES if "[l4]" in text)
    project.path.joinpath("limits.toml").write_text(table)
    project.makepyfile(
        test_in_order=example("test_until_decided"),
        test_limits=example("test_limits_of_this_machine"),
        test_parity=example("test_parity"),
        test_recall=example("test_directions"),
    )
    limits = ("--realtime-budgets=limits.toml", "--realtime-budget-profile=l4")
    options = ("--realtime-warmup=0", "-W", "error", *limits)
    done = project.runpytest_subprocess(*options, "test_in_order.py", "test_limits.py")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines("*PASS (proven: n=*): final_from_commit p50 = *")
    # Their texts are the same at any pace.
    tests = ("test_parity.py", "test_recall.py")
    done = project.runpytest_subprocess(*options, "--realtime-pace=8", *tests)
    done.assert_outcomes(passed=2)


@pytest.mark.slow
def test_an_application_of_the_project_is_judged(project: pytest.Pytester) -> None:
    project.makeconftest(example("my_server.app"))
    project.mkpydir("my_server").joinpath("app.py").write_text(
        '''
async def app(scope, receive, send):
    """No server of speech recognition."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})
'''
    )
    options = ["--realtime-conformance", "-k", "first-event", "--realtime-model=none"]
    done = project.runpytest_subprocess(*options, "--realtime-warmup=0")
    done.assert_outcomes(failed=1, deselected=DESELECTED)
    done.stdout.fnmatch_lines(["first-event ?MUST? stopped: *HTTP 500: *"])


@pytest.mark.slow
def test_the_example_in_noise_judges_each_snr(project: pytest.Pytester) -> None:
    """The server knows the clips in the noise of 20 dB, and not in that of 10 dB."""
    plain, noisy = project.mkdir("plain"), project.mkdir("noisy")
    nemo.write(plain, load("bundled:english").sample(4, seed=1))
    clips = load(plain / nemo.NAME)
    nemo.write(noisy, clips.map(noise("20dB", seed=1)))
    project.makepyfile(example("def test_in_noise"))
    known = [f"--corpus={folder / nemo.NAME}" for folder in (plain, noisy)]
    with FakeServer(["--recogniser", "scripted", *known]) as server:
        done = project.runpytest_subprocess(
            f"--realtime-target={server.url}",
            f"--realtime-corpus={plain / nemo.NAME}",
            "--realtime-warmup=0",
            "--realtime-pace=32",
        )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["*wer = * > 0.400 *; noise/1:10dB:seed=1)*"])


def test_the_bundled_clips_can_be_written_to_files(project: pytest.Pytester) -> None:
    project.makepyfile(export=example("def test_export"))
    project.runpytest("export.py").assert_outcomes(passed=1)
    written, bundled = load(project.path / "recordings"), load("bundled:english")
    assert {e.id: e.text for e in written} == {e.id: e.text for e in bundled}
    assert {e.id: e.audio for e in written} == {e.id: e.audio for e in bundled}


def test_every_example_is_run() -> None:
    run = ("subprocess", "my_server", "test_second_utterance")
    verdicts = ("test_until_decided", "test_limits_of_this_machine", "test_parity")
    words = [*run, *verdicts, "test_directions", "def test_short_commands"]
    words += ["def test_in_noise", "import pandas", "import duckdb"]
    words += ["class Session", "FastAPI()", "Starlette(", "fastapi_app", "(chunks"]
    words += ["from client import transcribe", "def test_export"]
    words += ["test_holds_40_streams", "test_holds_8_streams"]
    words += ["test_two_calls_a_second", "test_restart_loses_no_sentence"]
    words += ["def test_commands(realtime, corpus):\n", "test_the_recorded_answer"]
    # see the tests of the guides on ASGI, clients, capacity, dialects and replay
    dialect = re.findall(r"```python\n(.*?)```", TEXTS[DIALECT], re.DOTALL)
    assert sorted([*map(example, words), *dialect]) == sorted(EXAMPLES)


@pytest.mark.slow
def test_the_commands_that_need_no_server_end_well(
    project: pytest.Pytester,
) -> None:
    commands = re.findall(r"^\| [^|]+ \| `(.*?)`", TEXTS[README], re.MULTILINE)
    plan, names = (each for each in commands if re.search("-plan| list ", each))
    pytest_, *options = plan.split()
    assert pytest_ == "pytest"
    assert project.runpytest_subprocess(*options).ret == 0
    python, *words = names.split()
    assert python == "python"
    assert project.run(sys.executable, *words).ret == 0


def test_every_option_that_is_named_exists() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"--realtime-[a-z-]*[a-z]", page.read_text())
    }
    assert named <= {option.cli for option in OPTIONS}


def test_the_readme_is_short_and_links_every_guide() -> None:
    assert len(TEXTS[README].splitlines()) <= 195
    linked = {ROOT / path for path in re.findall(r"\]\((docs/guide/\w+[^)#]*)", TEXT)}
    assert linked == set(GUIDE)


def links(page: Path) -> Iterator[str]:
    """The links of a page to files of this repository, without their anchors."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in link:
            yield link


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_has_an_existing_target(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_extras_that_are_named_exist() -> None:
    extras = set(re.findall(r'"(?:\.|pytest-realtime-asr)\[(\w+)\]"', TEXT))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras == set(project["optional-dependencies"])


def test_the_ini_lines_take_effect() -> None:
    lines = set(re.findall(r"```ini\n(.*?)\n```", TEXT))
    given = dict(line.split(" = ", 1) for line in lines)
    found = settings(lambda _: None, lambda option: given.get(option.ini), {})
    assert found.dialect == "openai:" + given["realtime_profile"]
    dialect = dialects.load(found.dialect)
    assert dialect.rate == 16_000
    said = dialects.load("openai").caller("m", found.run.session.options).configure()
    assert '"language":"en"' in said[0]
    assert '"type":"server_vad"' in said[0]


def test_the_ini_line_of_the_dialect_is_the_one_that_is_used() -> None:
    lines = set(re.findall(r"`(realtime_dialect = \w+)`", TEXT))
    assert [line for line in INI.splitlines() if line in lines] == [*lines]
