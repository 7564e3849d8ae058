import pytest
from server import app


@pytest.fixture(scope="session")
def realtime_target():
    """Return the application; the plugin serves it in a child process."""
    return app
