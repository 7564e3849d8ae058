"""Lists of names that are shortened to fit into a line."""

from __future__ import annotations

from collections.abc import Sequence

MOST = 3  # names in a line


def first_names(names: Sequence[object], *, most: int = MOST) -> str:
    """Return the first ``most`` names, and how many more there are.

    An example is ``a, b, c and 2 more``.
    """
    shown = ", ".join(map(str, names[:most]))
    more = len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
