"""The version of the package that runs; only `pyproject.toml` defines it."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["__version__"]

_NAME = "usdstylize"


def find_version(package: Path) -> str:
    """The version of the package in the folder ``package``: its checkout's, else that of its installation.

    The checkout comes first: the same Python may have another version installed, and the metadata of an
    editable installation is as old as that installation. A bare copy of the folder has neither: "unknown".
    """
    checkout = package.parent / "pyproject.toml"
    if checkout.is_file():
        project = tomllib.loads(checkout.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == _NAME:
            return str(project["version"])
    try:
        return version(_NAME)
    except PackageNotFoundError:
        return "unknown"


__version__ = find_version(Path(__file__).resolve().parent)
