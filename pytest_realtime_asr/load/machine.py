"""The limits of this machine: file descriptors, local ports and memory."""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PORTS = "proc/sys/net/ipv4/ip_local_port_range"
_MEMORY = "proc/meminfo"
_AVAILABLE = "MemAvailable:"
_CONTAINER = "sys/fs/cgroup"  # of the second version of control groups


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has for a load.

    A field is ``None`` if the machine sets no limit, or if the limit is not known.

    ``descriptors`` is the largest number of files and sockets that one process may
    open. ``ports`` is the number of local ports. ``memory`` is the free memory in
    bytes.
    """

    descriptors: int | None = None
    ports: int | None = None
    memory: int | None = None


def this_machine(root: Path = Path("/")) -> Machine:
    """Return the limits of this machine; ``root`` is the root of its file system.

    ``descriptors`` is the hard limit; `raise_descriptors` can raise the soft limit up
    to it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(
        descriptors=None if hard == resource.RLIM_INFINITY else hard,
        ports=_ports(root),
        memory=min(
            (
                free
                for free in (_free(root), _free_in_container(root))
                if free is not None
            ),
            default=None,
        ),
    )


def raise_descriptors(needed: int) -> None:
    """Let this process and its children open ``needed`` files and sockets.

    The soft limit is raised, at most to the hard limit, and never lowered. If the
    system does not allow this, the soft limit stays as it is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    # macOS has a limit for all processes, which may be below the hard one.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _ports(root: Path) -> int | None:
    """Return the number of local ports that connections to a server can use."""
    with suppress(OSError, ValueError):
        first, last = map(int, (root / _PORTS).read_text().split())
        return last - first + 1
    return None


def _free(root: Path) -> int | None:
    """Return the free memory of the machine in bytes."""
    with suppress(OSError, ValueError, IndexError):
        for line in (root / _MEMORY).read_text().splitlines():
            if line.startswith(_AVAILABLE):
                return int(line.split()[1]) * 1024
    return None


def _free_in_container(root: Path) -> int | None:
    """Return how many bytes of memory the container may still use."""
    folder = root / _CONTAINER
    with suppress(OSError, ValueError):  # without a limit, the file says "max"
        most = int((folder / "memory.max").read_text())
        return max(0, most - int((folder / "memory.current").read_text()))
    return None
