"""Skeletons of one joint, for meshes that move with it."""

from collections.abc import Mapping
from pathlib import Path

from conftest import build_tiny_stage, define_quad
from pxr import Gf, Usd, UsdGeom, UsdShade, UsdSkel

__all__ = ["BODY", "add_skeleton", "animate", "figure"]

JOINT = "Hip"


def add_skeleton(stage: Usd.Stage, path: str, mesh: UsdGeom.Mesh) -> UsdSkel.Skeleton:
    """One joint at the origin, which the whole mesh follows. Both must lie below a SkelRoot."""
    skeleton = UsdSkel.Skeleton.Define(stage, path)
    skeleton.CreateJointsAttr([JOINT])
    skeleton.CreateBindTransformsAttr([Gf.Matrix4d(1)])
    skeleton.CreateRestTransformsAttr([Gf.Matrix4d(1)])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    count = len(mesh.GetPointsAttr().Get())
    binding.CreateJointIndicesPrimvar(False, 1).Set([0] * count)
    binding.CreateJointWeightsPrimvar(False, 1).Set([1.0] * count)
    return skeleton


def animate(
    skeleton: UsdSkel.Skeleton, path: str, moves: Mapping[float, tuple[float, float, float]]
) -> UsdSkel.Animation:
    """An animation that carries the joint to ``moves[frame]``, without turning it."""
    animation = UsdSkel.Animation.Define(skeleton.GetPrim().GetStage(), path)
    animation.CreateJointsAttr([JOINT])
    animation.CreateRotationsAttr([Gf.Quatf(1)])
    animation.CreateScalesAttr([Gf.Vec3h(1, 1, 1)])
    translations = animation.CreateTranslationsAttr()
    for frame, move in moves.items():
        translations.Set([Gf.Vec3f(*move)], frame)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    return animation


BODY = "/Figure/Body"


def figure(folder: Path, *, uvs: bool = True) -> Path:
    """A unit quad on a joint that rises by 9 from frame 1 to 10; its last corner smiles by 2 to the front."""
    path = build_tiny_stage(folder / "shot")
    stage = Usd.Stage.Open(str(path))
    stage.SetStartTimeCode(1)
    stage.SetEndTimeCode(10)
    UsdSkel.Root.Define(stage, "/Figure")
    paint = UsdShade.Material.Get(stage, "/World/Looks/Paint")
    quad = define_quad(stage, BODY, paint, uvs=uvs)
    skeleton = add_skeleton(stage, "/Figure/Skeleton", quad)
    animation = animate(skeleton, "/Figure/Animation", {1: (0, 0, 0), 10: (0, 9, 0)})
    animation.CreateBlendShapesAttr(["smile"])
    animation.CreateBlendShapeWeightsAttr().Set([0.0], 1)
    animation.GetBlendShapeWeightsAttr().Set([1.0], 10)
    smile = UsdSkel.BlendShape.Define(stage, f"{BODY}/Smile")
    smile.CreateOffsetsAttr([Gf.Vec3f(0, 0, 2)])
    smile.CreatePointIndicesAttr([3])
    binding = UsdSkel.BindingAPI(quad)
    binding.CreateBlendShapesAttr(["smile"])
    binding.CreateBlendShapeTargetsRel().SetTargets([smile.GetPath()])
    stage.Save()
    return path
