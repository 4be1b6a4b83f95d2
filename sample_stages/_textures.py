"""Painted textures of the sample objects, laid out on the islands that `_shapes` names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import _shapes
import numpy as np
from _draw import (
    RGB,
    Array,
    blur,
    fractal_noise,
    hex_rgb,
    lattice_noise,
    shrink,
    smoothstep,
    to_array,
    to_image,
    unit_grid,
)
from _shapes import COVER, MUG, PAGES, PEAR, VASE, Rect
from PIL import Image, ImageDraw, ImageFont

SIZE = 1024
SCALE = 2
FULL = SIZE * SCALE
GUTTER = 14 / SIZE  # how far paint runs out of an island

Points = Sequence[tuple[float, float]]


class Sheet:
    """A texture in the making. Shapes are drawn in an island's own (s, t): 0..1 to the right and up."""

    def __init__(self, colour: str) -> None:
        self.image = Image.new("RGB", (FULL, FULL), hex_rgb(colour))
        self.draw = ImageDraw.Draw(self.image)

    @staticmethod
    def place(rect: Rect, points: Points) -> list[tuple[float, float]]:
        """Island coordinates as pixels of the drawing."""
        return [
            ((rect[0] + (rect[2] - rect[0]) * s) * FULL, (1 - rect[1] - (rect[3] - rect[1]) * t) * FULL)
            for s, t in points
        ]

    def fill(self, rect: Rect, colour: str) -> None:
        """Paint a whole island, and out into its gutter."""
        (x0, y0), (x1, y1) = self.place(rect, [(0, 1), (1, 0)])
        pad = GUTTER * FULL
        self.draw.rectangle([x0 - pad, y0 - pad, x1 + pad, y1 + pad], fill=hex_rgb(colour))

    def band(self, rect: Rect, low: float, high: float, colour: str) -> None:
        """A stripe across an island (and its side gutters) between two heights."""
        (x0, y0), (x1, y1) = self.place(rect, [(0, high), (1, low)])
        pad = GUTTER * FULL
        self.draw.rectangle([x0 - pad, y0, x1 + pad, y1], fill=hex_rgb(colour))

    def shape(self, rect: Rect, points: Points, colour: str) -> None:
        """A filled polygon."""
        self.draw.polygon(self.place(rect, points), fill=hex_rgb(colour))

    def line(self, rect: Rect, points: Points, colour: str, width: float) -> None:
        """A line `width` texels wide, with round ends."""
        placed = self.place(rect, points)
        self.draw.line(placed, fill=hex_rgb(colour), width=round(width * SCALE), joint="curve")
        for x, y in (placed[0], placed[-1]):
            r = 0.5 * width * SCALE
            self.draw.ellipse([x - r, y - r, x + r, y + r], fill=hex_rgb(colour))

    def dot(self, rect: Rect, s: float, t: float, radius: float, colour: str) -> None:
        """A round dot, its radius in texels."""
        x, y = self.place(rect, [(s, t)])[0]
        r = radius * SCALE
        self.draw.ellipse([x - r, y - r, x + r, y + r], fill=hex_rgb(colour))

    def text(
        self, rect: Rect, s: float, t: float, words: str, size: float, colour: str, turn: int = 0
    ) -> None:
        """Words centred on a point, letters `size` texels high, turned by whole quarters."""
        font = ImageFont.load_default(size * SCALE)
        left, top, right, bottom = (int(v) for v in font.getbbox(words, stroke_width=round(size / 14)))
        mask = Image.new("L", (right - left + 8, bottom - top + 8), 0)
        ImageDraw.Draw(mask).text(
            (4 - left, 4 - top), words, font=font, fill=255, stroke_width=round(size / 14)
        )
        mask = mask.rotate(90 * turn, expand=True)
        x, y = self.place(rect, [(s, t)])[0]
        ink = Image.new("RGB", mask.size, hex_rgb(colour))
        self.image.paste(ink, (round(x - mask.width / 2), round(y - mask.height / 2)), mask)

    def finish(self, seed: int, mottle: float, grain: float = 0.0) -> Image.Image:
        """Average down, with the slow unevenness of hand-laid colour and, for cloth or paper, a grain."""
        values = to_array(shrink(self.image, SCALE))
        rng = np.random.default_rng(seed)
        x, y = unit_grid(SIZE)
        uneven = mottle * fractal_noise(rng, x, y, 6, 6, 4)
        if grain:
            uneven = uneven + grain * (np.sin(x * 2 * np.pi * 190) + np.sin(y * 2 * np.pi * 190)) / 2
        return to_image(values * (1 + uneven[..., None]))


def island(rect: Rect) -> tuple[Array, Array]:
    """The (s, t) of every texel with respect to an island, running on beyond it."""
    x, y = unit_grid(SIZE)
    return (x - rect[0]) / (rect[2] - rect[0]), (1 - y - rect[1]) / (rect[3] - rect[1])


def around(rect: Rect) -> Array:
    """Texels of an island and its gutter."""
    x, y = unit_grid(SIZE)
    v = 1 - y
    return (x > rect[0] - GUTTER) & (x < rect[2] + GUTTER) & (v > rect[1] - GUTTER) & (v < rect[3] + GUTTER)


def _leaf(s: float, t: float, length: float, width: float, turn: float, aspect: float) -> Points:
    """A pointed leaf from (s, t); `aspect` is the island's height over its width."""
    k = np.linspace(0, 1, 24)
    half = width * np.sin(np.pi * k**0.85)
    u = np.concatenate([k, k[::-1]]) * length
    v = np.concatenate([half, -half[::-1]])
    x, y = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
    return list(zip((s + x * aspect).tolist(), (t + y).tolist(), strict=True))


def _vase_heights() -> Callable[[float], float]:
    profile = _shapes.vase_profile()
    along = _shapes.arc_length(profile)
    return lambda height: float(np.interp(height, profile[:, 1], along))


def vase_base() -> Image.Image:
    """Cream glaze with a cobalt band of tulips, standing upright."""
    sheet, body, height = Sheet("ece0c4"), VASE["body"], _vase_heights()
    sheet.fill(VASE["inside"], "d9c9a5")
    sheet.fill(VASE["bottom"], "b8704a")
    sheet.band(body, -0.021, height(0.7), "b8704a")
    sheet.band(body, height(1.2), height(1.9), "23458c")
    low, high = height(8.0), height(18.4)
    sheet.band(body, low, high, "23458c")
    for edge in (low, high):
        sheet.band(body, edge - 0.012, edge + 0.012, "c9512f")
        sheet.band(body, edge - 0.003, edge + 0.003, "f0d9a0")
    for edge, side in ((low - 0.03, -1), (high + 0.03, 1)):
        sheet.band(body, edge - 0.004, edge + 0.004, "23458c")
        for k in range(32):  # a hem of small leaves that points away from the band
            s = (k + 0.5) / 32
            sheet.shape(body, [(s - 0.011, edge), (s + 0.011, edge), (s, edge + side * 0.045)], "23458c")
    aspect = (body[3] - body[1]) / (body[2] - body[0])
    room = high - low
    for k in range(8):
        s = (k + 0.5) / 8
        sheet.line(body, [(s, low + 0.03), (s, low + 0.6 * room)], "7fae6a", 7)
        for turn in (0.5, 1.05):
            for side in (turn, np.pi - turn):
                sheet.shape(body, _leaf(s, low + 0.05, 0.36 * room, 0.045 * room, side, aspect), "7fae6a")
        top = low + 0.52 * room
        for lean, colour in ((0.55, "c9512f"), (-0.55, "c9512f"), (0.0, "e8833a")):
            sheet.shape(body, _leaf(s, top, 0.40 * room, 0.10 * room, np.pi / 2 + lean, aspect), colour)
        sheet.dot(body, s, top + 0.02, 9, "f0d9a0")
        between = k / 8
        for offset in (0, 1) if k == 0 else (0,):
            here = between + offset
            for t, size in ((0.32, 7), (0.52, 10), (0.72, 7)):
                sheet.dot(body, here, low + t * room, size, "f0d9a0")
            sheet.shape(
                body,
                [
                    (here, low + 0.94 * room),
                    (here - 0.022, low + 0.84 * room),
                    (here, low + 0.77 * room),
                    (here + 0.022, low + 0.84 * room),
                ],
                "f0d9a0",
            )
    sheet.band(body, height(24.2), height(24.9), "c9512f")
    sheet.band(body, height(25.4), height(26.2), "23458c")
    sheet.band(body, height(29.4), 1.0, "23458c")
    (_, y0), (_, y1) = sheet.place(body, [(0, 1), (1, 0.999)])
    sheet.draw.rectangle([0, y0 - GUTTER * FULL, FULL, y1 + 2], fill=hex_rgb("23458c"))
    return sheet.finish(1, 0.10)


def vase_roughness() -> Image.Image:
    """Shiny glaze, a softer painted band, a dry foot."""
    height, (_, t) = _vase_heights(), island(VASE["body"])
    values = np.full((SIZE, SIZE), 0.16)
    values[(t > height(8.0)) & (t < height(18.4))] = 0.42
    values[around(VASE["body"]) & (t < height(0.7))] = 0.85
    values[around(VASE["bottom"])] = 0.85
    return to_image(values * 255)


def mug_base() -> Image.Image:
    """White enamel with a red sailing boat on each side, above blue waves."""
    sheet, body = Sheet("f3efe2"), MUG["body"]
    sheet.fill(MUG["inside"], "e9e2cd")
    sheet.fill(MUG["floor"], "e9e2cd")
    sheet.fill(MUG["handle"], "2b6ca3")
    sheet.fill(MUG["bottom"], "2b6ca3")
    sheet.band(body, 0.90, 1.04, "2b6ca3")
    sheet.fill((MUG["inside"][0], 0.51, MUG["inside"][2], 0.53), "2b6ca3")  # the rim, from inside
    s = np.linspace(-0.014, 1.014, 400)
    for base, colour, rate, phase in (
        (0.36, "8cc4d6", 12, 0.0),
        (0.25, "4a97bf", 14, 1.3),
        (0.13, "2b6ca3", 12, 2.6),
    ):
        crest = base + 0.035 * np.abs(np.sin(np.pi * rate * s + phase)) - 0.01
        edge = [*zip(s.tolist(), crest.tolist(), strict=True), (1.014, -0.04), (-0.014, -0.04)]
        sheet.shape(body, edge, colour)
        sheet.line(body, edge[:-2], "f3efe2", 4)
    for middle in (0.25, 0.75):
        for x, y in ((-0.13, 0.74), (-0.155, 0.67), (0.13, 0.78)):  # gulls
            wing = [
                (middle + x - 0.02, y + 0.02),
                (middle + x - 0.008, y + 0.03),
                (middle + x, y),
                (middle + x + 0.008, y + 0.03),
                (middle + x + 0.02, y + 0.02),
            ]
            sheet.line(body, wing, "35414a", 4)
        sheet.line(body, [(middle, 0.40), (middle, 0.86)], "5b3a25", 6)
        sheet.shape(body, [(middle + 0.008, 0.46), (middle + 0.008, 0.84), (middle + 0.088, 0.46)], "f2b53a")
        sheet.shape(body, [(middle - 0.008, 0.46), (middle - 0.008, 0.76), (middle - 0.06, 0.46)], "d63f2c")
        sheet.shape(body, [(middle, 0.86), (middle, 0.81), (middle - 0.028, 0.835)], "2b6ca3")  # a pennant
        sheet.shape(
            body,
            [(middle - 0.085, 0.42), (middle + 0.1, 0.42), (middle + 0.07, 0.30), (middle - 0.06, 0.30)],
            "d63f2c",
        )
        sheet.line(body, [(middle - 0.078, 0.385), (middle + 0.088, 0.385)], "f3efe2", 5)
    return sheet.finish(2, 0.06)


def _cover_art(sheet: Sheet, gold: str) -> None:
    """Title, orchard tree, borders, spine and back ornament: all that is stamped on the cloth."""
    outside = COVER["outside"]
    along = _shapes.arc_length(_shapes.cover_profile())
    back = (0.0, float(along[6]))
    front = (float(along[18]), 1.0)

    def panel(span: tuple[float, float]) -> Rect:
        width = outside[2] - outside[0]
        return outside[0] + width * span[0], outside[1], outside[0] + width * span[1], outside[3]

    for span in (back, front):
        rect = panel(span)
        for inset, width in ((0.05, 8), (0.085, 3)):
            t = inset * 0.69
            sheet.line(
                rect,
                [(inset, t), (1 - inset, t), (1 - inset, 1 - t), (inset, 1 - t), (inset, t)],
                gold,
                width,
            )
        for s, t in ((0.13, 0.09), (0.87, 0.09), (0.13, 0.91), (0.87, 0.91)):
            sheet.dot(rect, s, t, 8, gold)
    face = panel(front)
    sheet.text(face, 0.5, 0.86, "THE PAINTED", 34, gold)
    sheet.text(face, 0.5, 0.775, "ORCHARD", 54, gold)
    sheet.text(face, 0.5, 0.10, "TWELVE STUDIES", 24, gold)
    turn = np.linspace(0, 2 * np.pi, 80)
    aspect = 22 / 15

    def blob(s: float, t: float, radius: float, colour: str, bumps: int = 0) -> None:
        r = radius * (1 + 0.09 * np.cos(bumps * turn)) if bumps else radius * np.ones_like(turn)
        sheet.shape(
            face,
            list(zip((s + r * np.cos(turn)).tolist(), (t + r / aspect * np.sin(turn)).tolist(), strict=True)),
            colour,
        )

    blob(0.5, 0.47, 0.34, gold)
    blob(0.5, 0.47, 0.325, "e9d9ae")
    sheet.shape(
        face,
        [
            (0.2, 0.375),
            (0.3, 0.395),
            (0.5, 0.405),
            (0.7, 0.395),
            (0.8, 0.375),
            (0.74, 0.32),
            (0.62, 0.268),
            (0.5, 0.25),
            (0.38, 0.268),
            (0.26, 0.32),
        ],
        "5d8a4a",
    )
    sheet.shape(
        face,
        [(0.455, 0.33), (0.48, 0.42), (0.475, 0.52), (0.525, 0.52), (0.52, 0.42), (0.55, 0.33)],
        "6b4128",
    )
    for s, t, radius in (
        (0.38, 0.5, 0.11),
        (0.62, 0.5, 0.11),
        (0.5, 0.56, 0.15),
        (0.42, 0.58, 0.1),
        (0.59, 0.58, 0.1),
    ):
        blob(s, t, radius, "2f6b3f", 9)
    for s, t in (
        (0.36, 0.5),
        (0.45, 0.55),
        (0.55, 0.5),
        (0.64, 0.53),
        (0.51, 0.61),
        (0.42, 0.62),
        (0.60, 0.60),
    ):
        blob(s, t, 0.03, "d8442c")
        blob(s - 0.008, t + 0.006, 0.009, "f6c9a0")
    spine = panel((back[1], front[0]))
    sheet.text(spine, 0.5, 0.5, "THE PAINTED ORCHARD", 25, gold, turn=3)
    for t in (0.1, 0.14, 0.86, 0.9):
        sheet.line(spine, [(0.05, t), (0.95, t)], gold, 5)
    rear = panel(back)
    for scale, colour in ((0.2, gold), (0.16, "1f4a3c"), (0.10, gold)):
        sheet.shape(
            rear, [(0.5 - scale, 0.5), (0.5, 0.5 + scale), (0.5 + scale, 0.5), (0.5, 0.5 - scale)], colour
        )


def cover_base() -> Image.Image:
    """Green cloth stamped in gold and three colours."""
    sheet = Sheet("1f4a3c")
    sheet.fill(COVER["inside"], "d8c6a0")
    _cover_art(sheet, "dcb052")
    return sheet.finish(3, 0.14, 0.05)


def cover_normal() -> Image.Image:
    """The weave of the cloth and the depth of the stamping, as a tangent-space normal map."""
    sheet = Sheet("ffffff")
    _cover_art(sheet, "000000")
    stamped = blur((to_array(shrink(sheet.image, SCALE)).max(-1) < 250).astype(np.float32), 1.6)
    x, y = unit_grid(SIZE)
    weave = np.sin(x * 2 * np.pi * 190) * np.sin(y * 2 * np.pi * 190)
    height = -2.0 * stamped + 0.10 * weave * (1 - stamped)
    height = np.where(around(COVER["inside"]), 0.0, height)
    down, right = np.gradient(height)
    normal = np.stack([-right, down, np.ones_like(height)], -1)  # +Y of a normal map is up the image
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return to_image((normal * 0.5 + 0.5) * 255)


def pages_base() -> Image.Image:
    """The cut edges of a few hundred leaves."""
    rng = np.random.default_rng(4)
    colour = np.broadcast_to(np.array(hex_rgb("eadfc2"), np.float32), (SIZE, SIZE, 3)).copy()
    x, _ = unit_grid(SIZE)
    for name in ("fore", "head", "tail"):
        rect = PAGES[name]
        s, t = (np.clip(values, 0.0, 0.999) for values in island(rect))
        leaves = 34.0
        bent = t * leaves + 0.35 * lattice_noise(rng, s, t, 9, 3)
        number = np.floor(bent).astype(int)
        shade = rng.uniform(-0.10, 0.05, 256)[number % 256]
        gap = smoothstep(0.30, 0.5, np.abs(bent - number - 0.5)) * rng.uniform(0.10, 0.38, 256)[number % 256]
        tint = 1 + shade - gap + 0.05 * fractal_noise(rng, x, t, 40, 2, 2)
        colour = np.where(
            around(rect)[..., None], colour * tint[..., None] * np.array([1.0, 0.985, 0.95]), colour
        )
    return to_image(colour)


def pear_base() -> Image.Image:
    """Green-gold skin with a red blush on one cheek, freckles, and a brown stem."""
    rng = np.random.default_rng(5)
    s, t = island(PEAR["skin"])
    wrap = np.mod(s, 1.0)

    def colour(code: str) -> Array:
        return np.array(hex_rgb(code), np.float32)

    cloud = fractal_noise(rng, wrap, np.mod(0.5 * t, 1), 5, 4, 4)
    ripe = smoothstep(0.1, 0.9, t + 0.25 * cloud)[..., None]
    skin = colour("c9b238") * (1 - ripe) + colour("a9b544") * ripe
    cheek = 0.5 + 0.5 * np.cos(2 * np.pi * (wrap - 0.62))
    streak = fractal_noise(rng, wrap, np.mod(0.5 * t, 1), 60, 3, 2)
    blush = smoothstep(
        0.45, 1.25, cheek + 0.28 * cloud + 0.14 * streak + 0.4 * np.sin(np.pi * np.clip(t, 0, 1)) - 0.2
    )
    skin = skin + (colour("c23b22") - skin) * (0.9 * blush)[..., None]
    russet = np.maximum(
        1 - smoothstep(0.02, 0.10, t + 0.05 * cloud), smoothstep(0.9, 0.985, t + 0.04 * cloud)
    )
    skin = skin + (colour("6e5527") - skin) * (0.85 * russet)[..., None]
    image = to_image(skin).resize((FULL, FULL), Image.Resampling.BICUBIC)
    sheet = Sheet("000000")
    sheet.image, sheet.draw = image, ImageDraw.Draw(image)
    for _ in range(900):
        a, b, size = rng.uniform(0, 1), rng.uniform(0.03, 0.95), rng.uniform(1.2, 3.0)
        freckle = ("7a6a24", "efe08a", "8a6a20")[int(rng.integers(0, 3))]
        for turn in (-1, 0, 1):
            if -0.02 < a + turn < 1.02:
                sheet.dot(PEAR["skin"], a + turn, b, size, freckle)
    values = to_array(shrink(sheet.image, SCALE))
    _, stem_t = island(PEAR["stem"])
    x, y = unit_grid(SIZE)
    bark = 0.24 * fractal_noise(rng, x, y, 14, 160, 2)
    stem = colour("6a4726") * (1 + bark[..., None] + 0.2 * (x[..., None] - 0.3))
    below = ((1 - y) < PEAR["skin"][1] - GUTTER)[..., None]
    values = np.where(below, stem + 0 * stem_t[..., None], values)
    return to_image(values)


def wood_base() -> Image.Image:
    """Four oak boards; the picture repeats in both directions."""
    rng = np.random.default_rng(6)
    x, y = unit_grid(SIZE)
    boards = 4
    board = np.floor(y * boards).astype(int)
    inside = y * boards - board
    values = np.zeros((SIZE, SIZE, 3), np.float32)
    tints = [hex_rgb(code) for code in ("b98250", "c8925c", "a9744a", "c08b57")]
    for number in range(boards):
        drift = 0.10 * fractal_noise(rng, x, y, 2, 3, 2) + 0.018 * fractal_noise(rng, x, y, 5, 24, 2)
        rings = inside + drift + rng.uniform(-0.2, 0.2)
        for _ in range(2):  # knots pull the grain around themselves
            kx, ky, size = rng.uniform(0.1, 0.9), rng.uniform(0.25, 0.75), rng.uniform(0.015, 0.03)
            dx = np.mod(x - kx + 0.5, 1.0) - 0.5
            near = np.exp(-((dx / (3.2 * size)) ** 2 + ((inside - ky) / (7.5 * size)) ** 2))
            rings = rings + 0.4 * near * np.sign(rng.uniform(-1, 1))
        grain = 0.5 + 0.5 * np.sin(2 * np.pi * rings * rng.uniform(6.0, 8.5))
        fibre = fractal_noise(rng, x, y, 6, 256, 2)
        light = 1.04 - 0.22 * grain**2 + 0.09 * fibre
        values = np.where(
            (board == number)[..., None], np.array(tints[number], np.float32) * light[..., None], values
        )
    seam = np.minimum(inside, 1 - inside)
    groove = 1 - 0.62 * (1 - smoothstep(0.008, 0.022, seam))
    # One butt joint to each board, out of step with its neighbours.
    joint = np.abs(np.mod(x - np.array([0.12, 0.62, 0.37, 0.87])[board] + 0.5, 1.0) - 0.5)
    groove = np.minimum(groove, 1 - 0.6 * (1 - smoothstep(0.0015, 0.0045, joint)))
    return to_image(values * groove[..., None])


def uv_test() -> Image.Image:
    """256 x 256 texels whose every corner, edge and direction differs; holds 0 and 255."""
    size = 256
    x, y = unit_grid(size)
    values = np.stack([255 * x, 255 * (1 - y), 128 + 127 * np.sin(9 * x) * np.cos(5 * y)], -1)
    values[(np.floor(x * 16) + np.floor(y * 16)) % 2 == 0] *= 0.82
    image = to_image(values)
    draw = ImageDraw.Draw(image)
    corners: list[tuple[int, int, RGB]] = [
        (0, 0, (255, 255, 255)),
        (224, 0, (255, 0, 0)),
        (0, 224, (0, 0, 255)),
        (224, 224, (0, 0, 0)),
    ]
    for left, top, colour in corners:
        draw.rectangle([left, top, left + 31, top + 31], fill=colour)
    draw.polygon(
        [(128, 40), (160, 92), (138, 92), (138, 150), (118, 150), (118, 92), (96, 92)], fill=(255, 255, 0)
    )
    draw.polygon(
        [(226, 190), (186, 166), (186, 182), (130, 182), (130, 198), (186, 198), (186, 214)],
        fill=(0, 255, 255),
    )
    draw.text((44, 150), "F", font=ImageFont.load_default(86), fill=(255, 255, 255), stroke_width=2)
    draw.text((176, 52), "R", font=ImageFont.load_default(64), fill=(0, 0, 0), stroke_width=1)
    return image


TEXTURES: dict[str, Callable[[], Image.Image]] = {
    "vase/textures/vase_base.png": vase_base,
    "vase/textures/vase_roughness.png": vase_roughness,
    "mug/textures/mug_base.png": mug_base,
    "book/textures/cover_base.png": cover_base,
    "book/textures/cover_normal.png": cover_normal,
    "book/textures/pages_base.png": pages_base,
    "pear/textures/pear_base.png": pear_base,
    "table/textures/wood_base.png": wood_base,
}
