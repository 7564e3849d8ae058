"""Configuration of the site: `sphinx-build -W -b html docs build/docs`."""

import tomllib
from pathlib import Path

_FILE = Path(__file__).parents[1] / "pyproject.toml"
_PROJECT = tomllib.loads(_FILE.read_text())["project"]

project = _PROJECT["name"]
release = version = _PROJECT["version"]
html_title = f"{project} {version}"
html_theme = "furo"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nitpicky = True
smartquotes = False  # they would change quotation marks and -- in options
