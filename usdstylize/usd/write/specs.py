"""Shader nodes as Sdf specs: written in one layer, also inside a variant.

Sdf rather than UsdShade: it edits one layer directly, needs no composed stage, and the same
code writes to ``/A/B`` and to ``/A/B{style=ink}``.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pxr import Sdf

__all__ = [
    "Node",
    "add_input",
    "add_node_graph",
    "add_output",
    "add_shader",
    "apply_schema",
    "below",
    "free_name",
    "prim_spec",
]

Types = Sdf.ValueTypeNames


class Node:
    """A shader spec that was just written, and the paths to connect to."""

    def __init__(self, spec: Sdf.PrimSpec) -> None:
        self.spec = spec

    def output(self, name: str = "out") -> Sdf.Path:
        """The output's path in the composed scene: connections must not name a variant."""
        return _scene_path(self.spec).AppendProperty(f"outputs:{name}")


def _scene_path(spec: Sdf.PrimSpec) -> Sdf.Path:
    return spec.path.StripAllVariantSelections()


def prim_spec(
    layer: Sdf.Layer, path: Sdf.Path, type_name: str = "", specifier: Sdf.Specifier | None = None
) -> Sdf.PrimSpec:
    """The spec at ``path``, created as an over, with what is missing above it, where it is not there."""
    spec = Sdf.CreatePrimInLayer(layer, path)
    if specifier is not None:
        spec.specifier = specifier
    if type_name:
        spec.typeName = type_name
    return spec


def apply_schema(spec: Sdf.PrimSpec, name: str) -> None:
    """Apply an API schema, after those that the prim spec has."""
    schemas = spec.GetInfo("apiSchemas") if spec.HasInfo("apiSchemas") else Sdf.TokenListOp()
    if name not in schemas.prependedItems:
        schemas.prependedItems = [*schemas.prependedItems, name]
        spec.SetInfo("apiSchemas", schemas)


def below(variant: Sdf.Path, relative: Sdf.Path) -> Sdf.Path:
    """``relative`` below a variant: Sdf.Path.AppendPath refuses to cross a variant selection."""
    for name in relative.GetPrefixes():
        variant = variant.AppendChild(name.name)
    return variant


def free_name(name: str, taken: Collection[str]) -> str:
    """``name``, or with a number behind it where it is taken."""
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}{number}"
    return unique


def add_input(spec: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, value: Any) -> Sdf.AttributeSpec:
    """``inputs:name`` with a value, or a connection where ``value`` is a path."""
    attribute = spec.attributes.get(f"inputs:{name}")
    if attribute is None:
        attribute = Sdf.AttributeSpec(spec, f"inputs:{name}", type_name)
    if isinstance(value, Sdf.Path):
        attribute.connectionPathList.explicitItems = [value]
    else:
        attribute.default = value
    return attribute


def add_output(
    spec: Sdf.PrimSpec, name: str, type_name: Sdf.ValueTypeName, source: Sdf.Path | None = None
) -> Sdf.Path:
    """``outputs:name``, connected where a source is given; returns its path in the scene."""
    attribute = spec.attributes.get(f"outputs:{name}")
    if attribute is None:
        attribute = Sdf.AttributeSpec(spec, f"outputs:{name}", type_name)
    if source is not None:
        attribute.connectionPathList.explicitItems = [source]
    return _scene_path(spec).AppendProperty(f"outputs:{name}")


def add_shader(
    layer: Sdf.Layer,
    path: Sdf.Path,
    identifier: str,
    output: tuple[str, Sdf.ValueTypeName],
    inputs: Mapping[str, tuple[Sdf.ValueTypeName, Any]],
) -> Node:
    """A Shader of the given ``info:id`` with one output; each input is (type, value or path)."""
    spec = prim_spec(layer, path, "Shader", Sdf.SpecifierDef)
    info = Sdf.AttributeSpec(spec, "info:id", Types.Token, Sdf.VariabilityUniform)
    info.default = identifier
    for name, (type_name, value) in inputs.items():
        add_input(spec, name, type_name, value)
    add_output(spec, *output)
    return Node(spec)


def add_node_graph(layer: Sdf.Layer, path: Sdf.Path) -> Sdf.PrimSpec:
    """A NodeGraph, to be filled with shaders."""
    return prim_spec(layer, path, "NodeGraph", Sdf.SpecifierDef)
