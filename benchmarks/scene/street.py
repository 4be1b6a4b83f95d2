"""A street of 25 objects whose sizes differ by 20 and whose UVs agree about nothing, drawn by script."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pxr import Gf, Kind, Usd, UsdGeom, UsdLux, UsdShade

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_stages"))

import _shapes  # type: ignore[import-not-found]
import _stages  # type: ignore[import-not-found]
from _draw import (  # type: ignore[import-not-found]
    fractal_noise,
    hex_rgb,
    smoothstep,
    to_image,
    unit_grid,
)

__all__ = ["CAMERA", "write_street"]

Array = NDArray[np.float64]

CAMERA = "/World/Camera"
_SIZE = 512
_CLOSED = ("clamp", "clamp")
_REPEATED = ("repeat", "repeat")


@dataclass(frozen=True)
class Thing:
    """One mesh, its materials, and where it stands: centimetres, and degrees about Y."""

    name: str
    pieces: tuple[tuple[str, _shapes.Part], ...]
    place: tuple[float, float, float]
    turn: float = 0.0
    uv_name: str = "st"


def things() -> list[Thing]:
    """All that stands in the street; the first is its ground."""
    found = [
        Thing("Ground", (("Cobbles", plane(720, 480, repeat=120)),), (0, 0, 0)),
        Thing("HouseLeft", (("Plaster", box(300, 280, 40, repeat=180)),), (-190, 0, -210), 3),
        Thing("HouseRight", (("Brick", box(330, 300, 40)),), (165, 0, -215), -4),
        Thing("DoorLeft", (("Paint", box(84, 190, 8)),), (-150, 0, -185), 3),
        Thing("DoorRight", (("Planks", box(92, 205, 8)),), (120, 0, -190), -4),
        Thing("ShutterA", (("Paint", box(46, 90, 5)),), (-262, 130, -183), 3),
        Thing("ShutterB", (("Teal", box(46, 90, 5)),), (240, 140, -194), -4),
        Thing("Sign", (("Sign", plane(90, 52, upright=True)),), (20, 180, -150), 10),
        Thing("LampLeft", (("Iron", _lamp(262)),), (-75, 0, -120)),
        Thing("LampRight", (("Iron", _lamp(240)),), (262, 0, -60)),
        Thing("Well", (("Stone", _drum(56, 78)),), (-40, 0, -40)),
        Thing("Bench", (("Planks", box(130, 9, 44, low=42)), ("Iron", _legs())), (180, 0, -110), -12),
    ]
    barrels = ((-250, -95, 31, 88), (-182, -110, 27, 74), (-222, -30, 22, 58))
    for name, (x, z, radius, height) in zip("ABC", barrels, strict=True):
        found.append(Thing(f"Barrel{name}", (("Planks", _barrel(radius, height)),), (x, 0, z), 40))
    crates = ((75, -60, 52, 60.0), (128, -30, 40, 40.0), (84, 18, 30, 1.0))
    for name, (x, z, side, repeat) in zip("ABC", crates, strict=True):
        crate = box(side, side, side, repeat=0 if repeat == 1.0 else repeat)
        found.append(Thing(f"Crate{name}", (("Planks", crate),), (x, 0, z), 7.0 * side))
    stones = ((-120, 70, 27), (-165, 25, 34), (20, 95, 23), (215, 45, 29))
    for name, (x, z, radius) in zip("ABCD", stones, strict=True):
        material = "Granite" if name in "AC" else "Stone"
        stone = _stone(radius, ord(name))
        found.append(Thing(f"Stone{name}", ((material, stone),), (x, 0, z), uv_name="map1"))
    vase, mug = _shapes.vase(), _shapes.mug()
    for name, (x, z, scale) in zip("AB", ((150, 55, 1.3), (-70, 120, 1.75)), strict=True):
        found.append(Thing(f"Vase{name}", (("Glaze", _scaled(vase, scale)),), (x, 0, z), 30))
    for name, (x, z, scale) in zip("AB", ((-25, 60, 1.6), (95, 110, 1.9)), strict=True):
        material = "Enamel" if name == "A" else "Glaze"
        found.append(Thing(f"Mug{name}", ((material, _scaled(mug, scale)),), (x, 0, z), 120))
    return found


def looks() -> list[_stages.Look]:
    """The materials; five of them have one constant colour."""
    look = _stages.Look
    return [
        look("Cobbles", base="cobbles.png", roughness=0.9, wrap=_REPEATED),
        look("Plaster", base="plaster.png", roughness=0.95, wrap=_REPEATED),
        look("Brick", base="brick.png", roughness=0.9, wrap=_CLOSED),
        look("Planks", base="planks.png", roughness=0.6, wrap=_REPEATED, route="material"),
        look("Stone", base="stone.png", roughness=0.9, wrap=_REPEATED, uv_name="st"),
        look("Sign", base="sign.png", roughness=0.5, wrap=_CLOSED),
        look("Glaze", base="glaze.png", roughness=0.2, wrap=_REPEATED),
        look("Granite", colour=(0.33, 0.32, 0.36), roughness=0.8),
        look("Paint", colour=(0.55, 0.16, 0.10), roughness=0.4),
        look("Teal", colour=(0.10, 0.33, 0.34), roughness=0.4),
        look("Iron", colour=(0.10, 0.11, 0.12), roughness=0.5),
        look("Enamel", colour=(0.75, 0.70, 0.58), roughness=0.2),
    ]


def write_street(folder: Path) -> Path:
    """Writes `street.usda` and its textures into ``folder``: centimetres, Y up. Returns the stage's path."""
    (folder / "textures").mkdir(parents=True, exist_ok=True)
    for name, draw in TEXTURES.items():
        draw().save(folder / "textures" / f"{name}.png")
    stage = _stages._new_stage(folder / "street.usda", "World")
    Usd.ModelAPI(stage.GetDefaultPrim()).SetKind(Kind.Tokens.assembly)
    UsdGeom.Scope.Define(stage, "/World/Looks")
    # A material for each UV name: the texture's reader names the primvar.
    for look in looks():
        for uv_name in ("st", "map1"):
            look.uv_name = uv_name
            _stages.write_look(stage, f"/World/Looks/{look.name}{'' if uv_name == 'st' else 'Map1'}", look)
    for thing in things():
        mesh = _stages.Mesh("Mesh", list(thing.pieces), uv_name=thing.uv_name)
        form = UsdGeom.Xform.Define(stage, f"/World/{thing.name}")
        form.AddTranslateOp().Set(Gf.Vec3d(*thing.place))
        form.AddRotateYOp().Set(float(thing.turn))
        _stages.write_mesh(stage, f"/World/{thing.name}/Mesh", mesh)
        for name, _ in thing.pieces:
            bound = f"/World/{thing.name}/Mesh" + (f"/{name}" if len(thing.pieces) > 1 else "")
            suffix = "" if thing.uv_name == "st" else "Map1"
            material = UsdShade.Material.Get(stage, f"/World/Looks/{name}{suffix}")
            UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath(bound)).Bind(material)
    _light(stage)
    stage.GetRootLayer().Save()
    return folder / "street.usda"


def _light(stage: Usd.Stage) -> None:
    """The camera, a dome and a sun."""
    view = Gf.Matrix4d().SetLookAt(Gf.Vec3d(40, 205, 560), Gf.Vec3d(0, 92, -60), Gf.Vec3d(0, 1, 0))
    camera = UsdGeom.Camera.Define(stage, CAMERA)
    camera.AddTransformOp().Set(view.GetInverse())
    camera.CreateFocalLengthAttr(32.0)
    camera.CreateHorizontalApertureAttr(36.0)
    camera.CreateVerticalApertureAttr(24.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(1, 10000))
    UsdGeom.Scope.Define(stage, "/World/Lights")
    UsdLux.DomeLight.Define(stage, "/World/Lights/Sky").CreateIntensityAttr(0.4)
    sun = UsdLux.DistantLight.Define(stage, "/World/Lights/Sun")
    sun.CreateIntensityAttr(2.5)
    sun.AddRotateXYZOp().Set(Gf.Vec3f(-50, -38, 0))


def plane(width: float, depth: float, *, repeat: float = 0.0, upright: bool = False) -> _shapes.Part:
    """A rectangle on y = 0, or standing on it; its UVs span 0..1, or 1 for each ``repeat`` centimetres."""
    x, y = np.meshgrid(np.linspace(-width / 2, width / 2, 13), np.linspace(0, depth, 9))
    flat = np.zeros_like(x)
    points = np.stack([x, y, flat] if upright else [x, flat, depth / 2 - y], -1)
    rect = (0.0, 0.0, width / repeat, depth / repeat) if repeat else (0.0, 0.0, 1.0, 1.0)
    return _shapes.grid(points, rect, np.linspace(0, 1, 13), np.linspace(0, 1, 9))


def box(width: float, height: float, depth: float, *, repeat: float = 0.0, low: float = 0.0) -> _shapes.Part:
    """A box above y = ``low``. Its faces share 0..1 in three columns and two rows, whatever their shape, so
    that texel densities differ; or every face starts at 0 and repeats each ``repeat`` centimetres."""
    half = np.array([width, height, depth]) / 2
    parts = []
    for number, (axis, sign) in enumerate((a, s) for a in range(3) for s in (1.0, -1.0)):
        # Across and up as seen from outside.
        up = np.eye(3)[1] if axis != 1 else np.eye(3)[2] * -sign
        right = np.cross(up, sign * np.eye(3)[axis])
        s, t = np.linspace(-1, 1, 9), np.linspace(-1, 1, 9)
        points = (
            sign * half[axis] * np.eye(3)[axis]
            + (s[None, :, None] * right + t[:, None, None] * up) * half
            + (0, half[1] + low, 0)
        )
        if repeat:
            lengths = 2 * half @ np.abs(np.stack([right, up], 1))
            rect = (0.0, 0.0, float(lengths[0] / repeat), float(lengths[1] / repeat))
        else:
            column, row = number % 3, number // 3
            rect = (column / 3 + 0.01, row / 2 + 0.01, (column + 1) / 3 - 0.01, (row + 1) / 2 - 0.01)
        parts.append(_shapes.grid(points, rect, (s + 1) / 2, (t + 1) / 2))
    return _shapes.join(parts)


def _scaled(part: _shapes.Part, scale: float) -> _shapes.Part:
    return _shapes.Part(part.points * scale, part.uvs, part.faces, part.normals)


def _barrel(radius: float, height: float) -> _shapes.Part:
    """Staves that bulge, u three times round; a closed top."""
    t = np.linspace(0, 1, 17)
    profile = np.stack([radius * (0.8 + 0.2 * np.sin(np.pi * t)), height * t], 1)
    return _shapes.join(
        [
            _shapes.lathe(profile, 40, (0.0, 0.0, 3.0, 1.0)),
            _shapes.disc(0.8 * radius, height, 40, (0.0, 0.0, 1.0, 1.0), up=True),
        ]
    )


def _drum(radius: float, height: float) -> _shapes.Part:
    """The ring of a well: outside, rim and inside, each with its own texel density."""
    ring = [(radius, 0), (radius, height)]
    inner = [(0.8 * radius, height), (0.8 * radius, 4), (0, 4)]
    rim = [(radius, height), (0.8 * radius, height)]
    rects = ((0.0, 0.0, 3.0, 1.0), (0.0, 0.0, 3.0, 0.15), (0.0, 0.0, 1.0, 1.0))
    return _shapes.join(
        [
            _shapes.lathe(_dense(profile), 48, rect)
            for profile, rect in zip((ring, rim, inner), rects, strict=True)
        ]
    )


def _lamp(height: float) -> _shapes.Part:
    """A post with a foot and a lantern."""
    profile = [(0, 0), (13, 0), (12, 8), (5, 14), (4, 0.76 * height), (11, 0.78 * height)]
    profile += [(15, 0.94 * height), (3, height), (0, height)]
    return _shapes.lathe(_dense(profile), 24, (0.02, 0.02, 0.98, 0.98))


def _legs() -> _shapes.Part:
    """Those of the bench."""
    legs = []
    for x in (-54, 54):
        leg = box(7, 42, 36)
        legs.append(_shapes.Part(leg.points + np.array([x, 0, 0]), leg.uvs, leg.faces))
    return _shapes.join(legs)


def _stone(radius: float, seed: int) -> _shapes.Part:
    """A lumpy sphere that lies on y = 0."""
    t = np.linspace(0, np.pi, 25)
    ring = np.stack([np.sin(t), -np.cos(t)], 1)
    ring[[0, -1], 0] = 0
    part = _shapes.lathe(ring, 36, (0.0, 0.0, 1.0, 1.0))
    waves = np.random.default_rng(seed).normal(size=(5, 3)) * 1.6
    swell = 1 + 0.06 * np.sin(part.points @ waves.T).sum(1)
    points = part.points * swell[:, None] * radius * (1.1, 0.75, 1.0)
    points[:, 1] -= points[:, 1].min()
    return _shapes.Part(points, part.uvs, part.faces)


def _dense(profile: Sequence[tuple[float, float]]) -> Array:
    """A polyline of (radius, height) with points between, so that facets have sane shapes."""
    points = np.array(profile, float)
    return np.concatenate([*(np.linspace(a, b, 6)[:-1] for a, b in pairwise(points)), points[-1:]])


def _mottled(colour: str, seed: int, cells: int, share: float) -> Array:
    """(S, S, 3) code values 0..255 that vary slowly about one colour."""
    x, y = unit_grid(_SIZE)
    noise = fractal_noise(np.random.default_rng(seed), x, y, cells, cells, 4)
    return np.asarray(np.array(hex_rgb(colour), float) * (1 + share * noise[..., None]))


def _courses(rows: int, columns: int, gap: float) -> tuple[Array, Array]:
    """Bricks in a bond: 1 in a brick and 0 in the mortar, and each brick's own number, (S, S)."""
    x, y = unit_grid(_SIZE)
    row = np.floor(y * rows)
    across = x * columns + 0.5 * (row % 2)
    near = np.minimum(
        np.minimum(across % 1, 1 - across % 1) / columns, np.minimum(y * rows % 1, 1 - y * rows % 1) / rows
    )
    return smoothstep(gap / 2, gap, near), row * columns + np.floor(across) % columns


def _masonry(rows: int, columns: int, gap: float, colour: str, mortar: str, seed: int) -> Array:
    brick, number = _courses(rows, columns, gap)
    tone = np.random.default_rng(seed).uniform(0.75, 1.2, 4096)[number.astype(int) % 4096]
    values = _mottled(colour, seed, 12, 0.15) * tone[..., None]
    return np.asarray(np.where(brick[..., None] > 0.5, values, np.array(hex_rgb(mortar), float)))


def _planks() -> Array:
    x, y = unit_grid(_SIZE)
    noise = fractal_noise(np.random.default_rng(3), x, y, 3, 24, 4)
    number = np.floor(x * 6)
    grain = 0.12 * np.sin(2 * np.pi * (x * 40 + 1.5 * noise))
    tone = np.random.default_rng(5).uniform(0.8, 1.15, 6)[number.astype(int)]
    seam = smoothstep(0.01, 0.05, np.minimum(x * 6 % 1, 1 - x * 6 % 1))
    return np.asarray(
        np.array(hex_rgb("9a6a3c"), float) * ((1 + grain) * tone * (0.35 + 0.65 * seam))[..., None]
    )


def _sign() -> Array:
    x, y = unit_grid(_SIZE)
    values = _mottled("28405e", 7, 6, 0.05)
    border = (np.minimum(np.minimum(x, 1 - x) * 90, np.minimum(y, 1 - y) * 52) - 4) ** 2 < 1
    cup = (np.hypot((x - 0.5) * 90, (y - 0.5) * 52) < 14) & (y > 0.42)
    values[border | cup] = hex_rgb("e8c15a")
    return values


def _glaze() -> Array:
    x, y = unit_grid(_SIZE)
    values = _mottled("d8cba8", 9, 5, 0.05)
    wave = np.sin(2 * np.pi * 6 * x) * 0.03
    for level in (0.25, 0.5, 0.62):
        values[np.abs(y - level - wave) < 0.02] = hex_rgb("2b5c78")
    return values


TEXTURES: dict[str, Callable[[], Image.Image]] = {
    "cobbles": lambda: to_image(_masonry(8, 8, 0.014, "8d877e", "57524b", 1)),
    "plaster": lambda: to_image(_mottled("d9b98a", 2, 8, 0.12)),
    "brick": lambda: to_image(_masonry(24, 12, 0.006, "a4523a", "c9bba6", 4)),
    "planks": lambda: to_image(_planks()),
    "stone": lambda: to_image(_mottled("8b8680", 6, 14, 0.3)),
    "sign": lambda: to_image(_sign()),
    "glaze": lambda: to_image(_glaze()),
}
