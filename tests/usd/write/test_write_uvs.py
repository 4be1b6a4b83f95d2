"""The preview network's UVs where the source transforms its own several times."""

from pathlib import Path

import numpy as np
import pytest
from author_results import failures, hold, write_result
from network_values import Network, points, turned
from pxr import Gf, Sdf, Usd, UsdShade

READER, TEXTURE = "/World/Looks/Paint/Reader", "/World/Looks/Paint/Texture"
STEPS = [(30.0, (2.0, 0.5), (0.1, -0.2)), (-70.0, (1.0, 1.5), (0.0, 0.3)), (10.0, (0.7, 1.0), (-0.4, 0.0))]
"""Rotation in degrees, scale and translation of each UsdTransform2d."""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_step_of_a_chain_is_in_the_preview_network(tiny_stage: Path, count: int) -> None:
    source = Usd.Stage.Open(str(tiny_stage))
    out = UsdShade.Shader.Get(source, READER).GetOutput("result")
    for number, (rotation, scale, translation) in enumerate(STEPS[:count]):
        node = UsdShade.Shader.Define(source, f"{TEXTURE}Place{number}")
        node.CreateIdAttr("UsdTransform2d")
        node.CreateInput("in", Sdf.ValueTypeNames.Float2).ConnectToSource(out)
        node.CreateInput("rotation", Sdf.ValueTypeNames.Float).Set(rotation)
        node.CreateInput("scale", Sdf.ValueTypeNames.Float2).Set(Gf.Vec2f(*scale))
        node.CreateInput("translation", Sdf.ValueTypeNames.Float2).Set(Gf.Vec2f(*translation))
        out = node.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    UsdShade.Shader.Get(source, TEXTURE).GetInput("st").ConnectToSource(out)
    source.Save()
    result = write_result(tiny_stage)
    hold(result)
    opened = Usd.Stage.Open(str(result))
    uvs = points()
    expected = uvs["st"]
    for rotation, scale, translation in STEPS[:count]:
        # USD: scaled, then turned, then moved.
        expected = turned(expected * scale, rotation) + translation
    material = UsdShade.Material.Get(opened, "/World/StylizedLooks/World__Left")
    surface = material.ComputeSurfaceSource()[0]
    bake = UsdShade.Shader(surface.GetInput("diffuseColor").GetValueProducingAttributes()[0].GetPrim())
    assert bake.GetShaderId() == "UsdUVTexture"
    np.testing.assert_allclose(Network(uvs).input(bake, "st"), expected, atol=1e-5)


def test_verify_finds_a_bake_that_is_mirrored_about_a_diagonal(tiny_stage: Path) -> None:
    """The source's map, (s, t) to (1 − t, 1 − s), keeps two corners of the texture where they are."""
    source = Usd.Stage.Open(str(tiny_stage))
    node = UsdShade.Shader.Define(source, f"{TEXTURE}Place")
    node.CreateIdAttr("UsdTransform2d")
    node.CreateInput("in", Sdf.ValueTypeNames.Float2).ConnectToSource(
        UsdShade.Shader.Get(source, READER).GetOutput("result")
    )
    node.CreateInput("rotation", Sdf.ValueTypeNames.Float).Set(90.0)
    node.CreateInput("scale", Sdf.ValueTypeNames.Float2).Set(Gf.Vec2f(-1, 1))
    node.CreateInput("translation", Sdf.ValueTypeNames.Float2).Set(Gf.Vec2f(1, 1))
    out = node.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    UsdShade.Shader.Get(source, TEXTURE).GetInput("st").ConnectToSource(out)
    source.Save()
    result = write_result(tiny_stage)
    hold(result)
    layer = Sdf.Layer.FindOrOpen(str(tiny_stage.with_name("tiny.style.usda")))
    places: list[Sdf.Path] = []
    layer.Traverse("/", lambda path: places.append(path) if path.name == "StylizedTransform" else None)
    assert len(places) == 2
    straight = {"rotation": 0.0, "scale": Gf.Vec2f(1, 1), "translation": Gf.Vec2f(0, 0)}
    for name, value in straight.items():
        layer.GetAttributeAtPath(places[0].AppendProperty(f"inputs:{name}")).default = value
    layer.Save()
    assert len(failures(result)) == 1
    assert {name for name, _ in failures(result)} == {"bake"}
