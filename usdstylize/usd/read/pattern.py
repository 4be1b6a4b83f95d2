"""How wide a pattern should be on a stage: by what its cameras see, else by the sizes of its meshes."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Tf, Usd, UsdGeom

from usdstylize.model.objects import PatternWidth
from usdstylize.usd.read.cameras import render_cameras

__all__ = ["pattern_width"]

Float64 = NDArray[np.float64]

_SHARE_OF_PICTURE = 2.0 / 3.0
"""A style image is as high as so much of a camera's picture: strokes are then as large in the shot, by
eye, as an artist would make them."""
_TENTH = 0.1
"""Apertures and focal lengths are in tenths of a stage unit."""
_FARTHEST = 1e30
_PLACES = np.stack(np.meshgrid(*[[0.0, 0.5, 1.0]] * 3, indexing="ij"), axis=-1).reshape(27, 3)
"""In a box: its corners, and the middles of its edges, faces and of itself."""


def pattern_width(stage: Usd.Stage, purposes: Sequence[str], time: Usd.TimeCode) -> PatternWidth:
    """Metres that the shorter side of a style image should span, and why so many.

    It depends on the whole stage, so that no mask changes an object's result. Two thirds of what the
    cameras see at the median depth of the meshes before them, the median of all cameras; where there is
    none, the median diameter of the meshes. 0 where there is neither.
    """
    units = UsdGeom.GetStageMetersPerUnit(stage)
    boxes = _boxes(stage, purposes, time)
    if not len(boxes):
        return PatternWidth()
    diameters = np.linalg.norm(boxes[:, 1] - boxes[:, 0], axis=1)
    heights = {}
    for camera in render_cameras(stage):
        with suppress(Tf.ErrorException), np.errstate(all="ignore"):  # a broken camera sees nothing
            height = _height_seen(camera.GetCamera(time), boxes)
            if height is not None and np.isfinite(height):
                heights[str(camera.GetPath())] = height
    if heights:
        width = _SHARE_OF_PICTURE * float(np.median(list(heights.values())))
        who = f"{next(iter(heights))} sees" if len(heights) == 1 else f"{len(heights)} cameras see"
        return _checked(width, units, f"two thirds of the height that {who}")
    return _checked(float(np.median(diameters)), units, "the median diameter of its meshes")


def _checked(width: float, units: float, reason: str) -> PatternWidth:
    metres = width * units
    return PatternWidth(metres, reason, units) if np.isfinite(metres) and metres > 0 else PatternWidth()


def _boxes(stage: Usd.Stage, purposes: Sequence[str], time: Usd.TimeCode) -> Float64:
    """(N, 2, 3): least and greatest corner of each mesh, world space, in stage units."""
    cache = UsdGeom.BBoxCache(time, [UsdGeom.Tokens.default_, *purposes])
    everywhere = Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
    ranges = []
    for prim in Usd.PrimRange(stage.GetPseudoRoot(), everywhere):
        if prim.IsA(UsdGeom.Mesh):
            with suppress(Tf.ErrorException):  # what is wrong with it is said where it is read
                ranges.append(cache.ComputeWorldBound(prim).ComputeAlignedRange())
    found = np.array([(box.GetMin(), box.GetMax()) for box in ranges if not box.IsEmpty()], np.float64)
    found = found.reshape(-1, 2, 3)
    found = found[(np.abs(found) < _FARTHEST).all((1, 2))]  # NaN is not
    kept: Float64 = found[np.ptp(found, axis=1).max(1) > 0]
    return kept


def _height_seen(camera: Gf.Camera, boxes: Float64) -> float | None:
    """Height of the picture at the median depth of the boxes that are in it; None where none is.

    A box's depth is the mean of its places that are in the picture.
    """
    to_camera = np.array(camera.frustum.ComputeViewMatrix())
    places = boxes[:, :1] + _PLACES * (boxes[:, 1:] - boxes[:, :1])
    points = places @ to_camera[:3, :3] + to_camera[3, :3]
    depth = -points[..., 2]
    half = np.array([camera.horizontalAperture, camera.verticalAperture]) / 2
    if camera.projection == Gf.Camera.Perspective:
        if not camera.focalLength > 0:
            return None
        extent = depth[..., None] * (half / camera.focalLength)
    else:
        extent = np.broadcast_to(half * _TENTH, (*depth.shape, 2))
    inside = (depth > 0) & (np.abs(points[..., :2]) <= extent).all(2)
    seen = inside.any(1)
    means = (extent[..., 1] * inside)[seen].sum(1) / inside[seen].sum(1)
    return float(2 * np.median(means)) if seen.any() else None
