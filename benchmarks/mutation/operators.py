"""Wrong changes that Cosmic Ray has no operator for: a forgotten argument, another name, a forgotten line.

They are operators as Cosmic Ray's own are, on parso's trees, under the name ``own/...``.
"""

from collections.abc import Iterator
from typing import Any

from cosmic_ray import plugins
from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Keyword, PythonNode, String
from parso.tree import BaseNode, NodeOrLeaf

Positions = Iterator[tuple[tuple[int, int], tuple[int, int]]]


class DropKeyword(Operator):
    """A call without one of its keyword arguments."""

    def mutation_positions(self, node: NodeOrLeaf) -> Positions:
        for argument in _keywords(node):
            yield argument.start_pos, argument.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        argument = list(_keywords(node))[index]
        siblings = argument.parent.children
        at = siblings.index(argument)
        if at + 1 < len(siblings) and siblings[at + 1] == ",":
            del siblings[at : at + 2]
        elif at and siblings[at - 1] == ",":
            del siblings[at - 1 : at + 1]
        else:
            del siblings[at]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("f(a, b=1, c=2)", "f(a, c=2)"),
            Example("f(a, b=1)", "f(a)"),
            Example("f(b=1)", "f()"),
        )


def _keywords(node: NodeOrLeaf) -> Iterator[Any]:
    """The keyword arguments of the call whose parentheses ``node`` is."""
    if node.type == "trailer" and node.children[0] == "(":
        inside = node.children[1]
        several = inside.children if inside.type == "arglist" else [inside]
        yield from (a for a in several if a.type == "argument" and a.children[1] == "=")


class ReplaceString(Operator):
    """Another word where one word stands; texts with spaces are for people and left alone."""

    def mutation_positions(self, node: NodeOrLeaf) -> Positions:
        if isinstance(node, String) and not any(map(str.isspace, node.value)):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        quote = node.value[-1]
        prefix, _, rest = node.value.partition(quote)
        return String(f"{prefix}{quote}XX{rest}", node.start_pos, node.prefix)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x = 'half'", "x = 'XXhalf'"), Example('x = r"a"', 'x = r"XXa"'))


class RemoveStatement(Operator):
    """``pass`` instead of a call for its effect, of ``a += b``, ``a.b = c`` or ``a[b] = c``."""

    def mutation_positions(self, node: NodeOrLeaf) -> Positions:
        if node.type == "simple_stmt" and _has_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        old = node.children[0]
        new = Keyword("pass", old.start_pos, old.get_first_leaf().prefix)
        return PythonNode("simple_stmt", [new, *node.children[1:]])

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example("a.append(b)\n", "pass\n"),
            Example("a += b\n", "pass\n"),
            Example("a[b] = c\n", "pass\n"),
        )


def _has_effect(statement: NodeOrLeaf) -> bool:
    if statement.type == "atom_expr":
        last = statement.children[-1]
        return last.type == "trailer" and last.children[0] == "("
    if statement.type != "expr_stmt" or not isinstance(statement, BaseNode):
        return False
    target, operator = statement.children[:2]
    augmented = operator.get_code().strip() != "=" and operator.type == "operator"
    return augmented or target.type == "atom_expr"


class _Provider(dict[str, type[Operator]]):
    """As ``cosmic_ray.operators.provider.OperatorProvider``: names, and the operator of each."""


def register() -> None:
    """Add them to Cosmic Ray's, which finds those of installed packages alone."""
    own = (DropKeyword, ReplaceString, RemoveStatement)
    plugins.OPERATOR_PROVIDERS["own"] = _Provider({operator.__name__: operator for operator in own})
