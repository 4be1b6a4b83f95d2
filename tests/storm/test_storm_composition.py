"""Composed stages in Storm: whatever arcs bring a mesh and its material, the picture is the sum."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdShade

from usdstylize.usd import write

from .storm_results import (
    SIZE,
    STYLE,
    ZOOM,
    Array,
    T,
    decode,
    material,
    noise,
    render,
    stylize,
    texels_in_picture,
)
from .storm_scenes import Paint, make_stage, write_image

pytestmark = pytest.mark.storm

OTHER = np.rint(noise(11, 0, 1) * 255) / 255
"""Codes of the texture that an unselected variant, or a weaker opinion, would show."""


def sum_of(base: Array, style: Array = STYLE) -> Array:
    _, rows, columns = texels_in_picture(SIZE * ZOOM, 0, 1, None)
    return decode(np.clip(base + style, 0, 1))[rows, columns]


def assert_shows(pictures: list[Array], wanted: list[Array], limits: list[float]) -> None:
    centred, *_ = texels_in_picture(SIZE * ZOOM, 0, 1, None)
    for picture, reference, limit in zip(pictures, wanted, limits, strict=True):
        assert np.abs(picture - reference)[centred].max() <= limit


def make_shot(folder: Path) -> Path:
    """shot.usda sublayers layout.usda, where a variant holds a payload of an asset that references
    its model; the shot's own opinion binds another material than the asset does."""
    folder.mkdir()
    for name, codes in (("T", T), ("other", OTHER)):
        write_image(folder / f"{name}.png", codes)
        make_stage(folder / f"{name}_model.usda", Paint(f"./{name}.png")).Save()
        asset = Usd.Stage.CreateNew(str(folder / f"{name}_asset.usda"))
        asset.SetDefaultPrim(asset.DefinePrim("/Asset"))
        asset.GetDefaultPrim().GetReferences().AddReference(f"./{name}_model.usda", "/World")
        asset.Save()
    layout = Usd.Stage.CreateNew(str(folder / "layout.usda"))
    world = UsdGeom.Xform.Define(layout, "/World").GetPrim()
    variants = world.GetVariantSets().AddVariantSet("model")
    for name in ("T", "other"):
        variants.AddVariant(name)
        variants.SetVariantSelection(name)
        with variants.GetVariantEditContext():
            world.GetPayloads().AddPayload(f"./{name}_asset.usda")
    layout.Save()
    shot = Usd.Stage.CreateNew(str(folder / "shot.usda"))
    UsdGeom.SetStageUpAxis(shot, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(shot, 1.0)
    shot.GetRootLayer().subLayerPaths = ["./layout.usda"]
    world = shot.OverridePrim("/World")
    shot.SetDefaultPrim(world)
    world.GetVariantSets().GetVariantSet("model").SetVariantSelection("T")
    own = UsdShade.Material.Define(shot, "/World/Own")
    own.GetPrim().GetReferences().AddInternalReference("/World/Looks/Paint")
    UsdShade.MaterialBindingAPI(shot.OverridePrim("/World/Triangle")).Bind(own)
    shot.Save()
    return folder / "shot.usda"


def test_sublayers_variants_payloads_references_and_local_opinions(tmp_path: Path) -> None:
    """Also from another folder, and where another stage references the result."""
    root, obj = stylize(make_shot(tmp_path / "show"))
    assert obj.material_path == "/World/Own"
    user = Usd.Stage.CreateNew(str(tmp_path / "user.usda"))
    user.DefinePrim("/World").GetReferences().AddReference("./show/shot.stylized.usda")
    UsdGeom.SetStageUpAxis(user, UsdGeom.Tokens.y)
    user.GetRootLayer().Save()
    shutil.copytree(tmp_path / "show", tmp_path / "elsewhere" / "show")
    moved = tmp_path / "elsewhere" / "show" / root.name
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    pictures = render(
        tmp_path,
        [
            dict(common),
            common | {"preview": True},
            common | {"stage": str(tmp_path / "user.usda")},
            common | {"stage": str(moved)},
            common | {"stage": str(moved), "preview": True},
        ],
    )
    assert_shows(pictures, [sum_of(T)] * 5, [0.002, 0.008, 0.002, 0.002, 0.008])


def test_a_second_style_and_a_switch(tmp_path: Path) -> None:
    """`select` shows the one or the other; taking the style layer away shows the source."""
    source = make_shot(tmp_path / "show")
    root, obj = stylize(source)
    second = noise(12, -0.7, 0.7).astype(np.float16).astype(np.float64)
    stylize(source, style=second, name="gouache")
    bare = Sdf.Layer.CreateNew(str(root.with_name("bare.usda")))
    bare.TransferContent(Sdf.Layer.FindOrOpen(str(root)))
    bare.subLayerPaths = list(bare.subLayerPaths)[1:]
    bare.Save()
    common = {"stage": str(root), "width": SIZE * ZOOM, "unlit": True}
    nothing = np.zeros_like(STYLE)
    wanted = {"gouache": sum_of(T, second), "ink": sum_of(T), "original": sum_of(T, nothing)}
    pictures = render(tmp_path, [common | {"variants": {material(obj): name}} for name in wanted])
    assert_shows(pictures, list(wanted.values()), [0.002] * 3)
    for style in ("ink", "gouache"):
        write.select(root, style, mask=())
        pictures = render(tmp_path, [dict(common), common | {"preview": True}])
        assert_shows(pictures, [wanted[style]] * 2, [0.002, 0.008])
    removed = render(tmp_path, [common | {"stage": bare.realPath}])
    assert_shows(removed, [wanted["original"]], [0.002])
