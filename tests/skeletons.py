"""Skeletons of one joint, for meshes that move with it."""

from collections.abc import Mapping

from pxr import Gf, Usd, UsdGeom, UsdSkel

__all__ = ["add_skeleton", "animate"]

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
