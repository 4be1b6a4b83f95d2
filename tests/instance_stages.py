"""Stages of instances for the tests: quads in a prototype, many times over."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from conftest import define_material, define_quad
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, UsdShade

from usdstylize.model.objects import StageContents

LOOKS = "/World/StylizedLooks"
QUADS = ["/World/A1/Geo/Quad", "/World/A2/Geo/Quad", "/World/A3/Geo/Quad",
         "/World/B1/Inner/Geo/Quad", "/World/B2/Inner/Geo/Quad"]  # fmt: skip
"""The quads of `make_shot`, through whichever instance."""


def new_stage(folder: Path, name: str, root: str) -> Usd.Stage:
    """A stage of ours with a default prim, beside ``textures/color.png``."""
    (folder / "textures").mkdir(parents=True, exist_ok=True)
    codes = np.random.default_rng(1).integers(40, 200, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(codes).save(folder / "textures" / "color.png")
    stage = Usd.Stage.CreateNew(str(folder / name))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetDefaultPrim(UsdGeom.Xform.Define(stage, root).GetPrim())
    return stage


def make_asset(folder: Path, name: str = "asset", *, bound: bool = True, meshes: int = 1) -> str:
    """``<name>.usda`` with /Asset/Geo/Quad (Quad1, …) and a material inside; its relative path."""
    stage = new_stage(folder, f"{name}.usda", "/Asset")
    material = define_material(stage, "/Asset/Looks/Paint", "./textures/color.png")
    for number in range(meshes):
        mesh = define_quad(stage, f"/Asset/Geo/Quad{number or ''}", material, x=1.5 * number)
        if not bound:
            UsdShade.MaterialBindingAPI(mesh.GetPrim()).UnbindAllBindings()
    stage.Save()
    return f"./{name}.usda"


def make_outer(folder: Path, inner: str, name: str = "outer") -> str:
    """``<name>.usda``: a quad of its own and the instance /Outer/Inner of ``inner``."""
    stage = new_stage(folder, f"{name}.usda", "/Outer")
    material = define_material(stage, "/Outer/Looks/Board", "./textures/color.png")
    define_quad(stage, "/Outer/Board", material, x=3.0)
    add_instances(stage, inner, ["/Outer/Inner"])
    stage.Save()
    return f"./{name}.usda"


def add_instances(stage: Usd.Stage, asset: str, paths: Iterable[str]) -> None:
    for number, path in enumerate(paths):
        prim = UsdGeom.Xform.Define(stage, path)
        prim.AddTranslateOp().Set((0.0, 2.0 * number, 0.0))
        prim.GetPrim().GetReferences().AddReference(asset)
        prim.GetPrim().SetInstanceable(True)


def add_point_instancer(stage: Usd.Stage, path: str, prototypes: Iterable[str]) -> UsdGeom.PointInstancer:
    """Two points for each prototype."""
    instancer = UsdGeom.PointInstancer.Define(stage, path)
    targets = list(prototypes)
    instancer.CreatePrototypesRel().SetTargets([Sdf.Path(target) for target in targets])
    indices = [index for index in range(len(targets)) for _ in range(2)]
    instancer.CreateProtoIndicesAttr(indices)
    instancer.CreatePositionsAttr([(2.0 * number, 0.0, 0.0) for number in range(len(indices))])
    return instancer


def make_shot(folder: Path) -> Path:
    """``shot.usda``: /World/A1 to A3 of the asset, /World/B1 and B2 that hold another each."""
    inner = make_asset(folder)
    outer = make_outer(folder, inner)
    stage = new_stage(folder, "shot.usda", "/World")
    add_instances(stage, inner, ["/World/A1", "/World/A2", "/World/A3"])
    add_instances(stage, outer, ["/World/B1", "/World/B2"])
    stage.Save()
    return folder / "shot.usda"


def make_two_looks(folder: Path) -> Path:
    """``shot.usda``: three instances of one asset, the second of them in another material from outside."""
    asset = make_asset(folder, bound=False)
    stage = new_stage(folder, "shot.usda", "/World")
    add_instances(stage, asset, ["/World/A1", "/World/A2", "/World/A3"])
    for name, looks in (("Red", ["A1", "A3"]), ("Blue", ["A2"])):
        material = define_material(stage, f"/World/Looks/{name}", "./textures/color.png")
        for place in looks:
            UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath(f"/World/{place}")).Bind(material)
    stage.Save()
    return folder / "shot.usda"


def edit(root: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(root))


def shared(opened: Usd.Stage) -> list[list[str]]:
    """The instances of each prototype."""
    found = [
        sorted(str(prim.GetPath()) for prim in prototype.GetInstances() if not prim.IsInPrototype())
        for prototype in opened.GetPrototypes()
    ]
    return sorted(filter(None, found))


def paths(contents: StageContents) -> list[str]:
    return [found.path for found in contents.objects]


def reasons(contents: StageContents) -> dict[str, str]:
    return {skipped.path: skipped.reason for skipped in contents.skipped}
