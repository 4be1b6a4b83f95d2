"""Which mutants there are, which say nothing about the tests, and a sample of the others."""

import ast
import difflib
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec

from benchmarks.mutation.operators import register

register()


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    module: str
    """The file, from the project's folder on."""
    operator: str
    occurrence: int
    start: tuple[int, int]
    """Line and column, from 1 and from 0."""
    end: tuple[int, int]

    @property
    def line(self) -> int:
        return self.start[0]

    def spec(self) -> MutationSpec:
        return MutationSpec(self.module, self.operator, self.occurrence, self.start, self.end)

    def apply(self, source: str) -> str:
        changed = mutate_code(source, get_operator(self.operator)(), self.occurrence)
        assert changed is not None
        return str(changed)

    def difference(self, source: str) -> list[str]:
        """The lines that differ, with - and +."""
        lines = difflib.unified_diff(source.splitlines(), self.apply(source).splitlines(), n=0, lineterm="")
        return [line for line in list(lines)[2:] if not line.startswith("@@")]


class Source:
    """A module's text and what may be changed in it."""

    def __init__(self, root: Path, module: str, config: dict[str, Any]) -> None:
        self.module = module
        self.text = (root / module).read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)
        self._config = config

    @cached_property
    def mutants(self) -> list[Mutant]:
        tree = get_ast(self.text)
        found = []
        for name in self._config["operators"]:
            operator = get_operator(name)()
            positions = (p for node in ast_nodes(tree) for p in operator.mutation_positions(node))
            found += [Mutant(self.module, name, i, start, end) for i, (start, end) in enumerate(positions)]
        return [mutant for mutant in found if not self._left_out(mutant)]

    def _left_out(self, mutant: Mutant) -> bool:
        return any(start <= mutant.start < end for start, end in self._left_out_ranges)

    @cached_property
    def _left_out_ranges(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        return [_range(node) for node in _left_out(self.tree, self.module, self._config)]

    @cached_property
    def statements(self) -> list[tuple[int, int, ast.AST | None]]:
        """First and last line of each statement (of a compound one: its head) and the function around it."""
        found: list[tuple[int, int, ast.AST | None]] = []

        def walk(node: ast.AST, function: ast.AST | None) -> None:
            for child in ast.iter_child_nodes(node):
                inner = function
                if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                    body = getattr(child, "body", None)
                    first = getattr(child, "lineno", 0)
                    last = body[0].lineno - 1 if body else getattr(child, "end_lineno", first)
                    if isinstance(child, ast.FunctionDef):
                        inner = function or child
                    found.append((first, max(first, last), inner))
                walk(child, inner)

        walk(self.tree, None)
        return found

    def place(self, line: int) -> tuple[range, ast.AST | None, bool]:
        """The lines of the statement at a line, the outermost function around, and whether it runs with it.

        A function's head runs when the module is imported.
        """
        around = [s for s in self.statements if s[0] <= line <= s[1]]
        first, last, function = min(around, key=lambda s: s[1] - s[0])
        head = function is not None and first == function.lineno  # type: ignore[attr-defined]
        return range(first, last + 1), function, not head


def _left_out(tree: ast.AST, module: str, config: dict[str, Any]) -> Iterator[ast.AST]:
    """Types, decorators, docstrings, ``__all__``, messages of errors, and what is configured."""
    own = {name.partition("::")[2] for name in config["names"] if name.startswith(f"{module}::")}
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, returns=returns):
                yield from node.decorator_list
                if returns:
                    yield returns
                if name in own:
                    yield node
            case ast.ClassDef():
                yield from node.decorator_list
            case ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation):
                yield annotation
            case (
                ast.Expr(value=ast.Constant(value=str()))
                | ast.Assign(value=ast.Call(func=ast.Name("TypeVar")))
            ):
                yield node
            case ast.Raise(exc=ast.Call(args=arguments)):
                yield from arguments
            case ast.Assign(targets=[ast.Name(id=name)]) if name in {"__all__", *own}:
                yield node
            case ast.keyword(arg=str() as name) if name in config["keywords"]:
                yield node
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=arguments) if (
                name in config["labelled"]
            ):
                yield from [a for a in arguments if isinstance(a, ast.Constant)][:1]
            case ast.If(test=test, body=body) if _needs_cuda(test, config):
                yield from body
            case ast.IfExp(test=test, body=body) if _needs_cuda(test, config):
                yield body


def _needs_cuda(test: ast.expr, config: dict[str, Any]) -> bool:
    return any(word in ast.unparse(test) for word in config["cuda"])


def _range(node: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def sample(groups: dict[str, list[Source]], size: int, least: int, seed: int) -> dict[str, list[Mutant]]:
    """``size`` mutants of all groups together, in proportion to their modules' lines of code.

    Places are drawn first and then one mutant at each, so that a place where many operators apply
    weighs no more than another.
    """
    places: dict[str, list[tuple[Source, list[Mutant]]]] = {}
    for name, sources in groups.items():
        places[name] = [(source, found) for source in sources for found in _by_place(source.mutants)]
    total = sum(len(found) for found in places.values())
    chosen = {}
    for name, found in places.items():
        generator = random.Random(f"{seed} {name}")
        count = min(len(found), max(least, round(size * len(found) / max(1, total))))
        drawn = sorted(generator.sample(range(len(found)), count))
        chosen[name] = [_one(*found[i], generator) for i in drawn]
    return chosen


def _one(source: Source, mutants: list[Mutant], generator: random.Random) -> Mutant:
    """Any of them that is still Python."""
    for mutant in generator.sample(mutants, len(mutants)):
        try:
            ast.parse(mutant.apply(source.text))
        except SyntaxError:
            continue
        return mutant
    return mutants[0]


def _by_place(mutants: Iterable[Mutant]) -> list[list[Mutant]]:
    """Mutants that begin at the same place together, in the order of the text."""
    found: dict[tuple[int, int], list[Mutant]] = {}
    for mutant in sorted(mutants, key=lambda m: (m.start, m.operator, m.occurrence)):
        found.setdefault(mutant.start, []).append(mutant)
    return list(found.values())


def judged(mutant: Mutant, source: str, judgements: list[dict[str, str]]) -> str | None:
    """Why a mutant that survives is no fault of the tests, if somebody has judged so."""
    changed = "\n".join(mutant.difference(source))
    for judgement in judgements:
        if judgement["module"] == mutant.module and _matches(judgement["change"], changed):
            return judgement["why"]
    return None


def _matches(pattern: str, changed: str) -> bool:
    return re.sub(r"\s+", " ", pattern).strip() == re.sub(r"\s+", " ", changed).strip()
