"""The judge's Q of what the stage's camera sees, and of the same from nearer.

A style that is made for one distance falls apart at another: grain close up, a blur far away. So Q is
taken at the camera, at a half and a quarter of its distance, and where the frame is as wide as the
pattern, the distance that the style was made for.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import torch
import torch.nn.functional as F
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom

from benchmarks.judge_network import FeatureNetwork
from benchmarks.pictures import run_storm
from benchmarks.results import read_objects
from benchmarks.scores import match_distance, quality, style_rows
from usdstylize.errors import StageError
from usdstylize.imaging.encoding import linear_to_srgb
from usdstylize.model.objects import StyleSet
from usdstylize.usd.io.opening import open_stage

__all__ = ["SHARES", "Views", "aim_points", "nearer_cameras", "quality_by_distance"]

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

SHARES = (1.0, 0.5, 0.25)
"""Of the camera's distance from what it sees."""
_AIMS = ((0.0, 0.0), (-0.5, -0.4), (0.5, -0.4), (-0.5, 0.4), (0.5, 0.4))
"""Points of the frame, -1 to 1, that the nearer cameras turn to."""
_HEIGHT = 512
_BACKGROUND = 0.5
_INSIDE = 0.99


@dataclass(frozen=True)
class Views:
    """Cameras of one distance, by their prim paths in ``stage``."""

    name: str
    paths: tuple[str, ...]


def quality_by_distance(
    root_layer: Path,
    style: StyleSet,
    network: FeatureNetwork,
    *,
    camera: str,
    pattern_width: float | None,
) -> dict[str, float]:
    """Q by distance: ``1``, ``0.5`` and ``0.25``, and ``pattern`` where a pattern width (metres) is given.

    Rendered by Storm from the bakes at 512 pixels of height; background counts for nothing. Features of
    all pictures of one distance are taken together. Raises StageError where there is no such camera.
    """
    rows, floor = style_rows(style, network)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage_path, views = nearer_cameras(root_layer, style.name, folder, camera, pattern_width)
        stage = Usd.Stage.Open(str(stage_path))
        prims = [str(p.GetPath()) for p in stage.Traverse() if p.GetVariantSets().HasVariantSet("style")]
        pictures = {
            (variant, path): folder / f"{variant}{path.replace('/', '_')}.exr"
            for variant in ("original", style.name)
            for view in views
            for path in view.paths
        }
        jobs: list[dict[str, Any]] = [
            {
                "stage": str(stage_path),
                "out": str(out),
                "camera": path,
                "width": _width(stage, path),
                "preview": True,
                "variants": dict.fromkeys(prims, variant),
            }
            for (variant, path), out in pictures.items()
        ]
        run_storm(jobs, folder)
        found = {}
        for view in views:
            before, after = (
                sum(match_distance(_rows([pictures[variant, path] for path in view.paths], network), rows))
                / 2
                for variant in ("original", style.name)
            )
            found[view.name] = quality(after, before, floor)
    return found


def nearer_cameras(
    root_layer: Path, style: str, folder: Path, camera: str, pattern_width: float | None
) -> tuple[Path, list[Views]]:
    """A stage over the result, in ``folder``, with cameras that stand nearer to what its camera sees."""
    source = open_stage(root_layer)
    prim = source.GetPrimAtPath(camera)
    if not prim or not prim.IsA(UsdGeom.Camera):
        raise StageError(f"{root_layer} has no camera {camera}; give another with --camera.")
    lens = UsdGeom.Camera(prim).GetCamera(Usd.TimeCode.EarliestTime())
    eye = np.array(lens.transform.ExtractTranslation())
    up = lens.transform.TransformDir(Gf.Vec3d(0, 1, 0))
    aims = aim_points(root_layer, style, lens)
    layer = Sdf.Layer.CreateNew(str(folder / "cameras.usda"))
    layer.subLayerPaths.append(str(root_layer.resolve()))
    stage = Usd.Stage.Open(layer)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.GetStageUpAxis(source))
    UsdGeom.SetStageMetersPerUnit(stage, UsdGeom.GetStageMetersPerUnit(source))
    views = [Views("1", (camera,))]
    wanted: list[tuple[str, float | None]] = [(f"{share:g}", share) for share in SHARES[1:]]
    if pattern_width is not None:
        wanted.append(("pattern", None))
    for number, (name, share) in enumerate(wanted):
        paths = []
        for index, aim in enumerate(aims):
            away = eye - aim
            distance = float(np.linalg.norm(away))
            # Where the frame is as wide as the pattern: apertures and focal lengths have the same unit.
            near = (
                distance * share
                if share is not None
                else (pattern_width or 0.0)
                / UsdGeom.GetStageMetersPerUnit(source)
                * lens.focalLength
                / lens.horizontalAperture
            )
            at = Gf.Vec3d(*(aim + away / distance * near))
            own = UsdGeom.Camera.Define(stage, f"/Nearer{number}_{index}")
            own.AddTransformOp().Set(Gf.Matrix4d().SetLookAt(at, Gf.Vec3d(*aim), up).GetInverse())
            own.CreateHorizontalApertureAttr(lens.horizontalAperture)
            own.CreateVerticalApertureAttr(lens.verticalAperture)
            own.CreateFocalLengthAttr(lens.focalLength)
            own.CreateClippingRangeAttr(Gf.Vec2f(near / 100, near * 1e4))
            paths.append(str(own.GetPath()))
        views.append(Views(name, tuple(paths)))
    layer.Save()
    return Path(layer.realPath), views


def aim_points(root_layer: Path, style: str, lens: Gf.Camera) -> list[Float64]:
    """What the frame's middle and four other points show of the objects: stage units and axes.

    Those that show none are left out; the middle of all objects where none of them does.
    """
    turned = UsdGeom.GetStageUpAxis(open_stage(root_layer)) == UsdGeom.Tokens.z
    scale = UsdGeom.GetStageMetersPerUnit(open_stage(root_layer))
    corners = np.concatenate(
        [item.data.mesh.points[item.data.mesh.triangles] for item in read_objects(root_layer, style)]
    ).astype(np.float64)
    if turned:
        corners = np.stack([corners[..., 0], -corners[..., 2], corners[..., 1]], -1)
    corners /= scale
    matrix = lens.transform
    eye = np.array(matrix.ExtractTranslation())
    half = np.array([lens.horizontalAperture, lens.verticalAperture]) / 2 / lens.focalLength
    rays = [matrix.TransformDir(Gf.Vec3d(x * half[0], y * half[1], -1)) for x, y in _AIMS]
    size = float(np.abs(corners - eye).max())
    scene = EmbreeScene()
    unit = ((corners - eye) / size).astype(np.float32).reshape(-1, 3)
    TriangleMesh(scene, unit, np.arange(len(unit), dtype=np.int32).reshape(-1, 3))
    directions = np.array(rays, np.float32)
    hits = scene.run(np.zeros_like(directions), directions, query="INTERSECT", output=True)
    found = [
        eye + np.array(ray) * float(distance) * size
        for ray, triangle, distance in zip(rays, hits["primID"], hits["tfar"], strict=True)
        if triangle >= 0
    ]
    return found or [corners.reshape(-1, 3).mean(0)]


def _width(stage: Usd.Stage, camera: str) -> int:
    """Of a picture of `_HEIGHT`."""
    lens = UsdGeom.Camera.Get(stage, camera).GetCamera(Usd.TimeCode.EarliestTime())
    return round(_HEIGHT * float(lens.horizontalAperture) / float(lens.verticalAperture))


def _rows(paths: Sequence[Path], network: FeatureNetwork) -> torch.Tensor:
    """Features (M, C) of pictures on grey, at positions well inside of what is not background."""
    found = []
    for image, mask in _images(paths):
        features = network(image)
        share = F.adaptive_avg_pool2d(mask, (features.shape[2], features.shape[3]))
        eroded = -F.max_pool2d(-share, 3, 1, 1)
        found.append(
            features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])[eroded.reshape(-1) > _INSIDE]
        )
    return torch.cat(found)


def _images(paths: Sequence[Path]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Each picture (1, 3, H, W), sRGB-encoded on grey, and where it shows something (1, 1, H, W)."""
    for path in paths:
        pixels = np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT), dtype=np.float32)
        alpha = pixels[..., 3:4] if pixels.shape[2] > 3 else np.ones_like(pixels[..., :1])
        encoded = linear_to_srgb(pixels[..., :3].clip(0, 1)) * alpha + _BACKGROUND * (1 - alpha)
        image, mask = (
            torch.from_numpy(np.ascontiguousarray(part, np.float32)).permute(2, 0, 1)[None]
            for part in (encoded, alpha)
        )
        yield image, mask
