"""Where an object is stylised, by an image in its UVs or by a primvar; a bad mask costs its object."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
from author_results import hold
from conftest import define_material, define_quad, unchanged
from numpy.typing import NDArray
from PIL import Image
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from stylize_api import edit
from udim_stages import build_udim_stage

from usdstylize import Options, inspect, stylize
from usdstylize.config.options import StageOptions
from usdstylize.errors import OptionsError, StageError
from usdstylize.usd import read

QUICK = Options(preset="draft", device="cpu", texture_resolution=32, iterations=2)
_Types = Sdf.ValueTypeNames


def paint(path: Path, values: Any) -> Path:
    """A mask of 8 bits."""
    Image.fromarray(np.rint(np.asarray(values) * 255).astype(np.uint8)).save(path)
    return path


def upper_half(size: int = 32) -> NDArray[np.float64]:
    """White above, black below."""
    mask = np.zeros((size, size))
    mask[: size // 2] = 1
    return mask


def add_primvar(
    root: Path, name: str, values: Any, kind: Sdf.ValueTypeName = _Types.FloatArray, where: str = "vertex"
) -> Path:
    """A primvar on /World/Left."""
    stage = Usd.Stage.Open(str(root))
    api = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Left"))
    api.CreatePrimvar(name, kind, where).Set(values)
    stage.Save()
    return root


def read_exr(path: Path) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
    return pixels


def style_of(root: Path, name: str) -> NDArray[np.float32]:
    return read_exr(root.parent / f"tiny.style/ink_stripes/{name}/{name}.ink_stripes.TS.exr")


def left_out(root: Path, options: StageOptions) -> dict[str, tuple[str, bool]]:
    with unchanged(root.parent):
        return {item.path: (item.reason, item.broken) for item in inspect(root, options).skipped}


def test_a_mask_of_the_stage_protects_its_object_and_no_other(tiny_stage: Path, style_folder: Path) -> None:
    paint(tiny_stage.parent / "mask.png", upper_half())
    edit(tiny_stage, Left={"mask": Sdf.AssetPath("./mask.png")})
    with unchanged(tiny_stage.parent, may_add=True):
        result = stylize(tiny_stage, style_folder, QUICK)
    assert [item.status for item in result.objects] == ["done", "done"], "objects of two masks are no copies"
    assert result.root_layer
    left, right = (style_of(result.root_layer, f"World__{name}") for name in ("Left", "Right"))
    assert np.abs(left[16:]).max() == 0
    assert np.abs(left[:16]).mean() > 0.5 * np.abs(right[:16]).mean() > 0
    assert np.abs(right[16:]).mean() > 0
    folder = result.root_layer.parent
    with Image.open(folder / "textures/color.png") as original:
        base = np.asarray(original.convert("RGB"))
    with Image.open(folder / "tiny.style/ink_stripes/World__Left/World__Left.ink_stripes.baked.png") as image:
        baked = np.asarray(image)
    assert (baked[16:] == base[16:]).all()
    assert (baked[:16] != base[:16]).any()
    hold(result.root_layer)
    plan = json.loads((folder / "tiny.style/ink_stripes/run.json").read_text())["plan"]
    assert plan["own_settings"]["/World/Left"]["mask_image"] == "mask.png"


def test_a_grey_mask_shows_less(tiny_stage: Path, style_folder: Path) -> None:
    paint(tiny_stage.parent / "mask.png", np.full((4, 4), 0.5))
    edit(tiny_stage, Left={"mask": Sdf.AssetPath("./mask.png")})
    root = stylize(tiny_stage, style_folder, replace(QUICK, iterations=6)).root_layer
    assert root
    grey, white = (np.abs(style_of(root, f"World__{name}")).mean() for name in ("Left", "Right"))
    assert 0.3 * white < grey < 0.8 * white


def test_a_primvar_is_a_mask(tiny_stage: Path, style_folder: Path) -> None:
    add_primvar(tiny_stage, "keep", [0.0, 0.0, 1.0, 1.0])
    options = replace(QUICK, mask_primvar="keep", mask=("/World/Left",))
    result = stylize(tiny_stage, style_folder, options)
    contents = inspect(tiny_stage, options)
    (mask,) = read.load(contents, contents.objects[0]).masks
    v = 1 - (np.arange(len(mask)) + 0.5) / len(mask)
    assert np.abs(mask - v[:, None]).max() < 1e-5, "interpolated between the points at v = 0 and v = 1"
    assert result.root_layer
    style = np.abs(style_of(result.root_layer, "World__Left")).mean(axis=(1, 2))
    assert style[:8].mean() > 2 * style[-8:].mean()
    add_primvar(tiny_stage, "keep", [0.25], where="constant")
    contents = inspect(tiny_stage, options)
    (mask,) = read.load(contents, contents.objects[0]).masks
    assert (mask == 0.25).all()


def test_each_tile_has_its_mask(tmp_path: Path, style_folder: Path) -> None:
    root = build_udim_stage(tmp_path / "shot")
    for tile, value in ((1001, 0.0), (1002, 1.0), (1012, 0.0)):
        paint(root.parent / f"mask.{tile}.png", np.full((4, 4), value))
    options = replace(QUICK, mask_image=root.parent / "mask.<UDIM>.png")
    result = stylize(root, style_folder, options)
    assert result.root_layer
    folder = root.parent / "tiny.style/ink_stripes/World__Body"
    strongest = {
        tile: np.abs(read_exr(folder / f"World__Body.ink_stripes.TS.{tile}.exr")).max()
        for tile in (1001, 1002, 1012)
    }
    assert strongest[1001] == strongest[1012] == 0 < strongest[1002]
    single = replace(options, mask_image=paint(root.parent / "one.png", np.ones((4, 4))))
    (reason, broken) = left_out(root, single)["/World/Body"]
    assert reason.endswith("is a single image; paint one for each tile, with <UDIM> in the name.")
    assert broken


def test_a_repaint_is_noticed(tiny_stage: Path, style_folder: Path) -> None:
    mask = paint(tiny_stage.parent / "mask.png", upper_half())
    options = replace(QUICK, mask_image=mask, mask=("/World/Left",))
    stylize(tiny_stage, style_folder, options)
    rest = replace(options, mask=(), resume=True)
    assert stylize(tiny_stage, style_folder, rest, dry_run=True).plan.remarks == ()
    paint(mask, upper_half().T)
    (remark,) = stylize(tiny_stage, style_folder, rest, dry_run=True).plan.remarks
    assert "with other settings (what is painted in the mask)" in remark


NO_NUMBER = float("nan")


@pytest.mark.parametrize(
    ("values", "kind", "where", "problem"),
    [
        ([1.0] * 3, _Types.FloatArray, "vertex", "with 3 values, which does not fit vertex interpolation"),
        ([1.0, 0, 0, NO_NUMBER], _Types.FloatArray, "vertex", "with NaN or infinite values"),
        ([Gf.Vec3f(1)], _Types.Color3fArray, "constant", "of type color3f[], which is no mask"),
    ],
)
def test_a_bad_primvar_costs_its_object(
    tiny_stage: Path, values: Any, kind: Sdf.ValueTypeName, where: str, problem: str
) -> None:
    add_primvar(tiny_stage, "keep", values, kind, where)
    reasons = left_out(tiny_stage, StageOptions(mask_primvar="keep"))
    assert problem in reasons["/World/Left"][0]
    assert reasons["/World/Right"] == (
        "Mesh /World/Right has no primvars:keep, which is to be its mask (it has no float primvar); "
        "author it, or give another --mask-primvar.",
        True,
    )
    add_primvar(tiny_stage, "wear", [1.0] * 4)
    reason, _ = left_out(tiny_stage, StageOptions(mask_primvar="lost"))["/World/Left"]
    assert "wear); author it" in reason


def nan_image(path: Path) -> None:
    spec = oiio.ImageSpec(4, 4, 3, "half")
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec)
    assert output.write_image(np.full((4, 4, 3), np.nan, np.float16))
    assert output.close()


@pytest.mark.parametrize(
    ("name", "make", "problem"),
    [
        ("lost.png", lambda path: None, "does not resolve; restore the file or fix the path."),
        ("text.png", lambda path: path.write_text("no image"), "text.png"),
        ("nan.exr", nan_image, "holds NaN or infinite values"),
    ],
)  # fmt: skip
def test_a_bad_image_costs_its_object(
    tiny_stage: Path, style_folder: Path, name: str, make: Callable[[Path], Any], problem: str
) -> None:
    make(tiny_stage.parent / name)
    edit(tiny_stage, Left={"mask": Sdf.AssetPath(f"./{name}")})
    result = stylize(tiny_stage, style_folder, replace(QUICK, iterations=1))
    assert [(item.path, item.status) for item in result.objects] == [("/World/Right", "done")]
    (skipped,) = result.plan.skipped
    assert (skipped.path, skipped.broken) == ("/World/Left", True)
    assert problem in skipped.reason
    assert not (tiny_stage.parent / "tiny.style/ink_stripes/World__Left").exists()


def test_a_mask_image_that_is_lost_leaves_nothing(tiny_stage: Path, style_folder: Path) -> None:
    options = replace(QUICK, mask_image=tiny_stage.parent / "lost.png")
    with unchanged(tiny_stage.parent), pytest.raises(StageError, match=r"lost\.png cannot be opened"):
        stylize(tiny_stage, style_folder, options)


def test_where_a_mask_is_black_there_is_nothing_to_do(tiny_stage: Path) -> None:
    values = upper_half()
    stage = Usd.Stage.Open(str(tiny_stage))
    quad = define_quad(
        stage, "/World/Low", define_material(stage, "/World/Looks/Low", "./textures/color.png")
    )
    UsdGeom.PrimvarsAPI(quad).GetPrimvar("st").Set([(0, 0), (1, 0), (1, 0.4), (0, 0.4)])
    stage.Save()
    mask = paint(tiny_stage.parent / "mask.png", values)
    reasons = left_out(tiny_stage, StageOptions(mask_image=mask))
    assert reasons == {"/World/Low": ("/World/Low has a mask that is 0 everywhere, so it stays.", False)}
    add_primvar(tiny_stage, "keep", [0.0] * 4)
    reasons = left_out(tiny_stage, StageOptions(mask=("/World/Left",), mask_primvar="keep"))
    assert reasons == {"/World/Left": ("/World/Left has a mask that is 0 everywhere, so it stays.", False)}


def test_one_mask_at_a_time(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="--mask-image and --mask-primvar contradict each other"):
        Options(mask_image=tmp_path / "mask.png", mask_primvar="keep")


def test_new_uvs_have_no_painted_mask(tiny_stage: Path) -> None:
    stage = Usd.Stage.Open(str(tiny_stage))
    UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Left")).RemovePrimvar("st")
    UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Left")).UnbindAllBindings()
    UsdGeom.Mesh(stage.GetPrimAtPath("/World/Left")).CreateDisplayColorAttr([(0.2, 0.5, 0.8)])
    stage.Save()
    mask = paint(tiny_stage.parent / "mask.png", upper_half())
    reason, _ = left_out(tiny_stage, StageOptions(mask_image=mask))["/World/Left"]
    assert "has no UVs in which its mask" in reason
