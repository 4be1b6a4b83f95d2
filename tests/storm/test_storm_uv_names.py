"""UVs that a material reads by another name than the mesh has: Blender renames one and not the other.

Storm shows one texel of such a source, and `original` is the source. The style reads the mesh's only UVs, in
every texture of the material: the result is lit like that of a source whose mesh has the name that is asked
for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from author_results import problems
from mtlx_scenes import From, Node, add_mtlx_material, image, uv
from pxr import Sdf, UsdGeom, UsdShade

from usdstylize.usd import verify

from .storm_results import SIZE, STYLE, ZOOM, Array, T, decode, encode, material, render, smooth, stylize
from .storm_scenes import Paint, add_material, add_texture, bind, make_stage, write_image

pytestmark = pytest.mark.storm

WHERE = "/World/Looks/Paint"
HALVED = 0.5


@dataclass(frozen=True)
class Case:
    """Which UVs the textures read and which the mesh has."""

    asked: str
    own: str
    nodes: Mapping[str, Node] = field(default_factory=dict)
    """Of a MaterialX material: A is its base colour, Rough its roughness; empty for a UsdPreviewSurface."""
    behind_graph: bool = False
    scale: float = 1.0
    """Of T, in linear."""


def mtlx(reader: Mapping[str, Node], texcoord: str | None = "UV") -> dict[str, Node]:
    rough = image("./rough.png", kind="float", color_space=None, texcoord=texcoord)
    return {**reader, "A": image("./T.png", texcoord=texcoord), "Rough": rough}


TEXCOORD = {"UV": Node("ND_texcoord_vector2", "vector2")}
ARITHMETIC = mtlx({"UV": uv("UVMap")}) | {
    "Image": image("./T.png"),
    "A": Node("ND_multiply_color3FA", "color3", {"in1": ("color3", From("Image")), "in2": ("float", HALVED)}),
}
CASES = {
    "preview": Case("UVMap", "st"),
    "preview behind an interface": Case("UVMap", "st", behind_graph=True),
    "MaterialX": Case("UVMap", "st", mtlx({"UV": uv("UVMap")})),
    "MaterialX arithmetic": Case("UVMap", "st", ARITHMETIC, scale=HALVED),
    "MaterialX without a name": Case("st", "UVMap", mtlx(TEXCOORD)),
    "MaterialX without a reader": Case("st", "map1", mtlx({}, texcoord=None)),
}


def make(path: Path, case: Case, name: str) -> None:
    """The stage of a case whose mesh has UVs of that name."""
    stage = make_stage(path, None)
    mesh = stage.GetPrimAtPath("/World/Triangle")
    uvs = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("st").ComputeFlattened()
    UsdGeom.PrimvarsAPI(mesh).RemovePrimvar("st")
    UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(name, Sdf.ValueTypeNames.TexCoord2fArray, "faceVarying").Set(uvs)
    if case.nodes:
        inputs = {"specular_roughness": ("float", From("Rough"))}
        paint = add_mtlx_material(stage, WHERE, From("A"), case.nodes, inputs=inputs)
    else:
        paint = add_material(
            stage, WHERE, Paint("./T.png", primvar=case.asked, behind_graph=case.behind_graph)
        )
        rough = add_texture(stage, WHERE, "Rough", "./rough.png", "raw", case.asked)
        UsdShade.Shader.Get(stage, f"{WHERE}/Surface").CreateInput(
            "roughness", Sdf.ValueTypeNames.Float
        ).ConnectToSource(rough.CreateOutput("g", Sdf.ValueTypeNames.Float))
    bind(mesh, paint)
    stage.Save()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Array]]:
    """For each case, lit: source, `original`, mended source, strength 0 of both; unlit: live and bake."""
    folder = tmp_path_factory.mktemp("uv_names")
    jobs: list[dict[str, Any]] = []
    for number, case in enumerate(CASES.values()):
        here = folder / f"case{number}"
        here.mkdir()
        write_image(here / "T.png", T)
        write_image(here / "rough.png", np.repeat(smooth(8, 0.1, 0.9)[..., :1], 3, axis=-1))
        make(here / "case.usda", case, case.own)
        make(here / "mended.usda", case, case.asked)
        root, obj = stylize(here / "case.usda")
        assert obj.uv_primvar == case.own
        assert obj.notes == (
            f"Its texture reads primvars:{case.asked}, which it lacks, so viewers show one texel of the "
            f"original; the style reads primvars:{case.own}, its only UVs.",
        )
        assert verify.verify(root).failed == ()
        assert problems(root) == []
        mended, _ = stylize(here / "mended.usda")
        zero = {f"{material(obj)}.inputs:strength": 0.0}
        result: dict[str, Any] = {"stage": str(root), "width": SIZE * ZOOM}
        jobs += [
            result | {"stage": str(here / "case.usda")},
            result | {"variants": {material(obj): "original"}},
            result | {"stage": str(here / "mended.usda")},
            result | {"values": zero},
            result | {"values": zero, "stage": str(mended)},
            result | {"unlit": True},
            result | {"unlit": True, "preview": True},
        ]
    found = render(folder, jobs)
    return {name: found[7 * i : 7 * (i + 1)] for i, name in enumerate(CASES)}


@pytest.mark.parametrize("name", CASES)
def test_the_style_reads_the_only_uvs_and_original_is_the_source(name: str, pictures: Any) -> None:
    source, original, mended, zero, as_mended, live, bake = pictures[name]
    across, down = np.meshgrid(np.arange(SIZE * ZOOM), np.arange(SIZE * ZOOM))
    aside = np.abs(across - down) > 2
    assert np.abs(original - source).max() <= 1e-4
    assert np.abs(mended - source)[aside].mean() > 0.1 * mended[aside].mean(), "the source shows its texture"
    assert np.abs(zero - as_mended).max() <= 1e-3
    centred = np.zeros_like(aside)
    centred[1::ZOOM, 1::ZOOM] = aside[1::ZOOM, 1::ZOOM]
    total = (
        decode(np.clip(encode(decode(T) * CASES[name].scale) + STYLE, 0, 1)).repeat(ZOOM, 0).repeat(ZOOM, 1)
    )
    assert np.abs(live - total)[centred].max() <= 0.002
    assert np.abs(bake - total)[centred].max() <= 0.008
