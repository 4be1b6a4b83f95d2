"""MaterialX materials in UsdShade, described as plain data, for the tests of stage/ and author/."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pxr import Sdf, Usd, UsdShade

TYPES = {
    "float": Sdf.ValueTypeNames.Float,
    "integer": Sdf.ValueTypeNames.Int,
    "boolean": Sdf.ValueTypeNames.Bool,
    "vector2": Sdf.ValueTypeNames.Float2,
    "vector3": Sdf.ValueTypeNames.Float3,
    "vector4": Sdf.ValueTypeNames.Float4,
    "color3": Sdf.ValueTypeNames.Color3f,
    "color4": Sdf.ValueTypeNames.Color4f,
    "string": Sdf.ValueTypeNames.String,
    "filename": Sdf.ValueTypeNames.Asset,
}

SURFACES = {
    "standard_surface": ("ND_standard_surface_surfaceshader", "base_color"),
    "open_pbr": ("ND_open_pbr_surface_surfaceshader", "base_color"),
    "gltf_pbr": ("ND_gltf_pbr_surfaceshader", "base_color"),
    "preview": ("ND_UsdPreviewSurface_surfaceshader", "diffuseColor"),
    "unlit": ("ND_surface_unlit", "emission_color"),
}


@dataclass(frozen=True)
class From:
    """A connection to the output of another node of the same container."""

    node: str
    output: str = "out"


@dataclass(frozen=True)
class Node:
    """One ND_ node: its id, the MaterialX type of each output it hands on, and its inputs."""

    identifier: str
    kind: str
    inputs: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    """(type, value or From or Sdf.Path) by name."""
    color_space: str | None = None
    """Metadata of the input ``file``."""
    output: str = "out"


def uv(primvar: str = "st") -> Node:
    return Node("ND_geompropvalue_vector2", "vector2", {"geomprop": ("string", primvar)})


def image(
    file: str,
    *,
    kind: str = "color3",
    color_space: str | None = "srgb_texture",
    node: str = "image",
    texcoord: str | None = "UV",
    **inputs: tuple[str, Any],
) -> Node:
    where = {"texcoord": ("vector2", From(texcoord))} if texcoord else {}
    named = {"file": ("filename", Sdf.AssetPath(file)), **where, **inputs}
    return Node(f"ND_{node}_{kind}", kind, named, color_space)


def add_nodes(stage: Usd.Stage, parent: str, nodes: Mapping[str, Node]) -> None:
    for name, node in nodes.items():
        shader = UsdShade.Shader.Define(stage, f"{parent}/{name}")
        shader.CreateIdAttr(node.identifier)
        shader.CreateOutput(node.output, TYPES[node.kind])
    for name, node in nodes.items():
        shader = UsdShade.Shader.Get(stage, f"{parent}/{name}")
        for key, (kind, value) in node.inputs.items():
            set_input(stage, parent, shader.CreateInput(key, TYPES[kind]), kind, value)
        if node.color_space is not None:
            shader.GetInput("file").GetAttr().SetColorSpace(node.color_space)


def set_input(stage: Usd.Stage, parent: str, item: UsdShade.Input, kind: str, value: Any) -> None:
    if isinstance(value, From):
        source = UsdShade.Shader.Get(stage, f"{parent}/{value.node}")
        item.ConnectToSource(source.CreateOutput(value.output, TYPES[kind]))
    elif isinstance(value, Sdf.Path):
        item.GetAttr().SetConnections([value])
    else:
        item.Set(value)


def add_mtlx_material(
    stage: Usd.Stage,
    path: str,
    color: Any,
    nodes: Mapping[str, Node] | None = None,
    *,
    surface: str = "standard_surface",
    inputs: Mapping[str, tuple[str, Any]] | None = None,
    graph: str = "",
    name: str = "Surface",
) -> UsdShade.Material:
    """A Material with one of `SURFACES` on outputs:mtlx:surface.

    color: value or From of the base colour. graph: name of a NodeGraph to put ``nodes`` into,
    whose outputs hand on what the surface takes. name: of the surface shader.
    """
    identifier, color_input = SURFACES[surface]
    material = UsdShade.Material.Define(stage, path)
    where = f"{path}/{graph}" if graph else path
    if graph:
        UsdShade.NodeGraph.Define(stage, where)
    add_nodes(stage, where, nodes or {})
    shader = UsdShade.Shader.Define(stage, f"{path}/{name}")
    shader.CreateIdAttr(identifier)
    for key, (kind, value) in {color_input: ("color3", color), **(inputs or {})}.items():
        item = shader.CreateInput(key, TYPES[kind])
        if graph and isinstance(value, From):
            output = UsdShade.NodeGraph.Get(stage, where).CreateOutput(key, TYPES[kind])
            source = UsdShade.Shader.Get(stage, f"{where}/{value.node}")
            output.ConnectToSource(source.CreateOutput(value.output, TYPES[kind]))
            item.ConnectToSource(output)
        else:
            set_input(stage, path, item, kind, value)
    material.CreateSurfaceOutput("mtlx").ConnectToSource(shader.CreateOutput("out", Sdf.ValueTypeNames.Token))
    return material
