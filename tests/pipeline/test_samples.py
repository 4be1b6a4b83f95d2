"""The sample content: it regenerates, it is valid USD, and it has the properties that other tests rely on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw
from pxr import Sdf, Usd, UsdGeom, UsdShade, UsdUtils, UsdValidation
from scipy import ndimage
from scipy.spatial import cKDTree

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[2] / "sample_stages"
Array = npt.NDArray[Any]
STAGES = ["still_life.usda", "uv_test.usda"]
UNWRAPPED = [
    "/World/Vase/Geom/Body",
    "/World/Mug/Geom/Body",
    "/World/Book/Geom/Volume",
    "/World/Pear/Geom/Fruit",
]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_samples"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def still_life() -> Usd.Stage:
    return Usd.Stage.Open(str(SAMPLES / "still_life.usda"))


def pixels(path: Path) -> Array:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def mesh_data(prim: Usd.Prim) -> tuple[Array, list[Array], list[Array]]:
    """World points, the point numbers of each face, and the texture coordinates of each face."""
    mesh = UsdGeom.Mesh(prim)
    to_world = np.array(UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default()))
    points = np.array(mesh.GetPointsAttr().Get()) @ to_world[:3, :3] + to_world[3, :3]
    ends = np.cumsum(mesh.GetFaceVertexCountsAttr().Get())[:-1]
    corners = np.array(mesh.GetFaceVertexIndicesAttr().Get())
    api = UsdGeom.PrimvarsAPI(prim)
    primvar = next(p for name in ("st", "map1") if (p := api.GetPrimvar(name)))
    uvs = np.array(primvar.ComputeFlattened())
    if primvar.GetInterpolation() == UsdGeom.Tokens.vertex:
        uvs = uvs[corners]
    return points, np.split(corners, ends), np.split(uvs, ends)


def base_texture(material: UsdShade.Material) -> Path | None:
    """The file that diffuseColor comes from, through whatever interfaces lie between."""
    surface = material.ComputeSurfaceSource()[0]
    found = surface.GetInput("diffuseColor").GetValueProducingAttributes()[0]
    shader = UsdShade.Shader(found.GetPrim())
    if shader.GetIdAttr().Get() != "UsdUVTexture":
        return None
    return Path(shader.GetInput("file").GetValueProducingAttributes()[0].Get().resolvedPath)


def pieces(prim: Usd.Prim) -> list[tuple[UsdShade.Material, list[int] | None]]:
    """Each material bound on a mesh, with the faces it covers (None: all)."""
    subsets = UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()
    if not subsets:
        return [(UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0], None)]
    return [
        (UsdShade.MaterialBindingAPI(s.GetPrim()).ComputeBoundMaterial()[0], list(s.GetIndicesAttr().Get()))
        for s in subsets
    ]


@pytest.mark.parametrize(
    "name",
    [
        "uv_test/T.png",
        "assets/mug/textures/mug_base.png",
        "styles/gouache/gouache_harbour.jpg",
        "styles/ink/ink_waves.png",
        "styles/stained_glass/glass_sunrise.png",
    ],
)
def test_images_regenerate(maker: ModuleType, tmp_path: Path, name: str) -> None:
    maker.save(maker.images()[name](), tmp_path / Path(name).name)
    # Pixels, not bytes: another release of Pillow may compress differently.
    difference = np.abs(pixels(tmp_path / Path(name).name) - pixels(SAMPLES / name))
    assert (difference > 1).mean() < 1e-3


def test_the_same_run_twice_gives_the_same_bytes(maker: ModuleType, tmp_path: Path) -> None:
    for turn in ("first", "second"):
        maker.save(maker.images()["assets/book/textures/cover_normal.png"](), tmp_path / turn / "image.png")
    assert (tmp_path / "first/image.png").read_bytes() == (tmp_path / "second/image.png").read_bytes()


def test_stages_regenerate(maker: ModuleType, tmp_path: Path) -> None:
    maker.write_stages(tmp_path)
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.usd?"))
    assert made == sorted(p.relative_to(SAMPLES) for p in SAMPLES.rglob("*.usd?"))
    for path in made:
        if path.suffix == ".usda":
            assert (tmp_path / path).read_text() == (SAMPLES / path).read_text()
            continue
        fresh, kept = (Usd.Stage.Open(str(root / path)) for root in (tmp_path, SAMPLES))
        for prim in kept.Traverse():
            if prim.IsA(UsdGeom.Mesh):
                for name in ("points", "faceVertexIndices", "normals"):
                    np.testing.assert_allclose(
                        np.array(fresh.GetPrimAtPath(prim.GetPath()).GetAttribute(name).Get()),
                        np.array(prim.GetAttribute(name).Get()),
                        atol=1e-4,
                    )


def test_every_image_of_the_samples_is_present(maker: ModuleType) -> None:
    kept = {p.relative_to(SAMPLES).as_posix() for p in SAMPLES.rglob("*") if p.suffix in {".png", ".jpg"}}
    assert kept == set(maker.images())


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_valid(name: str) -> None:
    stage = Usd.Stage.Open(str(SAMPLES / name))
    assert not stage.GetCompositionErrors()
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    assert [f"{e.GetName()}: {e.GetMessage()}" for e in context.Validate(stage)] == []


@pytest.mark.parametrize("name", STAGES)
def test_paths_are_anchored_and_resolve(name: str) -> None:
    layers, assets, unresolved = UsdUtils.ComputeAllDependencies(Sdf.AssetPath(str(SAMPLES / name)))
    assert not unresolved
    assert assets
    for layer in layers:
        for paths in UsdUtils.ExtractExternalReferences(layer.identifier):
            assert all(path.startswith("./") for path in paths), layer.identifier


def test_assembly_of_components(still_life: Usd.Stage) -> None:
    components = [p for p in still_life.Traverse() if p.IsModel() and not p.IsGroup()]
    assert len(components) >= 6
    sizes = []
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), ["default"])
    for prim in components:
        assert prim.HasPayload()
        sizes.append(max(cache.ComputeWorldBound(prim).ComputeAlignedRange().GetSize()))
    assert max(sizes) > 10 * min(sizes)

    unloaded = Usd.Stage.Open(still_life.GetRootLayer().identifier, Usd.Stage.LoadNone)
    assert not [p for p in unloaded.Traverse() if p.IsA(UsdGeom.Mesh)]


def test_things_stand_on_the_table_apart_and_in_frame(still_life: Usd.Stage) -> None:
    clouds: dict[str, list[Array]] = {}
    for prim in still_life.Traverse():
        if prim.IsA(UsdGeom.Mesh):
            clouds.setdefault(prim.GetPath().GetPrefixes()[1].name, []).append(mesh_data(prim)[0])
    points = {name: np.concatenate(parts) for name, parts in clouds.items()}
    table = points.pop("Table")
    points.pop("Wall")
    frustum = UsdGeom.Camera(still_life.GetPrimAtPath("/World/Camera")).GetCamera().frustum
    project = np.array(frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix())
    for name, cloud in points.items():
        assert cloud[:, 1].min() == pytest.approx(table[:, 1].max(), abs=0.06), name
        assert (np.abs(cloud[:, [0, 2]]) < np.abs(table[:, [0, 2]]).max(0)).all(), name
        clip = np.column_stack([cloud, np.ones(len(cloud))]) @ project
        assert (np.abs(clip[:, :2] / clip[:, 3:]) < 0.98).all(), name
    names = sorted(points)
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            assert cKDTree(points[first]).query(points[second])[0].min() > 0.4, (first, second)


def test_texture_coordinates_come_in_each_kind(still_life: Usd.Stage) -> None:
    kinds = set()
    for prim in still_life.Traverse():
        if prim.IsA(UsdGeom.Mesh):
            for primvar in UsdGeom.PrimvarsAPI(prim).GetPrimvars():
                if primvar.GetTypeName() == Sdf.ValueTypeNames.TexCoord2fArray:
                    kinds.add((primvar.GetPrimvarName(), primvar.GetInterpolation(), primvar.IsIndexed()))
    assert kinds == {("st", "faceVarying", True), ("st", "vertex", False), ("map1", "faceVarying", True)}
    table = np.concatenate(mesh_data(still_life.GetPrimAtPath("/World/Table/Geom/Top"))[2])
    assert table.max() > 2


@pytest.mark.parametrize("path", UNWRAPPED)
def test_islands_keep_their_distance_and_bleed_into_it(still_life: Usd.Stage, path: str) -> None:
    prim = still_life.GetPrimAtPath(path)
    _, _, uvs = mesh_data(prim)
    for material, chosen in pieces(prim):
        texture = base_texture(material)
        assert texture
        colours = pixels(texture)
        size = len(colours)
        assert colours.shape == (1024, 1024, 3)
        mask = Image.new("L", (size, size), 0)
        draw = ImageDraw.Draw(mask)
        for face in uvs if chosen is None else [uvs[i] for i in chosen]:
            draw.polygon([(u * size - 0.5, (1 - v) * size - 0.5) for u, v in face.tolist()], fill=255)
        covered = np.asarray(mask) > 0
        labels, count = ndimage.label(covered, np.ones((3, 3)))
        assert count >= 3
        for island in range(1, count + 1):
            distance = ndimage.distance_transform_edt(labels != island)
            assert distance[covered & (labels != island)].min() >= 8
        distance, nearest = ndimage.distance_transform_edt(~covered, return_indices=True)
        gutter = (distance > 0) & (distance <= 4)
        change = np.abs(colours - colours[nearest[0], nearest[1]]).mean(-1)[gutter]
        assert change.mean() < 8
        assert colours[gutter].sum(-1).min() > 40


@pytest.mark.parametrize("path", UNWRAPPED)
def test_no_texture_is_mirrored(still_life: Usd.Stage, path: str) -> None:
    points, faces, uvs = mesh_data(still_life.GetPrimAtPath(path))
    points = points - points[0]
    volume = sum(float((np.cross(points[f[1:-1]], points[f[2:]]) @ points[f[0]]).sum()) for f in faces)
    assert volume > 0  # faces wind outwards
    for uv in uvs:
        u, v = uv.T
        assert u @ np.roll(v, -1) - v @ np.roll(u, -1) > 0


def test_the_tulips_of_the_vase_grow_upwards(still_life: Usd.Stage) -> None:
    prim = still_life.GetPrimAtPath("/World/Vase/Geom/Body")
    points, faces, uvs = mesh_data(prim)
    texture = base_texture(pieces(prim)[0][0])
    assert texture
    colours = pixels(texture)
    centre = np.array([uv.mean(0) for uv in uvs])
    height = np.array([points[f, 1].mean() for f in faces])
    red, green, blue = colours[(1024 * (1 - centre[:, 1])).astype(int), (1024 * centre[:, 0]).astype(int)].T
    flower, leaf = (red > 180) & (blue < 90), (green > red + 20) & (green > blue + 30)
    assert flower.sum() > 20
    assert leaf.sum() > 20
    assert np.median(height[flower]) > np.median(height[leaf]) + 2


def test_materials_come_in_each_kind(still_life: Usd.Stage) -> None:
    constant, interfaces = 0, set()
    for prim in still_life.Traverse():
        material = UsdShade.Material(prim)
        if not material:
            continue
        if base_texture(material) is None:
            constant += 1
        for interface in material.GetInterfaceInputs():
            path = interface.GetAttr().GetPath()
            interfaces |= {
                p.GetTypeName()
                for p in Usd.PrimRange(prim)
                for a in p.GetAttributes()
                if path in a.GetConnections()
            }
    assert constant >= 1
    assert interfaces == {"NodeGraph", "Shader"}
    volume = UsdGeom.Imageable(still_life.GetPrimAtPath("/World/Book/Geom/Volume"))
    assert UsdGeom.Subset.ValidateFamily(volume, "face", "materialBind")[0]
    assert UsdGeom.Subset.GetFamilyType(volume, "materialBind") == UsdGeom.Tokens.partition


def test_the_uv_test_fills_its_frame() -> None:
    stage = Usd.Stage.Open(str(SAMPLES / "uv_test.usda"))
    frustum = UsdGeom.Camera(stage.GetPrimAtPath("/World/Camera")).GetCamera().frustum
    seen = {tuple(round(c, 6) + 0.0 for c in corner[:2]) for corner in frustum.ComputeCorners()}
    assert seen == {(0, 0), (1, 0), (0, 1), (1, 1)}
    test = pixels(SAMPLES / "uv_test/T.png")
    assert test.shape == (256, 256, 3)
    assert test.min() == 0
    assert test.max() == 255
    turned = [np.rot90(m, k) for m in (test, test[:, ::-1]) for k in range(4)][1:]
    assert min(np.abs(test - other).mean() for other in turned) > 20


@pytest.mark.parametrize("style", ["gouache", "ink", "stained_glass"])
def test_styles_look_like_what_they_are_called(style: str) -> None:
    pictures = sorted((SAMPLES / "styles" / style).iterdir())
    assert len(pictures) >= 2
    for path in pictures:
        image = pixels(path)
        assert min(image.shape[:2]) >= 1024
        chroma, light = image.max(-1) - image.min(-1), image.mean(-1)
        tiles = light.reshape(8, 128, 8, 128).std((1, 3))
        if style == "ink":  # black on white, hardly a grey
            assert chroma.max() == 0
            assert ((light < 40) | (light > 215)).mean() > 0.7
            assert 0.2 < (light < 128).mean() < 0.7
        elif style == "stained_glass":  # strong colour between black lead
            assert 0.12 < (light < 45).mean() < 0.5
            assert np.median(chroma[light > 60]) > 90
        else:  # full of colour, without black
            assert (light < 30).mean() < 0.02
            assert np.median(chroma) > 60
        assert (tiles > 8).mean() > 0.95  # strokes everywhere
