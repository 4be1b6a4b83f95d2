"""Meshes that UsdSkel moves: as their bind pose has them, or posed as at a frame."""

import logging

from pxr import Gf, Sdf, Tf, Usd, UsdSkel

__all__ = ["is_deformed", "is_posed", "pose"]

_log = logging.getLogger(__name__)


def is_deformed(mesh: Usd.Prim) -> bool:
    """Whether UsdSkel moves the points when they are drawn."""
    binding = UsdSkel.BindingAPI(mesh)
    joined = binding.GetInheritedSkeleton() and binding.GetJointIndicesPrimvar().HasValue()
    return bool(joined or binding.GetBlendShapeTargetsRel().HasAuthoredTargets())


def is_posed(mesh: Usd.Prim) -> bool:
    """Whether `pose` has moved the mesh's points."""
    session = mesh.GetStage().GetSessionLayer()
    return session.GetAttributeAtPath(mesh.GetPath().AppendProperty("points")) is not None


def pose(stage: Usd.Stage, time: Usd.TimeCode) -> None:
    """Put skinned and blended points of the time into the stage's session layer.

    Joints and blend shapes, by UsdSkel itself. What it cannot do (instances, broken bindings)
    stays in its bind pose.
    """
    roots = [UsdSkel.Root(prim) for prim in stage.Traverse() if prim.IsA(UsdSkel.Root)]
    if not roots:
        return
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        _add_samples(stage, time)
        for root in roots:
            try:
                UsdSkel.BakeSkinning(root, Gf.Interval(time.GetValue()))
            except Tf.ErrorException as error:
                _log.debug("%s cannot be posed", root.GetPath(), exc_info=error)


def _add_samples(stage: Usd.Stage, time: Usd.TimeCode) -> None:
    """Author a sample at ``time`` on every animation: UsdSkel bakes at samples only."""
    for prim in stage.Traverse():
        if not prim.IsA(UsdSkel.Animation):
            continue
        for attribute in prim.GetAttributes():
            varying = attribute.GetVariability() == Sdf.VariabilityVarying
            value = attribute.Get(time) if varying else None
            if value is not None:
                attribute.Set(value, time)
