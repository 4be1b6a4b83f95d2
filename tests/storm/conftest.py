"""The Storm proof needs a Python of its own that has bpy; without one it is not collected."""

import pytest

from .storm_python import STORM_PYTHON

collect_ignore_glob = [] if STORM_PYTHON.is_file() else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "storm: renders with Hydra Storm in a Python that has bpy")
