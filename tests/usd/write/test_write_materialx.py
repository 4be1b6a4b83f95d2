"""The style before a MaterialX surface: what is written, by stock USD and by our own verification."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from author_results import discover, offsets, problems, texture, write_result
from conftest import define_material, unchanged
from mtlx_scenes import From, Node, add_mtlx_material, add_nodes, image, set_input, uv
from pxr import Gf, Sdf, Usd, UsdShade

from usdstylize.usd import read as reading
from usdstylize.usd import verify, write

LOOK, OURS = "/World/Looks/Glaze", "/World/StylizedLooks/World__Left"
A = From("A")
PLAIN = {"UV": uv(), "A": image("./textures/color.png")}


def edit(path: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(path))


def glaze(root: Path, color: Any = A, nodes: Any = PLAIN, **options: Any) -> Usd.Stage:
    """The tiny stage with a MaterialX material on /World/Left."""
    stage = edit(root)
    material = add_mtlx_material(stage, LOOK, color, nodes, **options)
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Left")).Bind(material)
    stage.Save()
    return stage


def sound(root: Path, **options: Any) -> Usd.Stage:
    """Stylise, hold the result against every validator and our own check, and open it."""
    with unchanged(root, root.parent / "textures"):
        result = write_result(root, **options)
    assert problems(result) == []
    assert verify.verify(result).failed == ()
    return edit(result)


def live(opened: Usd.Stage) -> UsdShade.Shader:
    return UsdShade.Material.Get(opened, OURS).ComputeSurfaceSource("mtlx")[0]


def preview(opened: Usd.Stage) -> UsdShade.Shader:
    return UsdShade.Material.Get(opened, OURS).ComputeSurfaceSource()[0]


def fed_by(shader: UsdShade.Shader, name: str) -> UsdShade.Shader:
    """The shader that computes an input, behind node graphs."""
    return UsdShade.Shader(shader.GetInput(name).GetValueProducingAttributes()[0].GetPrim())


@pytest.mark.parametrize("surface", ["standard_surface", "open_pbr", "gltf_pbr", "preview"])
@pytest.mark.parametrize("graph", ["", "Graph"])
def test_the_same_surface_takes_the_stylised_color(tiny_stage: Path, surface: str, graph: str) -> None:
    rough = {"open_pbr": "specular_roughness", "standard_surface": "specular_roughness"}.get(
        surface, "roughness"
    )
    source = glaze(tiny_stage, surface=surface, graph=graph, inputs={rough: ("float", 0.35)})
    opened = sound(tiny_stage)
    shader = live(opened)
    assert shader.GetPath() == f"{OURS}/Surface"
    assert shader.GetShaderId() == UsdShade.Shader.Get(source, f"{LOOK}/Surface").GetShaderId()
    # Other inputs are the source's own, not copies.
    UsdShade.Shader.Get(source, f"{LOOK}/Surface").GetInput(rough).Set(0.85)
    source.Save()
    assert shader.GetInput(rough).Get() == pytest.approx(0.85)
    name = "diffuseColor" if surface == "preview" else "base_color"
    assert fed_by(shader, name).GetPrim().GetName() == "ToLinear"
    taken = UsdShade.NodeGraph.Get(opened, f"{OURS}/StylizedNetwork").GetInput("base")
    where = f"{OURS}/{graph}/A" if graph else f"{OURS}/A"
    assert str(taken.GetValueProducingAttributes()[0].GetPrim().GetPath()) == where


def test_the_original_variant_is_the_source(tiny_stage: Path) -> None:
    glaze(tiny_stage)
    result = write_result(tiny_stage)
    write.select(result, "original")
    assert str(fed_by(live(edit(result)), "base_color").GetPath()) == f"{OURS}/A"


def test_a_second_style_joins_as_a_variant(tiny_stage: Path) -> None:
    glaze(tiny_stage)
    write_result(tiny_stage)
    opened = sound(tiny_stage, style="gouache", seed=1)
    variants = opened.GetPrimAtPath(OURS).GetVariantSet("style")
    assert sorted(variants.GetVariantNames()) == ["gouache", "ink", "original"]


def test_a_surface_in_a_node_graph_is_reached_there(tiny_stage: Path) -> None:
    stage = edit(tiny_stage)
    material = UsdShade.Material.Define(stage, LOOK)
    for graph in (f"{LOOK}/Outer", f"{LOOK}/Outer/Inner"):
        UsdShade.NodeGraph.Define(stage, graph)
    where = f"{LOOK}/Outer/Inner"
    add_nodes(stage, where, PLAIN)
    surface = UsdShade.Shader.Define(stage, f"{where}/Surface")
    surface.CreateIdAttr("ND_standard_surface_surfaceshader")
    set_input(stage, where, surface.CreateInput("base_color", Sdf.ValueTypeNames.Color3f), "color3", A)
    handed = surface.CreateOutput("out", Sdf.ValueTypeNames.Token)
    for graph in (where, f"{LOOK}/Outer"):
        output = UsdShade.NodeGraph.Get(stage, graph).CreateOutput("surface", Sdf.ValueTypeNames.Token)
        output.ConnectToSource(handed)
        handed = output
    material.CreateSurfaceOutput("mtlx").ConnectToSource(handed)
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Left")).Bind(material)
    stage.Save()
    opened = sound(tiny_stage)
    assert live(opened).GetPath() == f"{OURS}/Outer/Inner/Surface"
    graph = UsdShade.NodeGraph.Get(opened, f"{OURS}/Outer/Inner/StylizedNetwork")
    UsdShade.Material.Get(opened, OURS).GetInput("strength").Set(0.25)
    assert graph.GetInput("strength").GetValueProducingAttributes()[0].Get() == pytest.approx(0.25)


def test_a_surface_outside_its_material_is_copied_into_ours(tiny_stage: Path) -> None:
    stage = glaze(tiny_stage, Gf.Vec3f(0.2, 0.4, 0.6), {}, inputs={"specular_roughness": ("float", 0.35)})
    shared = UsdShade.Material.Define(stage, "/World/Looks/Shared")
    shared.CreateSurfaceOutput("mtlx").ConnectToSource(
        UsdShade.Shader.Get(stage, f"{LOOK}/Surface").GetOutput("out")
    )
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Left")).Bind(shared)
    coat = UsdShade.Shader.Get(stage, f"{LOOK}/Surface").CreateInput("coat", Sdf.ValueTypeNames.Float)
    for frame, value in ((1.0, 0.25), (9.0, 0.75)):
        coat.Set(value, frame)
    tint = UsdShade.Shader.Get(stage, f"{LOOK}/Surface").CreateInput(
        "specular_color", Sdf.ValueTypeNames.Color3f
    )
    tint.Set(Gf.Vec3f(0.5))
    tint.GetAttr().SetColorSpace("srgb_texture")
    stage.Save()
    opened = edit(write_result(tiny_stage))
    assert live(opened).GetPath().HasPrefix(OURS)
    assert live(opened).GetInput("specular_roughness").Get() == pytest.approx(0.35)
    assert [live(opened).GetInput("coat").Get(time) for time in (1.0, 5.0, 9.0)] == [0.25, 0.5, 0.75]
    assert live(opened).GetInput("specular_color").GetAttr().GetColorSpace() == "srgb_texture"
    assert fed_by(live(opened), "base_color").GetPrim().GetName() == "ToLinear"
    untouched = UsdShade.Shader.Get(opened, f"{LOOK}/Surface").GetInput("base_color")
    assert untouched.Get() == Gf.Vec3f(0.2, 0.4, 0.6)


def both_surfaces(root: Path) -> Usd.Stage:
    """Paint's UsdPreviewSurface and a standard_surface in one material, each with inputs of its own."""
    stage = glaze(root, inputs={"specular_roughness": ("float", 0.35), "coat": ("float", 0.5)})
    other = define_material(stage, "/World/Looks/Other", "./textures/color.png")
    layer = stage.GetRootLayer()
    for prim in other.GetPrim().GetChildren():
        Sdf.CopySpec(layer, prim.GetPath(), layer, f"{LOOK}/Preview{prim.GetName()}")
    surface = UsdShade.Shader.Get(stage, f"{LOOK}/PreviewSurface")
    texture = UsdShade.Shader.Get(stage, f"{LOOK}/PreviewTexture")
    surface.GetInput("diffuseColor").ConnectToSource(texture.GetOutput("rgb"))
    texture.GetInput("st").ConnectToSource(
        UsdShade.Shader.Get(stage, f"{LOOK}/PreviewReader").GetOutput("result")
    )
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(0.75)
    UsdShade.Material.Get(stage, LOOK).CreateSurfaceOutput().ConnectToSource(surface.GetOutput("surface"))
    stage.RemovePrim("/World/Looks/Other")
    stage.Save()
    return stage


def test_of_two_surfaces_each_is_stylised_its_own_way(tiny_stage: Path) -> None:
    both_surfaces(tiny_stage)
    opened = sound(tiny_stage)
    assert live(opened).GetShaderId() == "ND_standard_surface_surfaceshader"
    assert live(opened).GetInput("specular_roughness").Get() == pytest.approx(0.35)
    assert live(opened).GetInput("coat").Get() == pytest.approx(0.5)
    assert preview(opened).GetPath() == f"{OURS}/PreviewSurface"
    assert preview(opened).GetInput("roughness").Get() == pytest.approx(0.75)
    assert fed_by(preview(opened), "diffuseColor").GetPrim().GetName() == "StylizedBake"


@pytest.mark.parametrize("network", ["preview", "mtlx"])
def test_one_network_alone(tiny_stage: Path, network: str) -> None:
    both_surfaces(tiny_stage)
    opened = sound(tiny_stage, network=network)
    shown = UsdShade.Material.Get(opened, OURS)
    assert shown.GetSurfaceOutput("mtlx").HasConnectedSource() == (network == "mtlx")
    if network == "preview":
        assert fed_by(preview(opened), "diffuseColor").GetPrim().GetName() == "StylizedBake"
    else:
        assert fed_by(live(opened), "base_color").GetPrim().GetName() == "ToLinear"


def test_a_materialx_surface_on_the_universal_output_is_stylised_too(tiny_stage: Path) -> None:
    stage = glaze(tiny_stage)
    material = UsdShade.Material.Get(stage, LOOK)
    material.GetPrim().RemoveProperty("outputs:mtlx:surface")
    material.CreateSurfaceOutput().ConnectToSource(
        UsdShade.Shader.Get(stage, f"{LOOK}/Surface").GetOutput("out")
    )
    stage.Save()
    opened = sound(tiny_stage)
    assert live(opened).GetPath() == f"{OURS}/Surface"
    assert preview(opened).GetShaderId() == "UsdPreviewSurface"


def test_an_interface_input_stays_an_artists_control(tiny_stage: Path) -> None:
    stage = glaze(tiny_stage, Sdf.Path(f"{LOOK}.inputs:tint"), {})
    tint = UsdShade.Material.Get(stage, LOOK).CreateInput("tint", Sdf.ValueTypeNames.Color3f)
    tint.Set(Gf.Vec3f(0.2, 0.4, 0.6))
    stage.Save()
    opened = sound(tiny_stage)
    tint.Set(Gf.Vec3f(0.5))
    stage.Save()
    base = UsdShade.NodeGraph.Get(opened, f"{OURS}/StylizedNetwork").GetInput("base")
    assert base.GetValueProducingAttributes()[0].Get() == Gf.Vec3f(0.5)


ORM = {
    **PLAIN,
    "ORM": image("./textures/color.png", kind="vector3", color_space=None),
    "G": Node("ND_extract_vector3", "float", {"in": ("vector3", From("ORM")), "index": ("integer", 1)}),
    "Half": Node("ND_multiply_float", "float", {"in1": ("float", From("G")), "in2": ("float", 0.5)}),
    "Bumps": Node("ND_normalmap_float", "vector3", {"in": ("vector3", From("ORM")), "scale": ("float", 1.0)}),
    "Noise": Node("ND_noise2d_float", "float", {"texcoord": ("vector2", From("UV"))}),
}


def texture_of(
    surface: UsdShade.Shader, name: str, file: str = "textures/color.png"
) -> tuple[str, Any, Any, str]:
    """Output, scale, bias and colour space of the UsdUVTexture that feeds an input from that file."""
    attribute = surface.GetInput(name).GetValueProducingAttributes()[0]
    node = UsdShade.Shader(attribute.GetPrim())
    assert node.GetShaderId() == "UsdUVTexture"
    assert node.GetInput("file").Get().path.endswith(file)
    values = (node.GetInput(key).Get() for key in ("scale", "bias", "sourceColorSpace"))
    return (attribute.GetName(), *values)  # type: ignore[return-value]


def test_the_preview_network_says_the_same_where_it_can(tiny_stage: Path) -> None:
    glaze(
        tiny_stage,
        nodes=ORM,
        inputs={
            "base": ("float", 0.5),
            "specular_roughness": ("float", From("Half")),
            "metalness": ("float", 0.25),
            "coat": ("float", From("Noise")),
            "emission": ("float", 2.0),
            "emission_color": ("color3", A),
            "opacity": ("color3", Gf.Vec3f(0.75)),
            "normal": ("vector3", From("Bumps")),
            "transmission": ("float", 0.5),
        },
    )
    opened = sound(tiny_stage)
    surface = preview(opened)
    assert surface.GetInput("metallic").Get() == pytest.approx(0.25)
    assert surface.GetInput("opacity").Get() == pytest.approx(0.75)
    assert texture_of(surface, "roughness") == ("outputs:g", Gf.Vec4f(1, 0.5, 1, 1), Gf.Vec4f(0), "raw")
    assert texture_of(surface, "emissiveColor", "ink.baked.png") == (
        "outputs:rgb", Gf.Vec4f(2, 2, 2, 1), None, "sRGB"
    )  # fmt: skip
    assert texture_of(surface, "normal") == (
        "outputs:rgb", Gf.Vec4f(2, 2, 2, 1), Gf.Vec4f(-1, -1, -1, 0), "raw"
    )  # fmt: skip
    assert not surface.GetInput("clearcoat")
    # The weight on the colour, which the live network leaves on its surface.
    assert fed_by(surface, "diffuseColor").GetInput("scale").Get() == Gf.Vec4f(0.5, 0.5, 0.5, 1)
    run = (tiny_stage.parent / "tiny.style/ink/run.json").read_text()
    assert "Noise (ND_noise2d_float)" in run
    assert "inputs:transmission" in run


def test_a_number_is_never_decoded_whatever_is_written_on_its_file(tiny_stage: Path) -> None:
    nodes = PLAIN | {"Rough": image("./textures/color.png", kind="float", color_space="srgb_texture")}
    glaze(tiny_stage, nodes=nodes, inputs={"specular_roughness": ("float", From("Rough"))})
    opened = sound(tiny_stage)
    texture = fed_by(preview(opened), "roughness")
    assert texture.GetInput("sourceColorSpace").Get() == "raw"
    assert texture.GetInput("scale").Get()[0] == 1.0


@pytest.mark.parametrize(
    ("name", "type_name", "value"),
    [
        ("specular", "Float2", Gf.Vec2f(0.5, 1)),
        ("specular_roughness", "FloatArray", []),
        ("base", "FloatArray", []),
        ("emission_color", "FloatArray", [1.0, 2.0]),
    ],
)
def test_a_lobe_of_another_type_is_remarked_and_left_at_its_default(
    tiny_stage: Path, name: str, type_name: str, value: Any
) -> None:
    stage = glaze(tiny_stage)
    surface = UsdShade.Shader.Get(stage, f"{LOOK}/Surface")
    surface.CreateInput(name, getattr(Sdf.ValueTypeNames, type_name)).Set(value)
    stage.Save()
    result = write_result(tiny_stage)
    assert "The preview network" in (tiny_stage.parent / "tiny.style/ink/run.json").read_text()
    assert verify.verify(result).failed == ()


@pytest.mark.parametrize(("mode", "expected"), [(0, (None, None)), (1, (0.25, 0.75)), (2, (0.25, None))])
def test_gltf_alpha_follows_its_mode(tiny_stage: Path, mode: int, expected: tuple[Any, Any]) -> None:
    inputs = {"alpha": ("float", 0.25), "alpha_mode": ("integer", mode), "alpha_cutoff": ("float", 0.75)}
    glaze(tiny_stage, surface="gltf_pbr", inputs=inputs)
    opened = sound(tiny_stage)
    surface = preview(opened)
    items = [surface.GetInput(name) for name in ("opacity", "opacityThreshold")]
    found = tuple(item.Get() if item else None for item in items)
    assert found == expected
    assert surface.GetInput("metallic").Get() == 1
    assert surface.GetInput("roughness").Get() == 1


def test_a_tampered_graph_of_the_source_is_found(tiny_stage: Path) -> None:
    """Verification follows the source's own nodes, not only ours."""
    nodes = PLAIN | {
        "Dim": Node("ND_multiply_color3FA", "color3", {"in1": ("color3", A), "in2": ("float", 0.5)})
    }
    glaze(tiny_stage, From("Dim"), nodes)
    result = write_result(tiny_stage)
    assert verify.verify(result).failed == ()
    opened = edit(result)
    style = Sdf.Layer.FindOrOpen(str(result.with_name("tiny.style.usda")))
    with Usd.EditContext(opened, style):
        UsdShade.Shader.Get(opened, f"{OURS}/Dim").GetInput("in2").Set(0.25)
    style.Save()
    assert {(check.name, check.subject) for check in verify.verify(result).failed} == {
        ("live", "/World/Left (ink)")
    }


def test_a_udim_set_gets_the_preview_network_alone(tiny_stage: Path) -> None:
    """Storm drops a prim whose MaterialX network reads one."""
    for tile in (1001, 1002):
        shutil.copy(tiny_stage.parent / "textures/color.png", tiny_stage.parent / f"textures/tile.{tile}.png")
    nodes = {"UV": uv(), "A": image("./textures/tile.<UDIM>.png")}
    glaze(tiny_stage, nodes=nodes, inputs={"specular_roughness": ("float", 0.35)})
    contents = discover(tiny_stage, ["/World/Left"])
    plan = write.plan(contents, "ink", output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        (obj,) = contents.objects
        style = replace(texture(offsets()), images=(offsets(0), offsets(1)))
        writer.write_object(obj, reading.load(contents, obj), style)
        result = writer.commit({})
    assert problems(result) == []
    assert verify.verify(result).failed == ()
    opened = edit(result)
    assert not UsdShade.Material.Get(opened, OURS).GetSurfaceOutput("mtlx").HasConnectedSource()
    assert fed_by(preview(opened), "diffuseColor").GetInput("file").Get().path.endswith(".baked.<UDIM>.png")
    assert preview(opened).GetInput("roughness").Get() == pytest.approx(0.35)
