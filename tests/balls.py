"""A ball and a striped style: what tests of the optimisation share."""

import dataclasses
from typing import Any

import numpy as np

from usdstylize import optimize
from usdstylize.config.method import Method
from usdstylize.config.presets import PRESETS
from usdstylize.imaging import encoding
from usdstylize.model.base_colors import ConstantColor
from usdstylize.model.objects import Losses, Mesh, ObjectData, StageObject, StyleImage, StyleSet, StyleTexture

__all__ = ["METHOD", "PALETTE", "ball", "describe", "run", "stripes"]

METHOD = dataclasses.replace(
    PRESETS["draft"],
    resolution=64,
    batch=2,
    iterations=12,
    texture_resolution=64,
    view_pool=8,
    color_start=0.0,
    variety=0.0,
)
PALETTE = np.array([[0.9, 0.8, 0.2], [0.1, 0.2, 0.5]], np.float32)


def stripes() -> StyleSet:
    """Two-coloured diagonal stripes: a style that nobody mistakes."""
    y, x = np.mgrid[0:128, 0:128]
    pixels = PALETTE[((x + y) // 8 % 2)]
    return StyleSet("stripes", (StyleImage("stripes.png", pixels, ""),), PALETTE)


def describe(name: str = "World__Ball") -> StageObject:
    return StageObject(
        path="/World/Ball",
        mesh_path="/World/Ball",
        name=name,
        material_path=None,
        surface="none",
        surface_path=None,
        base=ConstantColor((0.2, 0.2, 0.2)),
        uv_primvar="st",
        uv_transform=None,
        triangle_count=0,
    )


def ball(rows: int = 24) -> ObjectData:
    """A latitude-longitude sphere whose UVs fill the left half of the texture."""
    theta, phi = np.meshgrid(np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, rows), indexing="ij")
    points = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], -1)
    uvs = np.stack([phi / (4 * np.pi), 1 - theta / np.pi], -1).reshape(-1, 2).astype(np.float32)
    index = np.arange(rows * rows).reshape(rows, rows)
    a, b, c, d = (x.ravel() for x in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    triangles = np.concatenate([np.stack([a, c, d], 1), np.stack([a, d, b], 1)]).astype(np.int32)
    points = points.reshape(-1, 3).astype(np.float32)
    base = np.full((1, 1, 3), encoding.linear_to_srgb(np.float32(0.2)), np.float32)
    return ObjectData(Mesh(points, triangles, points[triangles], uvs[triangles]), (base,))


def run(
    method: Method = METHOD,
    seed: int = 0,
    name: str = "World__Ball",
    reports: list[tuple[int, Losses]] | None = None,
    **changes: Any,
) -> StyleTexture:
    """The ball's style texture. reports: a list that every report is added to. changes: to the method."""
    optimizer = optimize.Optimizer(stripes(), dataclasses.replace(method, seed=seed, **changes), "cpu")
    watch = (lambda number, losses: reports.append((number, losses))) if reports is not None else None
    extra = {"on_iteration": watch} if watch else {}
    return optimizer.optimize([describe(name)], [ball()], **extra)[0]
