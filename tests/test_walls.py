"""Who may import what: USD stays where stages are read and written, PyTorch where is computed."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "usdstylize"


@pytest.mark.parametrize(
    ("library", "rooms"),
    [("pxr", {"stage", "author"}), ("torch", {"render", "encoders", "losses", "optimize"})],
)
def test_a_library_is_imported_in_its_rooms_alone(library: str, rooms: set[str]) -> None:
    importing = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if library in _imported(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert importing == rooms


def _imported(module: ast.Module) -> set[str]:
    """First parts of the names of all that is imported anywhere in it."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
