"""One test run in one process: its servers, sessions and results."""
