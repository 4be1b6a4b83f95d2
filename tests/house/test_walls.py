"""Who may import what: the walls of docs/architecture.md, held against the imports of every module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "usdstylize"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LIBRARIES = (
    "model", "imaging", "config", "kernels", "usd.io", "usd.shading", "encoders.registry", "encoders.weights",
)  # fmt: skip
"""Rooms whose every module is for all; those of the others are known through the room's `__init__` alone."""
ROOMS = (
    *LIBRARIES, "cli", "styles", "usd.read", "usd.write", "usd.verify",
    "render", "encoders", "losses", "optimize", "distributed",
)  # fmt: skip
MAY_IMPORT = {
    "model": (),
    "imaging": ("model",),
    "config": ("model", "styles", "encoders.registry"),
    "styles": ("model",),
    "kernels": ("model",),
    "usd.io": ("model", "imaging"),
    "usd.shading": ("model", "imaging", "usd.io"),
    "usd.read": ("model", "imaging", "config", "styles", "usd.io", "usd.shading"),
    "usd.write": ("model", "imaging", "config", "usd.io", "usd.shading"),
    "usd.verify": ("model", "imaging", "config", "usd.io", "usd.shading", "usd.read", "usd.write"),
    "render": ("model", "imaging", "config", "kernels"),
    "encoders": ("model", "config", "kernels", "encoders.registry", "encoders.weights"),
    "encoders.registry": (),
    "encoders.weights": ("config", "encoders.registry"),
    "losses": ("model", "config", "kernels", "encoders", "render"),
    "optimize": ("model", "imaging", "config", "kernels", "encoders", "render", "losses"),
    "distributed": ("model", "config", "encoders.weights", "optimize"),
    "cli": ROOMS,
}
"""By room, besides itself and `errors`: which rooms it knows. What is not here, it must do without."""


def room_of(module: str) -> str:
    """``usdstylize.usd.read.walk`` -> ``usd.read``; empty for the modules beside the rooms."""
    name = module.removeprefix("usdstylize").removeprefix(".")
    return next((room for room in ROOMS if name == room or name.startswith(f"{room}.")), "")


def imports(path: Path) -> Iterator[str]:
    """The full names of all modules of ours that are imported anywhere in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in MODULES:
                    yield full
                elif node.module in MODULES:
                    yield node.module


@pytest.mark.parametrize(
    ("library", "rooms"),
    [("pxr", {"usd"}), ("torch", {"render", "encoders", "losses", "kernels", "optimize", "distributed"})],
)
def test_a_library_is_imported_in_its_rooms_alone(library: str, rooms: set[str]) -> None:
    importing = {
        path.relative_to(PACKAGE).parts[0]
        for path in MODULES.values()
        if library in _imported(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert importing == rooms


def test_a_room_knows_only_those_before_it() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        for imported in imports(path)
        if (room := room_of(module))
        and (other := room_of(imported))
        and other != room
        and other not in MAY_IMPORT[room]
    ]
    assert wrong == []


def test_another_room_is_known_by_its_door() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        for imported in imports(path)
        if (other := room_of(imported))
        and other not in LIBRARIES
        and other != room_of(module)
        and imported != f"usdstylize.{other}"
    ]
    assert wrong == []


def test_the_map_shows_the_same_walls() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z/]+)/` \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    shown = {
        room.replace("/", "."): set(re.findall(r"`([^`]+)`", cell.replace("/", "."))) for room, cell in rows
    }
    # `encoders.registry` and `encoders.weights` are part of their room, and `cli` may import everything.
    walls = {
        room: {name for name in rooms if not name.startswith(room)} for room, rooms in MAY_IMPORT.items()
    }
    del walls["encoders.weights"], walls["encoders.registry"], walls["cli"], shown["cli"]
    assert shown == walls


def _imported(module: ast.Module) -> set[str]:
    """First parts of the names of all that is imported anywhere in it."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
