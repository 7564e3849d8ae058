"""The checks of this project: `nox` runs all, `nox -s style` one; `.ci/run` the same.

Sessions that run on several Pythons skip those that are not installed, except in CI.
"""

from __future__ import annotations

import os

import nox

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OLDEST = PYTHONS[0]
# `dialects` runs the tests of `tests/plugin` with these; `tests` runs them with vllm.
DIALECTS = [
    *("openai", "openai:sglang", "deepgram", "deepgram:whisperlivekit-listen"),
    *("sglang-omni", "vosk", "vosk:vosk-reset"),
]
PROJECT = nox.project.load_toml("pyproject.toml")

nox.needs_version = ">=2025.2.9"
nox.options.error_on_missing_interpreters = "CI" in os.environ
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = [
    *("style", "types", "tests", "slow", "dialects", "dashboards", "lowest", "docs"),
]


@nox.session
def style(session: nox.Session) -> None:
    """Check the style and the format of the code."""
    install(session, "style")
    check_style(session)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    install(session, "types", package="test")
    check_types(session)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the fast tests."""
    install(session, "analysis", package="test")
    run_tests(session)


@nox.session(python=PYTHONS)
def slow(session: nox.Session) -> None:
    """Run the tests that take real time."""
    install(session, "analysis", package="test")
    run_slow_tests(session)


@nox.session
@nox.parametrize("dialect", DIALECTS)
def dialects(session: nox.Session, dialect: str) -> None:
    """Run the tests of `tests/plugin` with another dialect than vllm."""
    install(session, "analysis", package="test")
    words = ["tests/plugin", "-n", "2", "--dist", "loadfile", *session.posargs]
    session.run("pytest", *words, env={"TESTS_DIALECT": dialect})


@nox.session
def dashboards(session: nox.Session) -> None:
    """Run the tests that need other pytest plugins, which no other test has."""
    install(session, "dashboards", package="test")
    files = ["tests/plugin/test_other_reports.py", "tests/test_ci_guide.py"]
    session.run("pytest", "-m", "", *files, *session.posargs)


@nox.session(python=OLDEST)
def lowest(session: nox.Session) -> None:
    """Run the fast tests with the lowest versions that pyproject.toml allows."""
    session.install("-e", ".", *lowest_versions())
    run_tests(session)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site; its pages are in build/docs."""
    install(session, "docs")
    build_docs(session)


@nox.session
def check(session: nox.Session) -> None:
    """Run every check on one Python, in one environment: what `.ci/run` does."""
    install(session, "analysis", "style", "types", "docs", package="test")
    check_style(session)
    check_types(session)
    build_docs(session)
    run_tests(session)
    run_slow_tests(session)


def install(session: nox.Session, *groups: str, package: str = "") -> None:
    """Install dependency groups and, with the extra ``package``, this project."""
    arguments = ["-e", f".[{package}]"] if package else []
    for group in groups:
        arguments += ["--group", group]
    session.install(*arguments)


def check_style(session: nox.Session) -> None:
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


def check_types(session: nox.Session) -> None:
    session.run("mypy")


def run_tests(session: nox.Session) -> None:
    session.run("pytest", *session.posargs)


def run_slow_tests(session: nox.Session) -> None:
    session.run("pytest", "-m", "slow", *session.posargs)


def build_docs(session: nox.Session) -> None:
    session.run("sphinx-build", "-W", "-q", "-b", "html", "docs", "build/docs")


def lowest_versions() -> list[str]:
    """Return each dependency of the project and of its tests, pinned to its bound."""
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"]]
    for names in extras.values():
        wanted += names
    return [each.replace(">=", "==") for each in wanted if ">=" in each]
