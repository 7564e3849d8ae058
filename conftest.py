"""Test fixtures for the repository root: the plugin under test comes by its entry point."""
pytest_plugins = ["pytester"]
