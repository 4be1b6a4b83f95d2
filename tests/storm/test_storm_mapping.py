"""Blender's own MaterialX export of a Mapping node, in Storm: the result shows the source, and the sum.

The node turns about x, y and z: a texture that lies flat is squeezed, turned and sheared.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Usd, UsdShade

from usdstylize.model.base_colors import TextureFile

from .storm_python import HANG_SECONDS, STORM_PYTHON
from .storm_results import Array, bilinear, decode, material, render, smooth, stylize
from .storm_scenes import bind, make_stage, write_image

pytestmark = pytest.mark.storm

T, STYLE = smooth(5, 0.25, 0.75), smooth(9, -0.35, 0.25).astype(np.float16).astype(np.float64)
CODES = np.rint(T * 255) / 255
WIDTH = 96
MIRROR = ("mirror", "mirror")
"""With repeat, Mesa filters in 8 bits."""
WHERE = "/World/Looks/Paint"


@dataclass(frozen=True)
class Case:
    kind: str
    location: tuple[float, float, float]
    rotation: tuple[float, float, float]
    scale: tuple[float, float, float]
    shears: bool = False
    """Storm draws one UsdTransform2d alone, and so the bake wrongly."""


CASES = {
    "turned about z": Case("POINT", (0.2, -0.35, 0.4), (0, 0, 30), (1.5, 1.5, 1)),
    "squeezed about x": Case("POINT", (0.25, 0.125, 0), (60, 0, 0), (1.5, 1.5, 1)),
    "about all axes": Case("POINT", (0.2, -0.35, 0.4), (25, -40, 30), (1.5, 0.75, 1), shears=True),
    "texture": Case("TEXTURE", (0.2, -0.35, 0.4), (25, -40, 30), (0.6, 0.9, 2), shears=True),
}


def turned(vectors: Array, axis: int, degrees: float) -> Array:
    """(…, 3) clockwise about x, y or z: so MaterialX turns."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    angle, result = np.radians(degrees), vectors.copy()
    result[..., first] = vectors[..., first] * np.cos(angle) + vectors[..., second] * np.sin(angle)
    result[..., second] = vectors[..., second] * np.cos(angle) - vectors[..., first] * np.sin(angle)
    return result


def mapped(case: Case) -> Array:
    """(H, W, 2): the texture coordinates under each pixel, as Blender's exporter lays the node out."""
    middle = (np.arange(WIDTH) + 0.5) / WIDTH
    u, v = np.meshgrid(middle, middle[::-1])
    flat = np.stack([u, v, np.zeros_like(u)], axis=-1)
    if case.kind == "TEXTURE":
        flat = flat - case.location
        for axis in (2, 1, 0):
            flat = turned(flat, axis, case.rotation[axis])
        return (flat / case.scale)[..., :2]
    flat = flat * case.scale
    for axis in (0, 1, 2):
        flat = turned(flat, axis, case.rotation[axis])
    return (flat + case.location)[..., :2]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Array]]:
    """For each case the source, strength 0, strength 1 and the bake."""
    folder = tmp_path_factory.mktemp("mapping")
    exports, jobs = [], []
    for number, case in enumerate(CASES.values()):
        here = folder / f"case{number}"
        here.mkdir()
        write_image(here / "T.png", T)
        exports.append(
            {
                "out": str(here / "blender.usda"), "image": str(here / "T.png"), "kind": case.kind,
                "location": case.location, "rotation": case.rotation, "scale": case.scale, "uv_map": "",
            }
        )  # fmt: skip
    (folder / "exports.json").write_text(json.dumps(exports))
    script = Path(__file__).with_name("blender_mapping.py")
    command = [str(STORM_PYTHON), str(script), str(folder / "exports.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_SECONDS, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for number in range(len(CASES)):
        path = folder / f"case{number}" / "case.usda"
        stage = make_stage(path, None)
        stage.DefinePrim(WHERE).GetReferences().AddReference("./blender.usda", "/root/_materials/Paint")
        bind(stage.GetPrimAtPath("/World/Triangle"), UsdShade.Material.Get(stage, WHERE))
        stage.Save()
        assert rotations(stage) >= 3
        root, obj = stylize(path, style=STYLE)
        assert (obj.surface, obj.uv_primvar) == ("mtlx", "st")
        assert isinstance(obj.base, TextureFile)
        assert [note for note in obj.notes if "shears" not in note] == []
        common: dict[str, Any] = {"width": WIDTH, "unlit": True, "stage": str(root)}
        jobs += [
            common | {"stage": str(path)},
            common | {"values": {f"{material(obj)}.inputs:strength": 0.0}},
            dict(common),
            common | {"preview": True},
        ]
    found = render(folder, jobs)
    return {name: found[4 * i : 4 * (i + 1)] for i, name in enumerate(CASES)}


def rotations(stage: Usd.Stage) -> int:
    """How many nodes turn the coordinates, so that the exporter did write the chain."""
    shaders = [UsdShade.Shader(prim) for prim in stage.Traverse()]
    return sum(shader.GetShaderId() == "ND_rotate3d_vector3" for shader in shaders if shader)


@pytest.mark.parametrize("name", CASES)
def test_a_mapping_node_of_blender_shows_the_source_and_the_sum(name: str, pictures: Any) -> None:
    source, zero, live, bake = pictures[name]
    across, down = np.meshgrid(np.arange(WIDTH), np.arange(WIDTH))
    aside = np.abs(across - down) > 2
    uvs = mapped(CASES[name])
    base, style = bilinear(CODES, uvs, MIRROR), bilinear(STYLE, uvs, MIRROR)
    total = decode(np.clip(base + style, 0, 1))
    assert np.abs(source - decode(base))[aside].max() <= 0.002
    assert np.abs(zero - source)[aside].max() <= 0.002
    assert np.abs(live - total)[aside].max() <= 0.002
    if not CASES[name].shears:
        assert np.abs(bake - total)[aside].max() <= 0.008
