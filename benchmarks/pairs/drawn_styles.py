"""Six styles that nothing was tuned on, drawn by this script: each one image of 1024².

Woodcut, watercolour, pixel art, blueprint, mosaic and pastel; the same bytes from the same seed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.spatial import cKDTree

from benchmarks.pairs.motifs import SIZE, Ramp, landscape, noise, ramp, still_life

__all__ = ["STYLES", "draw", "write"]

Array = NDArray[Any]

_SCALE = 2
"""Lines are drawn at twice the size, then averaged."""


def draw(name: str, seed: int = 0) -> Image.Image:
    """One of `STYLES`, (1024, 1024) RGB. Raises KeyError for another name."""
    return STYLES[name](seed)


def write(folder: Path, seed: int = 0) -> list[Path]:
    """All six as ``NAME.png`` in a folder, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in STYLES]
    for path in paths:
        draw(path.stem, seed).save(path, optimize=True)
    return paths


def _image(values: Array) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8), "RGB")


def _rgb(code: str) -> Array:
    return np.asarray(ramp((code, code, code), np.zeros(1))[0])


def _smooth(low: float, high: float, x: Array) -> Array:
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


# Woodcut


def woodcut(seed: int) -> Image.Image:
    """Cream paper where a gouge has cut; tapering cuts follow the forms of a landscape in black."""
    random = np.random.default_rng(seed)
    grey: Ramp = ("000000", "808080", "ffffff")
    names = ("sky", "sun", "far", "near", "field", "tree", "trunk")
    motif = landscape(seed + 5, dict.fromkeys(names, grey))
    waver = 2.2 * noise(random, 26)
    across = motif.across + waver
    y, x = np.gradient(across)
    slope = np.clip(np.hypot(x, y), 0.35, 3.0)
    cut = np.zeros((SIZE, SIZE))
    for spacing, length, phase, least in ((15.0, 150.0, 0.0, 0.0), (15.0, 110.0, 0.5, 0.55)):
        line = np.floor(across / spacing + phase).astype(int)
        jitter = random.uniform(0, 1, 4096)[line % 4096]
        own = length * (0.7 + 0.6 * random.uniform(0, 1, 4096)[line % 4096])
        part = np.mod(motif.along / own + jitter, 1.0)
        # A gouge goes in deep and comes out slowly.
        taper = np.sin(np.pi * np.clip(part, 0, 0.94) ** 0.75 / 0.94**0.75) ** 0.55
        light = np.clip((motif.light - least * 0.7) / (1 - least * 0.7), 0, 1)
        half = 0.5 * spacing * (0.12 + 0.88 * light) * np.where(light > 0.05, 1, 0) * taper / slope
        distance = np.abs(across / spacing + phase - line - 0.5) * spacing / slope
        rough = 0.45 * noise(random, 3)
        cut = np.maximum(cut, np.clip(half - distance + rough, 0, 1) * (half > 0.8))
    cut[motif.label == 1] = 1.0
    edges = motif.edges()
    cut *= _smooth(2.2, 4.0, edges + 0.6 * noise(random, 9))
    grain = noise(random, 1.2) + 0.8 * ndimage.gaussian_filter1d(noise(random, 1.5), 16, axis=1)
    worn = _smooth(2.0, 2.6, grain)
    shown = np.maximum(cut, 0.85 * worn)[..., None]
    ink, paper = _rgb("16120f"), _rgb("efe3c6") + 0.012 * noise(random, 30)[..., None]
    return _image(ink * (1 - shown) + paper * shown)


# Watercolour


def watercolour(seed: int) -> Image.Image:
    """Transparent washes with dark rims, blooms and granulation on white, rough paper."""
    random = np.random.default_rng(seed)
    ramps: dict[str, Ramp] = {
        "wall": ("6f9fb8", "a9c9d6", "dfeaec"), "cloth": ("8f86b4", "cfc4dc", "f7f2f3"),
        "stripe": ("2f5f9e", "5b8fc9", "9cc2e6"), "jug": ("1f5a66", "3f96a0", "b6dedc"),
        "red": ("9c1f3a", "d8485a", "f3a9a0"), "yellow": ("c0741a", "efb23c", "fae4a0"),
        "green": ("2f5e2c", "6ea24a", "c8db8c"), "dark": ("3a2352", "6c4690", "b49ac8"),
    }  # fmt: skip
    motif = still_life(seed + 11, ramps)
    paper = noise(random, 1.6) + 0.8 * noise(random, 3.0)
    # The hand strays from the drawing: everything is read a few pixels away.
    dy, dx = (4.0 * noise(random, 20) + 1.2 * noise(random, 5) for _ in range(2))
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    rows, columns = (np.clip(np.rint(a + d).astype(int), 0, SIZE - 1) for a, d in ((y, dy), (x, dx)))
    motif = replace(
        motif,
        label=motif.label[rows, columns],
        across=motif.across[rows, columns],
        along=motif.along[rows, columns],
        light=ndimage.gaussian_filter(motif.light, 7)[rows, columns],
    )
    edges = motif.edges()
    bleed = ndimage.gaussian_filter(motif.colors(), (7, 7, 0))
    # Glazes absorb: pigment by pigment, density is a sum of logarithms.
    hue = -np.log(np.clip(bleed, 0.03, 0.99))
    density = 0.92 + 0.24 * noise(random, 70) + 0.12 * noise(random, 22)
    density += 0.75 * np.exp(-edges / 2.6) - 0.25 * _smooth(4, 16, edges) * np.exp(-edges / 40)
    for _ in range(16):
        cx, cy, radius = random.uniform(0, SIZE), random.uniform(0, SIZE), random.uniform(35, 95)
        away = (
            np.hypot(x - cx, y - cy) + 0.17 * radius * noise(random, 11) + 0.12 * radius * noise(random, 30)
        )
        density += -0.3 * _smooth(1.05 * radius, 0.3 * radius, away) + 0.32 * np.exp(
            -(((away - radius) / 5) ** 2)
        )
    # A wash that dried before the next stroke leaves its own rims.
    for level in (-0.6, 0.3, 1.0):
        wash = noise(random, 55) + 0.12 * noise(random, 8) - level
        steep = np.hypot(*np.gradient(ndimage.gaussian_filter(wash, 1.5))) + 1e-3
        density += 0.16 * (wash > 0) + 0.22 * np.exp(-np.abs(wash) / steep / 2.2) * (wash > 0)
    density *= 1 + 0.16 * paper * _smooth(0.1, 0.9, hue.mean(-1))
    dry = (edges < 2.0) & (noise(random, 24) > 0.55)
    density[dry] *= 0.25
    density *= 1 - _smooth(0.93, 1.0, motif.light)
    shade = 1 + 0.022 * ndimage.sobel(paper, axis=1) / 3
    white = _rgb("faf7ef")
    return _image(white * shade[..., None] * np.exp(-hue * np.clip(density, 0.05, 2.6)[..., None]))


# Pixel art

_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) / 16 + 1 / 32
_PIXELS = 128
_SIXTEEN = (
    "1a1c2c", "5d275d", "b13e53", "ef7d57", "ffcd75", "a7f070", "38b764", "257179",
    "29366f", "3b5dc9", "41a6f6", "73eff7", "f4f4f4", "94b0c2", "566c86", "333c57",
)  # fmt: skip
_SPRITES = {
    "mushroom": (
        "...111111... .112cc2221.. 12cc22222c1. 12c222c2cc21 1222222cc221 11122222111. "
        "..1ccccd1... ..1c1c1d1... ..1c1c1d1... ..1cccdd1... ...1111....."
    ),
    "gem": (
        "...11111... ..1bbbaa1.. .1bbcbaa91. 1bbbbaaa991 1aabba99981 .1aaa99981. "
        "..1aa9981.. ...1a981... ....181.... .....1....."
    ),
    "coin": "..1111.. .144431. 14c44331 14c14331 14c14331 14c44331 .144331. ..1111..",
    "heart": ".11..11. 12c11221 1c222221 12222221 .122221. ..1221.. ...11...",
    "slime": (
        "....1111.... ..11555511.. .15c5555561. 155555555661 155151155661 "
        "151c551c5661 155555555661 166665566671 .1111111111."
    ),
    "cloud": (
        "......cccc...... ....cccccccc.cc. ..cccccccccccccc cccccccccccccccc ddcccddcccccddcc "
        ".dddd.dddddd.dd."
    ),
}
"""Colours as hexadecimal indices of the palette; '1' is drawn as the outline."""


def pixel_art(seed: int) -> Image.Image:
    """16 colours on a grid of 128², ramps dithered by Bayer's matrix, sprites with outlines."""
    random = np.random.default_rng(seed)
    ramps: dict[str, tuple[int, ...]] = {
        "sky": (8, 9, 10, 11), "sun": (3, 4, 12), "far": (15, 14, 13), "near": (1, 2, 3),
        "field": (7, 6, 5), "tree": (15, 7, 6, 5), "trunk": (0, 1, 3),
    }  # fmt: skip
    blank: Ramp = ("000000", "808080", "ffffff")
    order = ["sky", "sun", "far", "near", "near", *["field"] * 4, *["trunk", *["tree"] * 6] * 5]
    motif = landscape(seed + 2, dict.fromkeys(ramps, blank))
    step = SIZE // _PIXELS
    label, light = motif.label[4::step, 4::step], motif.light[4::step, 4::step]
    pixels = np.zeros((_PIXELS, _PIXELS), int)
    threshold = np.tile(_BAYER, (_PIXELS // 4, _PIXELS // 4))
    for number, name in enumerate(order):
        steps = ramps[name]
        level = np.clip(light, 0, 0.999) * (len(steps) - 1)
        chosen = np.minimum(np.floor(level + threshold), len(steps) - 1).astype(int)
        pixels = np.where(label == number, np.array(steps)[chosen], pixels)
    tree = np.isin(label, [n for n, name in enumerate(order) if name in ("tree", "trunk")])
    pixels[ndimage.binary_dilation(tree) & ~tree] = 0
    ridge = np.roll(label, 1, 0) != label
    pixels[ridge & ~tree & (label > 1)] = 0
    places = [("cloud", 12, 8), ("cloud", 44, 20), ("cloud", 100, 10), ("cloud", 76, 44)]
    kinds = [name for name in _SPRITES if name != "cloud"]
    for row in range(78, 122, 13):
        for column in range(2 + int(random.integers(0, 6)), 116, 17):
            places.append((str(random.choice(kinds)), column + int(random.integers(-1, 2)), row))
    for name, left, top in places:
        for dy, line in enumerate(_SPRITES[name].split()):
            for dx, mark in enumerate(line):
                if mark != "." and top + dy < _PIXELS and left + dx < _PIXELS:
                    pixels[top + dy, left + dx] = 0 if mark == "1" else int(mark, 16)
    palette = np.array([_rgb(code) for code in _SIXTEEN])
    return _image(palette[pixels].repeat(step, 0).repeat(step, 1))


# Blueprint


def blueprint(seed: int) -> Image.Image:
    """White technical lines, dimensions and hatched sections over a grid on Prussian blue."""
    random = np.random.default_rng(seed)
    full = SIZE * _SCALE
    page = Image.new("L", (full, full), 0)
    pen = ImageDraw.Draw(page)

    def line(points: Array, width: float = 2.2, tone: int = 235, dash: tuple[float, ...] = ()) -> None:
        if not dash:
            at = [tuple(p) for p in (np.asarray(points) * _SCALE).tolist()]
            pen.line(at, fill=tone, width=round(width * _SCALE), joint="curve")
            return
        for (x0, y0), (x1, y1) in pairwise(points):
            length, done, index = float(np.hypot(x1 - x0, y1 - y0)), 0.0, 0
            while done < length:
                end = min(done + dash[index % len(dash)], length)
                if index % 2 == 0:
                    part = np.array([[x0, y0], [x0, y0]]) + np.outer([done, end], [x1 - x0, y1 - y0]) / length
                    line(part, width, tone)
                done, index = end, index + 1

    def ring(cx: float, cy: float, r: float, width: float = 2.2, tone: int = 235) -> None:
        turn = np.linspace(0, 2 * np.pi, 181)
        line(np.stack([cx + r * np.cos(turn), cy + r * np.sin(turn)], 1), width, tone)

    def hatch(polygon: list[tuple[float, float]], spacing: float = 9, rising: bool = True) -> None:
        mask = Image.new("L", (full, full), 0)
        ImageDraw.Draw(mask).polygon([(a * _SCALE, b * _SCALE) for a, b in polygon], fill=255)
        lines = Image.new("L", (full, full), 0)
        own = ImageDraw.Draw(lines)
        for c in np.arange(-SIZE, 2 * SIZE, spacing):
            ends = ((c, 0), (c + SIZE, SIZE)) if rising else ((c, SIZE), (c + SIZE, 0))
            own.line([(a * _SCALE, b * _SCALE) for a, b in ends], fill=205, width=round(1.5 * _SCALE))
        page.paste(lines, (0, 0), Image.fromarray(np.minimum(np.asarray(mask), np.asarray(lines))))
        line(np.array([*polygon, polygon[0]]), 3.2, 245)

    def dimension(a: tuple[float, float], b: tuple[float, float], text: str) -> None:
        one, two = np.array(a), np.array(b)
        way = (two - one) / np.linalg.norm(two - one)
        side = np.array([-way[1], way[0]])
        line(np.stack([one, two]), 1.4, 210)
        for tip, sign in ((one, 1), (two, -1)):
            head = [tip, tip + sign * way * 13 + side * 4, tip + sign * way * 13 - side * 4]
            pen.polygon([tuple((p * _SCALE).tolist()) for p in head], fill=225)
            line(np.stack([tip - side * 12, tip + side * 12]), 1.4, 210)
        write_at((one + two) / 2 + side * -13, text)

    def write_at(at: Array, text: str) -> None:
        """Stroke letters of our own, so that no font decides the bytes: a few strokes a letter."""
        left = at[0] - 4.5 * len(text)
        for number, letter in enumerate(text):
            if letter == " ":
                continue
            own = np.random.default_rng(ord(letter))
            points = own.choice([(0, 0), (6, 0), (0, 5), (6, 5), (0, 10), (6, 10)], 4, replace=False)
            line(points + np.array([left + 9 * number, at[1] - 5]), 1.5, 225)

    for at in range(0, SIZE + 1, 16):
        heavy = at % 80 == 0
        tone, width = (74, 1.3) if heavy else (34, 1.0)
        line(np.array([[at, 0], [at, SIZE]]), width, tone)
        line(np.array([[0, at], [SIZE, at]]), width, tone)
    # A gear from the front
    cx, cy, teeth = 285.0, 290.0, 22
    turn = np.linspace(0, 2 * np.pi, teeth * 4 + 1)
    radius = np.where(np.arange(len(turn)) % 4 < 2, 205, 176)
    line(np.stack([cx + radius * np.cos(turn), cy + radius * np.sin(turn)], 1), 3.2, 245)
    for r, width in ((150, 2.4), (62, 3.2), (34, 3.2)):
        ring(cx, cy, r, width)
    for angle in np.arange(6) * np.pi / 3:
        ring(cx + 106 * np.cos(angle), cy + 106 * np.sin(angle), 27, 2.6)
    for a, b in (((50, cy), (520, cy)), ((cx, 55), (cx, 525))):
        line(np.array([a, b]), 1.4, 200, (26, 6, 5, 6))
    dimension((80, 530), (490, 530), "410 H7")
    dimension((cx, cy), (cx + 145, cy - 145), "R205")
    # Its shaft in section
    for x0, x1, half in ((575, 640, 60), (640, 720, 150), (720, 800, 205), (800, 865, 150), (865, 960, 60)):
        hatch([(x0, cy - half), (x1, cy - half), (x1, cy - 26), (x0, cy - 26)], 10, True)
        hatch([(x0, cy + 26), (x1, cy + 26), (x1, cy + half), (x0, cy + half)], 10, False)
    line(np.array([[540, cy], [990, cy]]), 1.4, 200, (26, 6, 5, 6))
    dimension((575, 530), (960, 530), "385.5")
    dimension((985, cy - 205), (985, cy + 205), "A B")
    # A house in elevation: roof, windows, brickwork
    line(np.array([[60, 930], [60, 720], [240, 610], [420, 720], [420, 930], [60, 930]]), 3.2, 245)
    hatch([(40, 728), (240, 600), (440, 728), (420, 742), (240, 628), (60, 742)], 8, False)
    for left in (95, 215, 335):
        for grow, width in ((0, 2.6), (7, 1.4)):
            corners = np.array([[left, 770], [left + 55, 770], [left + 55, 850], [left, 850], [left, 770]])
            line(
                corners
                + np.array([[grow, grow], [-grow, grow], [-grow, -grow], [grow, -grow], [grow, grow]]),
                width,
            )
        line(np.array([[left + 27, 777], [left + 27, 843]]), 1.4)
    for row in range(862, 930, 11):
        line(np.array([[60, row], [420, row]]), 1.2, 190)
        for column in range(60 + 14 * (row // 11 % 2), 420, 28):
            line(np.array([[column, row], [column, min(row + 11, 930)]]), 1.2, 190)
    dimension((60, 965), (420, 965), "12 400")
    # An arch by compasses, with its construction
    for r in (40, 80, 120, 160, 200):
        ring(700, 785, r, 1.3, 150)
    for angle in np.linspace(0, 2 * np.pi, 25)[:-1]:
        away = np.array([[60, 200]]).T * np.array([np.cos(angle), np.sin(angle)]) + [700, 785]
        line(away, 1.3, 165)
    petals = np.linspace(0, 2 * np.pi, 361)
    for part in range(3):
        away = 130 + 62 * np.cos(6 * petals + part * 2 * np.pi / 3)
        line(np.stack([700 + away * np.cos(petals), 785 + away * np.sin(petals)], 1), 2.8, 245)
    line(np.array([[470, 785], [930, 785]]), 1.4, 200, (26, 6, 5, 6))
    line(np.array([[905, 930], [1000, 930], [1000, 1000], [905, 1000], [905, 930]]), 2.8, 240)
    for row in (948, 966, 983):
        line(np.array([[905, row], [1000, row]]), 1.4)
        write_at(np.array([950, row - 8]), "FIG 12 A")
    line(np.array([[14, 14], [1010, 14], [1010, 1010], [14, 1010], [14, 14]]), 3, 235)
    lines = np.asarray(page.reduce(_SCALE), float) / 255
    lines *= np.clip(0.9 + 0.1 * noise(random, 2.0), 0.4, 1.05)
    ground = ramp(
        ("0a2a5c", "123a78", "1c4c92"),
        np.clip(0.5 + 0.2 * noise(random, 120) + 0.07 * noise(random, 4), 0, 1),
    )
    bleached = 0.04 * _smooth(1.0, 2.2, noise(random, 50))[..., None]
    return _image(ground + bleached + (_rgb("eaf1f7") - ground) * lines[..., None])


# Mosaic


def mosaic(seed: int) -> Image.Image:
    """Square stones turned as the forms run, each a little different, with grout between them."""
    random = np.random.default_rng(seed)
    ramps: dict[str, Ramp] = {
        "sky": ("1f4f8f", "4f93c4", "cfe3dc"), "sun": ("d88a1c", "f2c14a", "fbe9a8"),
        "far": ("5a4a7c", "8d7fa8", "c4b6c8"), "near": ("7a3b2c", "b8653f", "e0a070"),
        "field": ("4d6b2c", "9aa845", "dcd68a"), "tree": ("17402e", "2f7a4d", "7fb56a"),
        "trunk": ("3a2218", "6b4128", "98683f"),
    }  # fmt: skip
    motif = landscape(seed + 8, ramps)
    colors, edges = motif.colors(), motif.edges()
    # Near a border rows run along it (opus vermiculatum), elsewhere as the form does.
    border = ndimage.gaussian_filter(np.minimum(edges, 70.0), 4)
    dy, dx = np.gradient(border)
    angle = np.where(edges < 55, np.arctan2(dy, dx), motif.angle())
    turned = (
        ndimage.gaussian_filter(np.exp(4j * angle).real, 5),
        ndimage.gaussian_filter(np.exp(4j * angle).imag, 5),
    )
    angle = np.arctan2(turned[1], turned[0]) / 4
    stones, side = _stones(angle, edges, random)
    rows, columns = (
        np.clip(stones[:, 1], 0, SIZE - 1).astype(int),
        np.clip(stones[:, 0], 0, SIZE - 1).astype(int),
    )
    page = Image.new("RGB", (SIZE * _SCALE, SIZE * _SCALE), (0, 0, 0))
    which = Image.new("I", page.size, 0)
    pen = ImageDraw.Draw(which)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    for number, (x, y) in enumerate(stones):
        turn = angle[rows[number], columns[number]] + random.normal(0, 0.05)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        half = side / 2 * random.uniform(0.82, 0.95, 2)
        corners = (square * half + random.normal(0, 0.5, (4, 2))) @ matrix + (x, y)
        pen.polygon([tuple(p) for p in (corners * _SCALE).tolist()], fill=number + 1)
    owner = np.asarray(which)
    own = colors[rows, columns]
    own = own * (1 + random.normal(0, 0.09, (len(own), 1))) + random.normal(0, 0.028, own.shape)
    gold = random.uniform(size=len(own)) < 0.03
    own[gold] = own[gold] * 0.5 + 0.5 * _rgb("e8c868")
    grout = _rgb("8f8577") * (1 + 0.05 * noise(random, 2.0, SIZE * _SCALE)[..., None])
    depth = ndimage.distance_transform_edt(owner > 0)
    stone = own[np.maximum(owner - 1, 0)]
    tilt = random.normal(0, 0.004, (len(own), 2))[np.maximum(owner - 1, 0)]
    y, x = np.mgrid[0 : SIZE * _SCALE, 0 : SIZE * _SCALE] / _SCALE
    middle = stones[np.maximum(owner - 1, 0)]
    gleam = 1 + tilt[..., 0] * (x - middle[..., 0]) + tilt[..., 1] * (y - middle[..., 1])
    round_off = 0.78 + 0.22 * np.clip(depth / (2.5 * _SCALE), 0, 1)
    light = (stone * (gleam * round_off)[..., None]).clip(0, 1)
    shadow = 1 - 0.35 * np.exp(-ndimage.distance_transform_edt(owner == 0) / 3)
    shown = np.where((owner > 0)[..., None], light, grout * shadow[..., None])
    return _image(shown).reduce(_SCALE)


def _stones(angle: Array, edges: Array, random: np.random.Generator) -> tuple[Array, float]:
    """Centres (N, 2) of squares that fill the image, turned by ``angle``, and their side (Hausner 2001)."""
    side, step = 23.0, 4
    y, x = np.mgrid[step / 2 : SIZE : step, step / 2 : SIZE : step]
    places = np.stack([x.ravel(), y.ravel()], 1)
    weights = np.where(edges[step // 2 :: step, step // 2 :: step].ravel() < 4, 0.0, 1.0)
    grid = np.arange(side / 2, SIZE, side)
    stones = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2) + random.uniform(-3, 3, (len(grid) ** 2, 2))
    for _ in range(18):
        near = cKDTree(stones).query(places, k=6)[1]
        row, column = (
            np.clip(stones[:, 1], 0, SIZE - 1).astype(int),
            np.clip(stones[:, 0], 0, SIZE - 1).astype(int),
        )
        turn = angle[row, column][near]
        away = places[:, None] - stones[near]
        along = np.abs(away[..., 0] * np.cos(turn) + away[..., 1] * np.sin(turn))
        beside = np.abs(-away[..., 0] * np.sin(turn) + away[..., 1] * np.cos(turn))
        owner = near[np.arange(len(near)), np.maximum(along, beside).argmin(1)]
        total = np.bincount(owner, weights, len(stones))
        for axis in (0, 1):
            moved = np.bincount(owner, weights * places[:, axis], len(stones)) / np.maximum(total, 1e-9)
            stones[:, axis] = np.where(total > 0, moved, stones[:, axis])
    return stones, side


# Pastel


def pastel(seed: int) -> Image.Image:
    """Chalk, broken by the paper's tooth, in strokes that follow the forms of a still life on toned paper."""
    random = np.random.default_rng(seed)
    ramps: dict[str, Ramp] = {
        "wall": ("4a5a78", "7f93ab", "c9cfc8"), "cloth": ("8a6f78", "d8bfb4", "fbf0dc"),
        "stripe": ("a04a5e", "d98a8c", "f2c4b4"), "jug": ("2c4a6b", "5c86b0", "dbe6ea"),
        "red": ("7a2230", "c84f44", "f0a070"), "yellow": ("b0702c", "e8b04c", "fbe8a4"),
        "green": ("33523a", "6f9a5c", "c4d690"), "dark": ("33284a", "6a5688", "b09cc0"),
    }  # fmt: skip
    motif = still_life(seed + 3, ramps)
    colors, angle = motif.colors(), motif.angle()
    tooth = (
        0.8 * noise(random, 1.0)
        + 0.3 * noise(random, 2.4)
        + 0.4 * ndimage.gaussian_filter1d(noise(random, 1.0), 3, axis=0)
    )
    tooth = (tooth - tooth.mean()) / tooth.std()
    paper = ramp(("6e5f52", "8a7866", "a08d79"), np.clip(0.5 + 0.16 * tooth, 0, 1))
    page = paper.copy()
    # Smudged first, with the side of the chalk
    smudge = ndimage.gaussian_filter(colors, (9, 9, 0))
    cover = 0.3 + 0.5 * _smooth(1.6, -1.0, tooth + 0.5 * noise(random, 25))
    page += (smudge - page) * cover[..., None]
    size = 62
    dy, dx = np.mgrid[-size : size + 1, -size : size + 1]
    for width, length, count, strength in (
        (13.0, 58.0, 2600, 0.8),
        (7.5, 46.0, 4200, 1.0),
        (4.5, 30.0, 2600, 1.15),
    ):
        places = random.uniform(0, SIZE, (count, 2))
        for x, y in places:
            column, row = int(x), int(y)
            turn = angle[row, column] + random.normal(0, 0.13)
            bend = random.normal(0, 0.0025)
            along = dx * np.cos(turn) + dy * np.sin(turn)
            beside = -dx * np.sin(turn) + dy * np.cos(turn) + bend * along**2
            inside = (np.abs(along) < length) & (np.abs(beside) < width)
            rows, columns = row + dy, column + dx
            on_page = inside & (rows >= 0) & (rows < SIZE) & (columns >= 0) & (columns < SIZE)
            rows, columns = rows[on_page], columns[on_page]
            # A stroke stays on its form.
            same = motif.label[rows, columns] == motif.label[row, column]
            rows, columns = rows[same], columns[same]
            a, b = along[on_page][same] / length, beside[on_page][same] / width
            pressure = (
                strength
                * (1 - 0.55 * np.abs(a) ** 2)
                * np.sqrt(np.clip(1 - b * b, 0, 1))
                * random.uniform(0.6, 1.2)
            )
            alpha = _smooth(-0.8, 0.9, 1.75 * pressure - 1.05 - 0.75 * tooth[rows, columns])[:, None]
            chalk = np.clip(colors[row, column] * random.normal(1, 0.07) + random.normal(0, 0.03, 3), 0, 1)
            page[rows, columns] += 0.9 * alpha * (chalk - page[rows, columns])
    return _image(page)


STYLES: Mapping[str, Callable[[int], Image.Image]] = {
    "woodcut": woodcut,
    "watercolour": watercolour,
    "pixel_art": pixel_art,
    "blueprint": blueprint,
    "mosaic": mosaic,
    "pastel": pastel,
}
