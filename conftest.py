"""Nothing: `pytester` is named in pyproject.toml.

Of an editable install, this file is also read by runs of the packaged suite in other
folders, and pytest refuses `pytest_plugins` there.
"""
