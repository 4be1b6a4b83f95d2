"""Every node of our networks is one that MaterialX or USD defines, its inputs of the types defined."""

from functools import cache
from pathlib import Path
from typing import Any

import MaterialX as mx
import pytest
from author_results import surface, write_result
from pxr import Sdr, Usd, UsdShade
from surface_inputs import (
    BASE,
    CONSTANTS,
    OURS,
    SIZE,
    SPECULAR,
    TEXTURES,
    add_mtlx_surface,
    add_preview_surface,
    new_stage,
)

TYPES = {
    "asset": "filename",
    "bool": "boolean",
    "color3f": "color3",
    "float": "float",
    "float2": "vector2",
    "float3": "vector3",
    "float4": "vector4",
    "int": "integer",
    "normal3f": "vector3",
    "string": "string",
    "token": "surfaceshader",
    "vector3f": "vector3",
}
"""Of USD, and what MaterialX calls them."""
SAME = {("float2", "texCoord2f"), ("float3", "color3f"), ("float3", "normal3f")}
"""Types of what UsdPreviewSurface's nodes hand on and of the inputs that take it."""


@cache
def library() -> Any:
    """MaterialX's own definitions."""
    found = mx.createDocument()
    mx.loadLibraries(mx.getDefaultDataLibraryFolders(), mx.getDefaultDataSearchPath(), found)
    return found


def reached(shader: UsdShade.Shader) -> dict[str, UsdShade.Shader]:
    """A shader and all that its inputs are connected to, by path."""
    found, waiting = {}, [shader]
    while waiting:
        node = waiting.pop()
        found[str(node.GetPath())] = node
        for given in node.GetInputs():
            for attribute in given.GetValueProducingAttributes():
                if UsdShade.Output.IsOutput(attribute):
                    waiting.append(UsdShade.Shader(attribute.GetPrim()))
    return found


def faults(node: UsdShade.Shader) -> list[str]:
    """What the definition of a node does not allow."""
    identifier = node.GetShaderId()
    if identifier.startswith("ND_"):
        definition = library().getNodeDef(identifier)
        inputs = definition.getActiveInputs() if definition else []
        declared = {item.getName(): item.getType() for item in inputs}
    else:
        definition = Sdr.Registry().GetShaderNodeByIdentifier(identifier)
        names = definition.GetShaderInputNames() if definition else []
        declared = {
            name: str(definition.GetShaderInput(name).GetTypeAsSdfType().GetSdfType()) for name in names
        }
    if not definition:
        return [f"{identifier} is not defined"]
    wrong = []
    for given in node.GetInputs():
        name, kind = given.GetBaseName(), str(given.GetTypeName())
        own = TYPES[kind] if identifier.startswith("ND_") else kind
        if declared.get(name) != own:
            wrong.append(f"{identifier}.{name} is a {own} and not a {declared.get(name)}")
        for path in given.GetAttr().GetConnections():
            # A node sees its siblings and what its own container is given, and nothing beyond.
            if node.GetPath().GetParentPath() not in (path.GetPrimPath(), path.GetPrimPath().GetParentPath()):
                wrong.append(f"{identifier}.{name} reaches out of its container to {path}")
        for attribute in given.GetValueProducingAttributes():
            source = str(attribute.GetTypeName())
            if source != kind and (kind, source) not in SAME and (source, kind) not in SAME:
                wrong.append(f"{identifier}.{name}, a {kind}, reads a {source}")
    return wrong


PREVIEW: dict[str, dict[str, Any]] = {
    "plain": {},
    "textures": TEXTURES,
    "specular textures": SPECULAR,
    "transparent metal": {"metallic": TEXTURES["metallic"], "opacity": TEXTURES["opacity"]},
    "cut out": {"opacity": TEXTURES["opacity"], "opacityThreshold": 0.35, "ior": 1.9},
}


def check(opened: Usd.Stage) -> None:
    for context in ("mtlx", ""):
        nodes = reached(surface(opened, OURS, context))
        assert len(nodes) > 2
        assert {path: wrong for path, node in nodes.items() if (wrong := faults(node))} == {}


@pytest.mark.parametrize("name", PREVIEW)
def test_of_a_preview_surface(tmp_path: Path, name: str) -> None:
    stage = new_stage(tmp_path)
    add_preview_surface(stage, PREVIEW[name], BASE)
    stage.Save()
    check(Usd.Stage.Open(str(write_result(tmp_path / "scene.usda", size=SIZE))))


def test_of_inputs_that_the_material_hands_on(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    add_preview_surface(stage, CONSTANTS, interface=True)
    stage.Save()
    check(Usd.Stage.Open(str(write_result(tmp_path / "scene.usda", size=SIZE))))


@pytest.mark.parametrize("kind", ["standard_surface", "open_pbr", "gltf_pbr"])
def test_of_a_materialx_surface(tmp_path: Path, kind: str) -> None:
    stage = new_stage(tmp_path)
    add_mtlx_surface(stage, kind, {})
    stage.Save()
    check(Usd.Stage.Open(str(write_result(tmp_path / "scene.usda", size=SIZE))))
