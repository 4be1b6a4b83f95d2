"""Style set `ink`: black line art on white paper; contour, hatching, cross-hatching and stippling."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from _draw import Array, lattice_noise, shrink, smoothstep, to_array, to_image, unit_grid
from PIL import Image, ImageDraw

SIZE = 1024
SCALE = 2  # drawn at twice the size, then averaged
FULL = SIZE * SCALE

Curve = Callable[[Array], Array]


class Sheet:
    """A sheet of paper; forms are laid from back to front, each one first covering what is behind it.

    Coordinates and widths are in pixels of the final image, y down.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        gx, gy = unit_grid(FULL)
        self.x, self.y = gx * SIZE, gy * SIZE
        self.paper = np.ones((FULL, FULL), np.float32)
        # Two slow wanderings of the hand, shared by all hatching.
        self.waver = lattice_noise(self.rng, gx, gy, 26, 26).astype(np.float32)
        self.press = lattice_noise(self.rng, gx, gy, 60, 60).astype(np.float32)

    def cover(self, mask: Array) -> None:
        """White paper under a new form."""
        self.paper[mask] = 1.0

    def hatch(
        self, mask: Array, along: Array, tone: Array, spacing: float, low: float = 0.0, fill: float = 0.62
    ) -> None:
        """Lines at the level sets of `along`, swelling from nothing at `low` as `tone` (0..1) darkens."""
        rows, cols = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        if not len(rows):
            return
        box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        level = along[box] + 0.13 * spacing * self.waver[box]
        slope_y, slope_x = np.gradient(level, 1.0 / SCALE)
        slope = np.maximum(np.hypot(slope_x, slope_y), 0.05)
        line = np.floor(level / spacing).astype(int)
        jitter = self.rng.uniform(-1, 1, 4096)[line % 4096].astype(np.float32)
        dark = np.clip((tone[box] - low + 0.07 * jitter + 0.06 * self.press[box]) / (1.0 - low), 0.0, 1.0)
        half = 0.5 * spacing * fill * dark**0.75 / np.maximum(slope, 0.4)
        half = np.where(half < 0.55, 0.0, np.maximum(half, 1.0))  # a nib has a finest line
        distance = np.abs(level / spacing - line - 0.5) * spacing / slope
        ink = np.clip((half - distance) * SCALE + 0.5, 0.0, 1.0) * (half > 0) * mask[box]
        self.paper[box] = np.minimum(self.paper[box], 1.0 - ink)

    def _overlay(self, image: Image.Image) -> None:
        self.paper = np.minimum(self.paper, to_array(image) / 255.0)

    def stroke(self, lines: list[Array], width: float, taper: float = 0.75) -> None:
        """Pen lines that swell in the middle; each line is (n, 2) points."""
        image = Image.new("L", (FULL, FULL), 255)
        draw = ImageDraw.Draw(image)
        for points in lines:
            tangent = np.gradient(points, axis=0)
            normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
            normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
            t = np.linspace(0, 1, len(points))
            swell = 1 - taper * (1 - np.sin(np.pi * t) ** 0.6)
            swell = swell * (1 + 0.25 * np.sin(2 * np.pi * (t * self.rng.uniform(1, 3) + self.rng.random())))
            side = normal * (0.5 * width * swell)[:, None]
            outline = np.concatenate([points + side, (points - side)[::-1]]) * SCALE
            draw.polygon([tuple(p) for p in outline.tolist()], fill=0)
        self._overlay(image)

    def stipple(self, mask: Array, tone: Array, spacing: float, radius: float) -> None:
        """Dots on a jittered lattice, larger and likelier where `tone` is darker."""
        image = Image.new("L", (FULL, FULL), 255)
        draw = ImageDraw.Draw(image)
        for j, row in enumerate(np.arange(spacing / 2, SIZE, spacing)):
            for column in np.arange(spacing / 2 * (1 + j % 2), SIZE, spacing):
                cx, cy = np.array([column, row]) + self.rng.uniform(-0.32, 0.32, 2) * spacing
                chance, size = self.rng.random(2)
                px, py = int(cx * SCALE), int(cy * SCALE)
                if not (0 <= px < FULL and 0 <= py < FULL and mask[py, px]):
                    continue
                dark = float(tone[py, px])
                if chance < dark * 1.6:
                    r = radius * (0.6 + 0.5 * size + 0.5 * dark) * SCALE
                    draw.ellipse([cx * SCALE - r, cy * SCALE - r, cx * SCALE + r, cy * SCALE + r], fill=0)
        self._overlay(image)

    def curve(self, height: Curve, width: float, pieces: int = 3) -> None:
        """The contour y = height(x), drawn in a few overlapping pen strokes."""
        cuts = np.linspace(-20, SIZE + 20, pieces + 1)
        lines = []
        for start, end in pairwise(cuts):
            x = np.linspace(start - 30, end + 30, 160)
            lines.append(np.stack([x, height(x)], 1))
        self.stroke(lines, width)

    def ring(self, cx: float, cy: float, radius: float, width: float) -> None:
        """A circle, heavier at the lower right."""
        turn = np.linspace(-1.9, 2 * np.pi - 1.9 + 0.25, 200)
        circle = np.stack([cx + radius * np.cos(turn), cy + radius * np.sin(turn)], 1)
        self.stroke([circle], width, 0.7)

    def image(self) -> Image.Image:
        """The finished sheet."""
        return shrink(to_image(self.paper * 255.0), SCALE).convert("RGB")


def waves() -> Image.Image:
    """Rolling waves under a hatched sky."""
    s = Sheet(41)
    x, y = s.x, s.y
    everything = np.ones_like(x, bool)
    sun = np.hypot(x - 715, y - 205)
    swirl = y + 26 * np.sin(x / 95) + 14 * np.sin(x / 41 + y / 60)
    s.hatch(everything, swirl, 0.30 + 0.35 * np.sin(y / 46 + 2.2 * np.sin(x / 170)) + 0.2 * (sun < 230), 15)
    s.cover(sun < 120)
    s.hatch(sun < 120, (x + y) * 0.7071, smoothstep(-10, 150, (x - 715) + (y - 205)) * 0.8, 13)
    s.ring(715, 205, 120, 9)
    rays = [
        np.stack([715 + r * np.cos(a), 205 + r * np.sin(a)], 1)
        for a in np.arange(0, 2 * np.pi, np.pi / 20)
        for r in [np.linspace(138, 176 + 22 * (round(a * 20 / np.pi) % 2), 12)]
    ]
    halo = (sun > 120) & (sun < 205)
    s.cover(halo)
    s.stroke(rays, 7, 0.6)
    for number in range(9):
        base, swing = 350 + 80 * number, 22 + 2.6 * number
        rate, phase = 262 - 6 * number, 1.9 * number

        def crest(t: Array, b: float = base, w: float = swing, r: float = rate, f: float = phase) -> Array:
            """A trochoid-like swell: pointed crests, round troughs."""
            u = np.asarray(t) / r * 2 * np.pi + f
            return b - w * (2.4 * (0.5 + 0.5 * np.sin(u + 0.55 * np.cos(u))) ** 2.2 - 0.8)

        top = crest(x[0])[None, :]
        body = y > top
        s.cover(body)
        depth = y - top
        lift = np.clip((base - top) / (1.6 * swing), -1, 1)
        tone = smoothstep(4, 60, depth) * (0.42 + 0.38 * lift) + 0.12
        s.hatch(body & (depth < 190), depth * (1.0 + 0.15 * lift), tone, 15)
        steep = np.gradient(crest(x[0]), 1.0 / SCALE)[None, :]
        shade = smoothstep(0.25, 1.2, steep) * smoothstep(8, 30, depth) * (1 - smoothstep(70, 150, depth))
        s.hatch(body & (depth < 170), x * 0.75 + y * 0.66, shade, 14, 0.12, 0.55)
        foam = (depth > 6) & (depth < 30) & (lift > 0.3)
        s.cover(foam)
        s.stipple(foam, 0.42 * np.ones_like(x), 12, 2.3)
        s.curve(crest, 11 + number * 0.5, 4)
    return s.image()


def spheres() -> Image.Image:
    """Packed pebbles and balls, modelled by curved hatching, cross-hatching and dots."""
    s = Sheet(42)
    x, y = s.x, s.y
    everything = np.ones_like(x, bool)
    s.hatch(everything, (x - y) * 0.7071, 0.62 + 0.15 * np.sin(y / 120), 14)
    s.hatch(everything, (x + y) * 0.7071, 0.35 + 0.3 * np.sin(x / 140 + 1), 14, 0.15)
    rng = np.random.default_rng(17)
    balls: list[tuple[float, float, float]] = [
        (350, 390, 205),
        (745, 690, 190),
        (770, 240, 135),
        (215, 800, 150),
    ]
    for radius in (110, 85, 62, 46, 34):
        for _ in range(900):
            cx, cy = rng.uniform(-30, SIZE + 30, 2)
            if all(np.hypot(cx - a, cy - b) > radius + r + 7 for a, b, r in balls):
                balls.append((float(cx), float(cy), float(radius)))
    for cx, cy, radius in balls:  # cast shadows lie under every ball
        shadow = np.hypot(x - cx - 0.16 * radius, y - cy - 0.2 * radius) < 1.06 * radius
        s.hatch(shadow, (x + y) * 0.7071, np.full_like(x, 0.85), 12)
    for number, (cx, cy, radius) in enumerate(balls):
        u, v = (x - cx) / radius, (y - cy) / radius
        inside = u * u + v * v < 1
        s.cover(inside)
        w = np.sqrt(np.maximum(1 - u * u - v * v, 0))
        dark = np.clip(0.62 - 0.95 * (-0.5 * u - 0.6 * v + 0.62 * w) + 0.22, 0, 1)
        dark = np.where(inside, dark - 0.22 * smoothstep(0.86, 1.0, np.hypot(u, v)) * (u + v > 0.4), 0)
        turn = rng.uniform(0, np.pi)
        across = u * np.cos(turn) + v * np.sin(turn)
        along = -u * np.sin(turn) + v * np.cos(turn)
        spacing = 15 if radius > 60 else 12
        kind = number % 4
        if kind == 3 and radius > 40:
            s.stipple(inside, dark, 10.5, 2.6)
            s.hatch(inside, (u + v) * 0.7071 * radius, dark, 13, 0.55)
        else:
            bend = across / np.sqrt(np.maximum(1 - 0.8 * along**2, 0.08))  # meridians
            s.hatch(inside, bend * radius * 0.9, dark, spacing, 0.06)
            cross = along / np.sqrt(np.maximum(1 - 0.8 * across**2, 0.08))
            s.hatch(inside, cross * radius * 0.9, dark, spacing, 0.45, 0.55)
            if kind == 1:
                s.hatch(inside, (u - v) * 0.7071 * radius, dark, 13, 0.68, 0.5)
        s.ring(cx, cy, radius, 6 + radius / 28)
    return s.image()


def hills() -> Image.Image:
    """Hills, furrows and round trees under curling clouds."""
    s = Sheet(43)
    x, y = s.x, s.y
    sky = y < 470
    s.hatch(sky, y + 10 * np.sin(x / 130), 0.62 - y / 900 + 0.1 * np.sin(x / 200), 14)
    s.hatch(sky, (x - y) * 0.7071, 0.62 - y / 480, 15, 0.1)
    rng = np.random.default_rng(23)
    for cx, cy, size in ((230, 150, 120), (640, 105, 95), (880, 265, 125), (470, 290, 90), (60, 330, 80)):
        puffs = [
            (cx + size * dx, cy + size * dy, size * r)
            for dx, dy, r in (
                (-0.95, 0.2, 0.45),
                (0.95, 0.22, 0.42),
                (-0.45, -0.12, 0.55),
                (0.42, -0.16, 0.58),
                (0.0, 0.18, 0.6),
            )
        ]
        for px, py, radius in puffs:
            distance = np.hypot(x - px, y - py)
            s.cover((distance < radius) & (y < cy + 0.5 * size))
        for px, py, radius in puffs:
            for part in (1.0, 0.72, 0.45):
                turn = np.linspace(np.pi * 0.95, np.pi * (1.75 + 0.4 * part), 60)
                spiral = radius * part * (1 - 0.12 * np.linspace(0, 1, 60))
                s.stroke(
                    [np.stack([px + spiral * np.cos(turn), py + spiral * np.sin(turn)], 1)], 8 * part + 1
                )
        s.stipple(
            (np.abs(x - cx) < 1.3 * size) & (np.abs(y - cy - 0.36 * size) < 0.13 * size),
            0.45 * np.ones_like(x),
            12,
            2.2,
        )
    for number in range(7):
        base, swing, rate, phase = 395 + 92 * number, 38 - 2 * number, 165 + 18 * number, 2.3 * number

        def ridge(t: Array, b: float = base, w: float = swing, r: float = rate, f: float = phase) -> Array:
            """The skyline of one hill."""
            return np.asarray(
                b + w * np.sin(np.asarray(t) / r + f) + 0.3 * w * np.sin(np.asarray(t) / r * 2.3 + 2 * f)
            )

        top = ridge(x[0])[None, :]
        depth = y - top
        body = depth > 0
        slope = np.gradient(ridge(x[0]), 1.0 / SCALE)[None, :]
        s.cover(body)
        light = 0.5 + 1.5 * slope
        tone = np.clip(0.25 + 0.35 * light + 0.25 * smoothstep(20, 130, depth), 0.1, 0.9)
        if number % 3 == 0:
            s.hatch(body & (depth < 220), x + 0.55 * depth * np.sin(x / 120), tone, 16)
        elif number % 3 == 1:
            s.hatch(body & (depth < 220), depth * 1.05, tone, 14)
        else:
            fan = np.arctan2(x - 480, y - base + 190) * 330
            s.hatch(body & (depth < 220), fan, tone, 17)
        s.hatch(body & (depth < 200), (x + y) * 0.7071, tone, 13, 0.5, 0.5)
        s.curve(ridge, 10, 3)
        trees = np.sort(rng.uniform(20, SIZE - 20, 4 if number < 6 else 0))
        for tx in trees:
            radius = rng.uniform(26, 36) + 4 * number
            ty = float(ridge(np.array(tx))) - 0.75 * radius + 14
            s.stroke([np.stack([np.full(12, tx), np.linspace(ty, ty + 1.7 * radius, 12)], 1)], 11, 0.2)
            crown = np.hypot(x - tx, y - ty) < radius * (1 + 0.07 * np.sin(9 * np.arctan2(y - ty, x - tx)))
            s.cover(crown)
            dark = np.clip(0.45 + 0.55 * ((x - tx) + (y - ty)) / radius, 0.0, 1.0)
            scallop = np.hypot(x - tx, y - ty) + 5 * np.sin(9 * np.arctan2(y - ty, x - tx))
            s.hatch(crown, scallop, dark, 12)
            s.hatch(crown, (x - y) * 0.7071, dark, 12, 0.5)
            turn = np.linspace(0, 2 * np.pi, 160)
            rim = radius * (1 + 0.07 * np.sin(9 * turn))
            s.stroke([np.stack([tx + rim * np.cos(turn), ty + rim * np.sin(turn)], 1)], 8, 0.5)
    return s.image()


PICTURES = {"ink_waves.png": waves, "ink_spheres.png": spheres, "ink_hills.png": hills}
