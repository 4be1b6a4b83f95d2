"""The stage's own cameras."""

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from pxr import Gf, Tf, Usd, UsdGeom

from usdstylize.model.objects import StageCamera
from usdstylize.usd.io.axes import to_metres_y_up

__all__ = ["render_cameras", "stage_cameras"]


def render_cameras(stage: Usd.Stage) -> Iterator[UsdGeom.Camera]:
    """The camera of the stage's render settings, or every one."""
    settings = stage.GetPrimAtPath(str(stage.GetMetadata("renderSettingsPrimPath") or "/none"))
    targets = settings.GetRelationship("camera").GetTargets() if settings else []
    chosen = [prim for path in targets if (prim := stage.GetPrimAtPath(path)).IsA(UsdGeom.Camera)]
    for prim in chosen or stage.Traverse():
        if prim.IsA(UsdGeom.Camera):
            yield UsdGeom.Camera(prim)


def stage_cameras(stage: Usd.Stage, time: Usd.TimeCode) -> tuple[StageCamera, ...]:
    """Those of `render_cameras` that are perspective; one that is broken sees nothing and is left out."""
    found = []
    for camera in render_cameras(stage):
        with suppress(Tf.ErrorException), np.errstate(all="ignore"):
            if (own := _read(camera.GetCamera(time), to_metres_y_up(stage))) is not None:
                found.append(own)
    return tuple(found)


def _read(camera: Gf.Camera, to_metres: np.ndarray) -> StageCamera | None:
    if camera.projection != Gf.Camera.Perspective or not camera.focalLength > 0:
        return None
    place = np.array(camera.transform, np.float64) @ to_metres
    lengths = np.linalg.norm(place[:3, :3], axis=1, keepdims=True)
    tangents = (
        camera.horizontalAperture / (2 * camera.focalLength),
        camera.verticalAperture / (2 * camera.focalLength),
    )
    usable = np.isfinite(place).all() and (lengths > 0).all() and np.isfinite(tangents).all()
    if not usable or min(tangents) <= 0:
        return None
    return StageCamera(place[3, :3], place[:3, :3] / lengths, tangents)
