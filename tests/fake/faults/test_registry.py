"""How faults are declared and applied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import msgspec
import pytest

from pytest_realtime_asr.fake.faults import FAULTS, Faults, registry
from pytest_realtime_asr.fake.faults.registry import Hooks, fault
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from tests.support.servers import VLLM

Install = Callable[[str], None]
COMMIT = msgspec.json.encode({"type": "input_audio_buffer.commit"}).decode()


@pytest.fixture
def own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the faults that a test declares from the other tests."""
    monkeypatch.setattr(registry, "FAULTS", dict(FAULTS))


def opening(*names: str) -> list[str | bytes]:
    return list(Faults(names).wrap(VLLM.server(["m"])).open("sess-1", 1))


def test_unknown_fault() -> None:
    first = next(iter(FAULTS))
    with pytest.raises(LookupError, match=f"unknown fault 'x'; choose from {first}, "):
        Faults(["x"])


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="already a fault 'mute'"):
        fault("mute", "is silent")(ServerWrapper)


def test_a_correct_server_has_no_fault() -> None:
    assert opening() == list(VLLM.server(["m"]).open("sess-1", 1))


def test_the_later_fault_is_around_the_earlier_one() -> None:
    assert '"id":"sess-1"' in opening("same-id", "nameless")[0]
    assert '"id":""' in opening("nameless", "same-id")[0]
    assert len(opening("nameless", "created-twice")) == 2


def test_a_fault_that_needs_the_dialect_gets_it_from_the_state() -> None:
    with pytest.raises(LookupError, match="needs a dialect; pass a ServerState"):
        Faults(["starts-anyway"]).wrap(VLLM.server(["m"]))
    faults = Faults(["starts-anyway"], ServerState(VLLM, ["m"]))
    assert faults.wrap(VLLM.server(["m"])).hear(COMMIT).begin


@pytest.mark.usefixtures("own_faults")
def test_a_dialect_may_declare_faults_of_its_own() -> None:
    @fault("greets-oddly", "greets its client with a word")
    class GreetsOddly(ServerWrapper):
        def open(self, session: str, created: int) -> Iterable[str | bytes]:
            return ("hello",)

    @fault("small-messages", "takes messages of 1 KiB")
    class SmallMessages(Hooks):
        def max_size(self, size: int | None) -> int | None:
            return 1024

    assert opening("greets-oddly") == ["hello"]
    assert Faults(["small-messages"]).max_size(2**20) == 1024
    assert Faults(["small-messages", "any-size"]).max_size(2**20) is None
    assert Faults(["greets-oddly"]).max_size(2**20) == 2**20


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, own_faults: None) -> Iterator[Install]:
    """Return a function that sets the module of an installed package with faults."""

    def install(module: str) -> None:
        points = [EntryPoint("their-faults", module, registry.GROUP)]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        registry._import_installed.cache_clear()

    yield install
    registry._import_installed.cache_clear()


def test_the_faults_of_an_installed_package_are_known(
    installed: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_faults.py").write_text(
        "from pytest_realtime_asr.fake.faults.registry import Hooks, fault\n"
        "fault('their-fault', 'is broken')(Hooks)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    installed("their_faults")
    assert registry.known().keys() - FAULTS == {"their-fault"}
    Faults(["their-fault", "mute"])


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("no_such_module", "No module named 'no_such_module'"),
        ("json:NONE", "module 'json' has no attribute 'NONE'"),
    ],
)
def test_a_package_whose_faults_cannot_be_imported(
    installed: Install, module: str, why: str
) -> None:
    installed(module)
    where = f"entry point their-faults in the group {registry.GROUP} cannot be imported"
    with pytest.raises(LookupError, match=f"{where} from {module}: {why}"):
        registry.known()
