"""These tests need a Python of their own that has usd-exchange; without one they are not collected."""

import pytest

from .usdmtlx_python import USDMTLX_PYTHON

collect_ignore_glob = [] if USDMTLX_PYTHON.is_file() else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "usdmtlx: validates with an OpenUSD that knows MaterialX")
