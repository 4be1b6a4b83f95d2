"""The z-buffer against Embree, a float64 solve and plain geometry; nvdiffrast's conventions."""

import dataclasses
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import OpenImageIO as oiio
import pytest
import torch

import usdstylize
from benchmarks.visibility import bumpy_sphere
from usdstylize import render
from usdstylize.cli import progress
from usdstylize.config.options import Options
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.errors import OptionsError
from usdstylize.model.objects import Mesh
from usdstylize.usd import read

SAMPLES = Path(__file__).parents[2] / "sample_stages"
METHOD = dataclasses.replace(PRESETS["standard"], resolution=64)


def still_life_object(name: str) -> tuple[np.ndarray, np.ndarray]:
    contents = read.discover(SAMPLES / "still_life.usda")
    (obj,) = [found for found in contents.objects if name in found.path]
    mesh = render.normalize(read.load(contents, obj).mesh)
    return mesh.points, mesh.triangles


def soup(count: int, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Random triangles that cut through each other, near the unit sphere."""
    random = np.random.default_rng(0)
    points = random.uniform(-0.6, 0.6, (count, 1, 3)) + random.normal(0, size, (count, 3, 3))
    return points.reshape(-1, 3).astype(np.float32), np.arange(3 * count, dtype=np.int32).reshape(-1, 3)


MESHES = {
    "vase": lambda: still_life_object("Vase"),
    "dense": lambda: bumpy_sphere(20_000),
    "soup": lambda: soup(400, 0.2),
    "specks": lambda: soup(5000, 0.01),
    "big": lambda: soup(8, 3.0),
}


def cameras(count: int, distance: float = 2.5) -> list[render.Camera]:
    method = dataclasses.replace(METHOD, camera_distance=(distance, distance))
    return list(islice(render.draw_cameras(method, np.random.default_rng(0)), count))


def misses(hits: render.Hits, camera: render.Camera, corners: np.ndarray, where: np.ndarray) -> np.ndarray:
    """How many pixels from its own centre each surface point lies that the barycentrics name."""
    resolution = len(hits.triangle)
    second_third = hits.barycentrics[where].numpy().astype(np.float64)
    shares = np.concatenate([1 - second_third.sum(1, keepdims=True), second_third], 1)
    points = (corners[hits.triangle[where].numpy()] * shares[..., None]).sum(1)
    right, up, backward = np.moveaxis((points - camera.eye) @ camera.axes.T.astype(np.float64), 1, 0)
    seen = np.stack([up, right], 1) / -backward[:, None] / camera.tangent * [-1, 1]
    return np.abs((seen + 1) * resolution / 2 - 0.5 - np.argwhere(where)).max(1)


@pytest.mark.parametrize("distance", [1.0, 2.5])
@pytest.mark.parametrize("name", MESHES)
def test_the_z_buffer_sees_the_triangles_that_embree_sees(name, distance):
    """At 1 radius big triangles reach behind the camera."""
    points, triangles = MESHES[name]()
    views = cameras(2, distance)
    ours = render.ZBufferVisibility(points, triangles, "cpu").trace(views, 160)
    rays = render.EmbreeVisibility(points, triangles).trace(views, 160)
    seen, expected = (torch.stack([hit.triangle for hit in hits]) for hits in (ours, rays))
    assert (expected >= 0).float().mean() > 0.05
    assert (seen == expected).float().mean() >= 0.9999
    for camera, own, theirs in zip(views, ours, rays, strict=True):
        both = ((own.triangle == theirs.triangle) & (own.triangle >= 0)).numpy()
        assert misses(own, camera, points[triangles], both).max() < 2e-4
        # Not all: Embree's float32 rounds where a triangle is narrow or seen edge-on.
        close = (own.barycentrics[both] - theirs.barycentrics[both]).abs().amax(1) < 1e-4
        assert close.float().mean() > 0.995


def test_no_pixel_slips_between_triangles():
    """From inside a closed mesh every ray hits, also those that run exactly through edges and corners."""
    points, triangles = bumpy_sphere(6000)
    inside = [render.look_at(np.array(eye), np.ones(3), 100.0) for eye in ([0.3, 0.1, 0.2], [0.0, 0.0, 1e-3])]
    for hits in render.ZBufferVisibility(points, triangles, "cpu").trace(inside, 128):
        assert (hits.triangle >= 0).all()
    camera = render.look_at(np.array([0.0, 0.0, 2.0]), np.ones(3), 90.0)
    x, y = np.meshgrid(np.arange(-65, 66, 2) / 32, np.arange(-65, 66, 2) / 32)  # corners at pixel centres
    grid = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(65)[:, None] * 66 + np.arange(65)).reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 66], 1), np.stack([corner + 1, corner + 67, corner + 66], 1)]
    )
    (hits,) = render.ZBufferVisibility(grid, faces.astype(np.int32), "cpu").trace([camera], 64)
    assert (hits.triangle >= 0).all()


def test_a_floor_that_reaches_behind_the_camera_ends_at_the_horizon():
    points = np.array([[-50, -1, -50], [50, -1, -50], [50, -1, 50], [-50, -1, 50]], np.float32)
    floor = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    camera = render.look_at(np.array([0.0, 0.0, 1.0]), np.ones(3), 90.0)  # level, one above the floor
    (hits,) = render.ZBufferVisibility(points, floor, "cpu").trace([camera], 64)
    assert (hits.triangle[:32] == -1).all()
    # its far edge, 51 away and 1 below, is 0.6 of a pixel under the horizon
    assert (hits.triangle[33:] >= 0).all()
    behind = np.array([[-5, -5, 2], [5, -5, 2], [0, 5, 2]], np.float32)
    (hits,) = render.ZBufferVisibility(behind, np.array([[0, 1, 2]], np.int32), "cpu").trace([camera], 64)
    assert (hits.triangle == -1).all()


def test_of_two_triangles_in_one_place_the_first_is_seen():
    points = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32)
    camera = render.look_at(np.array([0.3, 0.2, 2.5]), np.ones(3), 45.0)
    twice = np.array([[0, 1, 2], [2, 1, 0]], np.int32)  # one of them from behind: both sides are seen
    (hits,) = render.ZBufferVisibility(points, twice, "cpu").trace([camera], 64)
    assert hits.triangle.unique().tolist() == [-1, 0]


def test_what_is_drawn_at_once_does_not_change_the_picture(monkeypatch):
    points, triangles = bumpy_sphere(2000)
    views = cameras(5)
    whole = render.ZBufferVisibility(points, triangles, "cpu").trace(views, 64)
    zbuffer = sys.modules["usdstylize.render.visibility.zbuffer"]
    monkeypatch.setattr(zbuffer, "_TRIANGLES_AT_ONCE", 700)
    monkeypatch.setattr(zbuffer, "_PIXELS_AT_ONCE", 64**2)
    parts = render.ZBufferVisibility(points, triangles, "cpu", pairs_at_once=999).trace(views, 64)
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one.triangle, other.triangle)
        assert torch.equal(one.barycentrics, other.barycentrics)


def test_views_made_together_are_those_made_one_by_one():
    """Together as on a GPU; one of them is empty."""
    points, triangles = bumpy_sphere(2000)
    random = np.random.default_rng(0)
    uvs = random.random((len(triangles), 1, 2)) + 0.02 * random.random((len(triangles), 3, 2))
    normals = np.tile(np.array([0, 0, 1], np.float32), (len(triangles), 3, 1))
    mesh = Mesh(points, triangles, normals, uvs.astype(np.float32))
    base = random.random((32, 32, 3)).astype(np.float32)
    subject = render.Subject(render.one_sheet(mesh, base, ("repeat", "mirror")), (64, 64), "cpu")
    away = render.look_at(np.array([0.0, 0.0, -3.0]), np.ones(3), 45.0)
    away = dataclasses.replace(away, axes=away.axes * np.float32([[-1], [1], [-1]]))
    views = [*cameras(2), away, *cameras(4)[2:]]
    hits = render.EmbreeVisibility(points, triangles).trace(views, 64)
    together, alone = subject._views(views, hits, METHOD, 0), subject.views(views, hits, METHOD)
    assert [len(view.pixels) > 0 for view in together] == [True, True, False, True, True]
    for one, other in zip(together, alone, strict=True):
        assert torch.equal(one.pixels, other.pixels)
        assert one.level == pytest.approx(other.level, abs=1e-5)
        assert torch.equal(one.style.rows, other.style.rows)
        for name in ("base", "diffuse", "specular"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=1e-5)


def documented_rasterize(context, pos, tri, resolution, ranges=None, grad_db=True):
    """What nvdiffrast's documentation says of `rasterize`, in float64 and triangle by triangle.

    Clip space in, y up, near at z / w = -1; out (u, v, z/w, number from 1), u and v the weights of
    the first and the second corner, row 0 the bottom.
    """
    height, width = resolution
    picture = torch.zeros(len(pos), height, width, 4)
    x, y = np.meshgrid((np.arange(width) * 2 + 1) / width - 1, (np.arange(height) * 2 + 1) / height - 1)
    for image, clip in zip(picture, pos.double().numpy(), strict=True):
        nearest = np.full((height, width), 1.0)
        for number, corners in enumerate(clip[tri.numpy()], 1):
            ray = np.stack([x, y, np.ones_like(x)], -1)
            weights = np.linalg.solve(corners[:, [0, 1, 3]].T, ray[..., None])[..., 0]
            weights /= weights.sum(-1, keepdims=True)
            depth = (weights @ corners[:, 2]) / (weights @ corners[:, 3])
            hit = (
                (weights >= 0).all(-1) & (weights @ corners[:, 3] > 0) & (abs(depth) <= 1) & (depth < nearest)
            )
            nearest[hit] = depth[hit]
            values = [weights[..., 0], weights[..., 1], depth, np.full_like(depth, number)]
            image[torch.from_numpy(hit)] = torch.from_numpy(np.stack(values, -1)[hit]).float()
    return picture, torch.zeros_like(picture)


def test_nvdiffrast_is_called_by_its_conventions(monkeypatch):
    """It cannot run here; what stands for it does as its documentation says."""
    package, module = ModuleType("nvdiffrast"), ModuleType("nvdiffrast.torch")
    vars(package)["torch"] = module
    vars(module).update(RasterizeCudaContext=lambda device: None, rasterize=documented_rasterize)
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", module)
    points, triangles = soup(30, 0.3)
    views = cameras(2)
    theirs = render.NvdiffrastVisibility(points, triangles, "cpu").trace(views, 48)
    rays = render.EmbreeVisibility(points, triangles).trace(views, 48)
    for one, other in zip(theirs, rays, strict=True):
        assert one.triangle.dtype == torch.int32
        assert (one.triangle == other.triangle).float().mean() > 0.999
        both = (one.triangle == other.triangle) & (one.triangle >= 0)
        assert both.float().mean() > 0.1
        torch.testing.assert_close(one.barycentrics[both], other.barycentrics[both], rtol=0, atol=1e-3)


def test_the_machine_chooses_the_engine_and_nvdiffrast_is_never_chosen_unasked():
    assert resolve(Options(), cuda=False).visibility == "embree"
    assert resolve(Options(), cuda=True).visibility == "z-buffer"
    assert resolve(Options(visibility="embree"), cuda=True).visibility == "embree"
    points, triangles = soup(1, 0.3)
    with pytest.raises(OptionsError, match=r"needs a CUDA GPU; give --visibility"):
        render.choose_visibility("nvdiffrast", points, triangles, "cpu")


def test_the_engine_is_an_option_and_in_the_record(tiny_stage, style_folder, tmp_path):
    """Either engine gives the same texture, up to rounding.

    Adam's first steps take hardly more of a gradient than its sign, so that single texels differ.
    """
    textures = {}
    options = Options(preset="draft", device="cpu", texture_resolution=64, iterations=2)
    for engine in ("embree", "z-buffer"):
        own = dataclasses.replace(options, visibility=engine, output=tmp_path / engine)
        result = usdstylize.stylize(tiny_stage, style_folder, own)
        assert result.plan.settings["visibility"] == engine
        files = sorted((tmp_path / engine).rglob("*.TS.exr"))
        textures[engine] = np.stack([oiio.ImageBuf(str(file)).get_pixels(oiio.FLOAT) for file in files])
    assert np.abs(textures["embree"]).max() > 0.03
    assert (np.abs(textures["z-buffer"] - textures["embree"]) < 2e-3).mean() > 0.97
    refused = dataclasses.replace(options, visibility="nvdiffrast", output=tmp_path / "refused")
    with pytest.raises(OptionsError, match="--visibility nvdiffrast needs a CUDA GPU"):
        usdstylize.stylize(tiny_stage, style_folder, refused, dry_run=True)
    assert not (tmp_path / "refused").exists()


def test_the_licence_of_nvdiffrast_is_named_once(tiny_stage, style_folder):
    options = Options(preset="draft", device="cpu")
    plan = usdstylize.stylize(tiny_stage, style_folder, options, dry_run=True).plan
    assert "nvdiffrast" not in " ".join(progress._announcement(plan, options))
    chosen = dataclasses.replace(plan, settings={**plan.settings, "visibility": "nvdiffrast"})
    assert " ".join(progress._announcement(chosen, options)).count("forbids commercial use") == 1
