"""NVIDIA's asset validator finds nothing in a result that it does not find in the source."""

from collections.abc import Callable
from pathlib import Path

import pytest
from author_results import author_groups, write_result
from conftest import build_style_folder, build_tiny_stage, define_quad
from instance_stages import add_point_instancer, make_asset, make_shot, new_stage
from meshes import cube
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdUtils
from shows import make_show
from skeletons import figure
from stylize_api import QUICK, edit
from udim_stages import build_udim_stage

import usdstylize
from usdstylize import stylize

from .nvidia import findings, own_findings

pytestmark = pytest.mark.usdmtlx

SAMPLES = Path(__file__).parents[2] / "sample_stages"


def plain(folder: Path) -> Path:
    return write_result(build_tiny_stage(folder / "shot"))


def two_styles(folder: Path) -> Path:
    stage = build_tiny_stage(folder / "shot")
    write_result(stage)
    return write_result(stage, "gouache", seed=1)


def mix(folder: Path) -> Path:
    result = two_styles(folder)
    assert usdstylize.mix(result, {"ink": 0.7, "gouache": 0.3}).objects
    return result


def one_network(folder: Path) -> Path:
    return write_result(build_tiny_stage(folder / "shot"), network="mtlx")


def subsets(folder: Path) -> Path:
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    mesh = UsdGeom.Mesh.Get(stage, "/World/Left")
    mesh.GetFaceVertexCountsAttr().Set([3, 3])
    mesh.GetFaceVertexIndicesAttr().Set([0, 1, 2, 0, 2, 3])
    for index, name in enumerate(("lower", "upper")):
        subset = UsdGeom.Subset.CreateGeomSubset(
            mesh, name, UsdGeom.Tokens.face, [index], "materialBind", UsdGeom.Tokens.partition
        )
        material = UsdShade.Material.Get(stage, "/World/Looks/Paint")
        UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
    stage.Save()
    return write_result(path)


def display_color(folder: Path) -> Path:
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    right = stage.GetPrimAtPath("/World/Right")
    UsdShade.MaterialBindingAPI(right).UnbindAllBindings()
    colors = UsdGeom.Gprim(right).CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex)
    colors.Set([Gf.Vec3f(1, 0, 0), Gf.Vec3f(0, 1, 0), Gf.Vec3f(0, 0, 1), Gf.Vec3f(1, 1, 1)])
    UsdGeom.Gprim(right).CreateDisplayOpacityPrimvar(UsdGeom.Tokens.constant).Set([0.4])
    stage.Save()
    return write_result(path)


def stronger_ancestor(folder: Path) -> Path:
    """A binding that only a collection can overrule."""
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/World")).Bind(
        UsdShade.Material.Get(stage, "/World/Looks/Paint"), UsdShade.Tokens.strongerThanDescendants
    )
    stage.Save()
    return write_result(path)


def other_renderers(folder: Path) -> Path:
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    material = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    for context in ("ri", "arnold"):
        shader = UsdShade.Shader.Define(stage, f"/World/Looks/Paint/{context}")
        shader.CreateIdAttr(f"{context}_surface")
        material.CreateSurfaceOutput(context).ConnectToSource(
            shader.CreateOutput("out", Sdf.ValueTypeNames.Token)
        )
    stage.Save()
    return write_result(path)


def usdz(folder: Path) -> Path:
    package = folder / "tiny.usdz"
    assert UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(build_tiny_stage(folder / "shot"))), str(package))
    return write_result(package)


def blocked_renderers(folder: Path) -> Path:
    """Surfaces of other renderers blocked by empty connections."""
    other_renderers(folder)
    return write_result(folder / "shot" / "tiny.usda", "blocked", block_contexts=("all",))


def udim(folder: Path) -> Path:
    return author_groups(build_udim_stage(folder / "shot"))


def shared_look(folder: Path) -> Path:
    return author_groups(build_tiny_stage(folder / "shot"), share_materials=True)


def instances(folder: Path) -> Path:
    """Scene-graph instances, nested ones too."""
    return write_result(make_shot(folder / "shot"))


def instancer(folder: Path) -> Path:
    asset = make_asset(folder / "shot")
    stage = new_stage(folder / "shot", "shot.usda", "/World")
    stage.DefinePrim("/World/Many/Prototype").GetReferences().AddReference(asset)
    add_point_instancer(stage, "/World/Many", ["/World/Many/Prototype"])
    stage.Save()
    return write_result(folder / "shot" / "shot.usda")


def unwrapped(folder: Path) -> Path:
    """UVs of ours as a new primvar."""
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    for name in ("Left", "Right"):
        stage.GetPrimAtPath(f"/World/{name}").RemoveProperty("primvars:st")
    diffuse = UsdShade.Shader.Get(stage, "/World/Looks/Paint/Surface").GetInput("diffuseColor")
    diffuse.ClearSources()
    diffuse.Set(Gf.Vec3f(0.2, 0.5, 0.8))
    stage.Save()
    return write_result(path)


def still_life(folder: Path) -> Path:
    """References, payloads, normal maps, subsets, nine objects."""
    return write_result(SAMPLES / "still_life.usda", output=folder / "out")


def skinned(folder: Path) -> Path:
    """A joint and a blend shape move it; UVs of ours beside what binds it to them."""
    return write_result(figure(folder, uvs=False))


def subdivided(folder: Path) -> Path:
    """A Catmull-Clark surface with a crease."""
    stage, mesh = cube(folder / "cube.usda")
    stage.SetDefaultPrim(mesh.GetPrim())
    mesh.CreateCreaseIndicesAttr([2, 3, 7, 6, 2])
    mesh.CreateCreaseLengthsAttr([5])
    mesh.CreateCreaseSharpnessesAttr([2.0])
    stage.Save()
    return write_result(folder / "cube.usda")


def purposes(folder: Path) -> Path:
    """A proxy that wears its render mesh's look, a guide, something hidden, kinds."""
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    Usd.ModelAPI(stage.GetPrimAtPath("/World")).SetKind("component")
    left, right = (UsdGeom.Mesh.Get(stage, f"/World/{name}") for name in ("Left", "Right"))
    left.CreatePurposeAttr("render")
    left.SetProxyPrim(right)
    right.CreatePurposeAttr("proxy")
    paint = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    define_quad(stage, "/World/Guide", paint).CreatePurposeAttr("guide")
    define_quad(stage, "/World/Hidden", paint).MakeInvisible()
    stage.Save()
    return author_groups(path, purposes=("default", "render", "proxy"))


def stylize_api(folder: Path) -> Path:
    """What the stage asks for is applied as our schema, and followed by a run."""
    path = edit(
        build_tiny_stage(folder / "shot"),
        World={"strength": 0.5, "seed": 7, "textureResolution": 64},
        Right={"palette": [(0.9, 0.5, 0.1)], "patternScale": 2.0},
    )
    return stylize(path, build_style_folder(folder / "ink"), QUICK).root_layer


def metadata(folder: Path) -> Path:
    build_tiny_stage(folder / "shot")
    return write_result(make_show(folder / "shot"))


KINDS = (
    plain,
    two_styles,
    mix,
    one_network,
    subsets,
    display_color,
    stronger_ancestor,
    other_renderers,
    blocked_renderers,
    udim,
    shared_look,
    instances,
    instancer,
    unwrapped,
    skinned,
    subdivided,
    purposes,
    stylize_api,
    metadata,
    usdz,
    still_life,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_finding_is_ours(kind: Callable[[Path], Path], tmp_path: Path) -> None:
    assert own_findings(kind(tmp_path)) == []


def test_it_does_find_what_is_wrong(tmp_path: Path) -> None:
    result = plain(tmp_path)
    layer = Sdf.Layer.FindOrOpen(str(result.with_name("tiny.style.usda")))
    path = "/World/StylizedLooks/World__Left{style=ink}StylizedNetwork/Sum.info:id"
    layer.GetAttributeAtPath(path).default = "ND_add_color333"
    layer.Save()
    assert any("ND_add_color333" in message for *_, message in findings(result)[result])
    assert len(own_findings(result)) == 1
