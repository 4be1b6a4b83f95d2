"""Style set `stained_glass`: jewel-coloured panes with streaks and glow, held by thick black lead."""

from __future__ import annotations

import numpy as np
from _draw import Array, blur, fractal_noise, hex_rgb, smoothstep, to_array, to_image, unit_grid
from PIL import Image

SIZE = 1024
SCALE = 2  # drawn at twice the size, then averaged
FULL = SIZE * SCALE

GLASS = {
    name: hex_rgb(code)
    for name, code in {
        "ruby": "c8102e", "crimson": "9a0f2a", "amber": "f4a51c", "gold": "ffd23f", "orange": "ee6a12",
        "emerald": "12924f", "green": "5cb531", "teal": "0f9aa5", "cobalt": "1644b8", "sapphire": "0d2a86",
        "azure": "3d8fe8", "violet": "6a2aa8", "rose": "e8528f", "opal": "f6ead2",
    }.items()
}  # fmt: skip


class Window:
    """Panes are cut one over another: each cut gives the panes inside a mask new numbers and colours."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        gx, gy = unit_grid(FULL)
        self.x, self.y = gx, gy
        self.panes = np.zeros((FULL, FULL), np.int32)
        self.paints: list[str] = ["sapphire"]

    def cut(self, mask: Array, cells: Array, paints: str) -> None:
        """Inside `mask`, one pane per distinct value of `cells`; `paints` are dealt out in turn."""
        chosen = cells[mask].astype(np.int64)
        if not len(chosen):
            return
        lowest = int(chosen.min())
        present = np.bincount(chosen - lowest) > 0
        names = paints.split()
        number = np.cumsum(present) + len(self.paints) - 1
        self.panes[mask] = number[chosen - lowest]
        self.paints += [names[int(value + lowest) % len(names)] for value in np.flatnonzero(present)]

    def voronoi(self, points: Array) -> Array:
        """The number of the nearest point, over the whole window."""
        best = np.full((FULL, FULL), 9.0, np.float32)
        owner = np.zeros((FULL, FULL), np.int32)
        reach = 3.2 / np.sqrt(len(points))
        for number, (px, py) in enumerate(points):
            rows = slice(max(0, int((py - reach) * FULL)), max(0, int((py + reach) * FULL)))
            cols = slice(max(0, int((px - reach) * FULL)), max(0, int((px + reach) * FULL)))
            distance = (self.x[rows, cols] - px) ** 2 + (self.y[rows, cols] - py) ** 2
            closer = distance < best[rows, cols]
            best[rows, cols][closer] = distance[closer]
            owner[rows, cols][closer] = number
        return owner

    def scatter(self, count: int) -> Array:
        """Evenly jittered points that reach a little beyond the window."""
        side = int(np.ceil(np.sqrt(count)))
        cells = np.stack(np.meshgrid(np.arange(-1, side + 1), np.arange(-1, side + 1)), -1).reshape(-1, 2)
        return np.asarray((cells + 0.5 + self.rng.uniform(-0.36, 0.36, cells.shape)) / side)

    def image(self, lead: float = 17.0) -> Image.Image:
        """Glaze the window: colour, streaks and glow in each pane, then the lead between them."""
        rng, panes = self.rng, self.panes
        edge = np.zeros(panes.shape, np.float32)
        edge[:, 1:] = panes[:, 1:] != panes[:, :-1]
        edge[1:] = np.maximum(edge[1:], panes[1:] != panes[:-1])
        # A blurred hairline, cut at the height it has half a lead's width away, is a line of that
        # width, and swells where lines meet as a soldered joint does.
        sigma, half = 0.42 * lead * SCALE, 0.5 * lead * SCALE
        spread = blur(edge, sigma)
        profile = 1.2 * np.exp(-0.5 * (half / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        came = smoothstep(profile * 0.86, profile * 1.14, spread)
        ridge = np.clip(spread / (profile * 2.4), 0, 1) ** 2
        metal = 10 + 26 * smoothstep(0.55, 1.0, ridge)

        # Panes meet under lead, so the glass itself needs no finer drawing than the final image.
        came, metal = (to_array(Image.fromarray(v.astype(np.float32)).reduce(SCALE)) for v in (came, metal))
        panes, x, y = (values[::SCALE, ::SCALE] for values in (panes, self.x, self.y))
        inner = blur(came, 22.0)
        glow = 1.0 - np.clip(inner / np.percentile(inner, 92), 0, 1)
        count = len(self.paints)
        base = np.array([GLASS[name] for name in self.paints], np.float32)
        base = base * rng.uniform(0.82, 1.1, (count, 1)) + rng.normal(0, 5, (count, 3))
        turn = rng.uniform(0, np.pi, count)
        along = np.cos(turn)[panes] * x + np.sin(turn)[panes] * y
        across = -np.sin(turn)[panes] * x + np.cos(turn)[panes] * y
        streak = fractal_noise(rng, along, across + 0.02 * np.sin(18 * along), 3, 34, 2)
        shade = rng.uniform(-0.2, 0.2, count)[panes] * np.sin(7 * along + 3 * across)
        light = 0.72 + 0.42 * glow + 0.26 * streak + shade
        colour = base[panes] * light[..., None]
        milk = np.clip(1.5 * streak - 0.35, 0, 1)[..., None] * 0.38 * glow[..., None]
        colour = np.clip(colour + (255 - colour) * milk, 0, 255)
        colour = colour * (1 - came[..., None]) + (metal * came)[..., None] * np.array([0.95, 1.0, 1.08])
        return to_image(colour)


def rose() -> Image.Image:
    """A rose window: rings of petals around a boss, in a quarried ground."""
    w = Window(51)
    x, y = w.x - 0.5, w.y - 0.5
    r, a = np.hypot(x, y), np.arctan2(y, x)
    everything = np.ones_like(r, bool)

    def sectors(count: int, offset: float = 0.0) -> Array:
        return np.floor((a / (2 * np.pi) + offset / count) % 1.0 * count).astype(int)

    quarry = (np.floor((x + y) * 8.5) + 64 * np.floor((x - y) * 8.5)).astype(int) + 5000
    w.cut(everything, quarry, "sapphire cobalt violet cobalt azure")
    w.cut((r < 0.60), sectors(36) + 36, "ruby gold cobalt")
    w.cut(r < 0.545, sectors(24, 0.5) + 24, "cobalt sapphire teal azure")
    scallop = 0.43 + 0.095 * np.abs(np.cos(6 * a))
    w.cut(r < scallop, sectors(24, 0.0) + 24, "ruby crimson rose crimson")
    for number in range(12):  # a roundel in each outer petal
        centre = np.pi / 12 * 2 * number
        distance = np.hypot(x - 0.435 * np.cos(centre), y - 0.435 * np.sin(centre))
        w.cut(distance < 0.05, np.full(r.shape, number), "gold amber")
    w.cut(r < 0.355, sectors(12, 0.5), "emerald green teal")
    petal = 0.165 + 0.165 * np.abs(np.cos(4 * a)) ** 0.8
    w.cut(r < petal, sectors(16), "amber orange gold orange")
    w.cut(r < 0.17, sectors(8, 0.5), "violet cobalt")
    w.cut(r < 0.095, sectors(6), "ruby rose")
    w.cut(r < 0.042, _one(r), "gold")
    return w.image(15.0)


def _one(values: Array) -> Array:
    """Integers of the same shape: one single pane."""
    return np.zeros(values.shape, int)


def leaves() -> Image.Image:
    """Leaves and berries on winding stems, over a ground of broken panes."""
    w = Window(52)
    x, y = w.x, w.y
    w.cut(np.ones_like(x, bool), w.voronoi(w.scatter(64)), "cobalt azure sapphire teal violet azure cobalt")
    rng = np.random.default_rng(3)
    for number, (offset, lean) in enumerate(((0.2, 0.05), (0.52, -0.04), (0.83, 0.03))):
        centre = offset + 0.075 * np.sin(7.5 * y + 2.1 * number) + lean * (y - 0.5)
        w.cut(np.abs(x - centre) < 0.021, np.floor(y * 5).astype(int), "amber orange")
        for step in range(7):
            side = 1 if (step + number) % 2 else -1
            sy = 0.06 + 0.15 * step + 0.03 * number
            sx = offset + 0.075 * np.sin(7.5 * sy + 2.1 * number) + lean * (sy - 0.5)
            turn = (-0.55 if side > 0 else np.pi + 0.55) + rng.uniform(-0.25, 0.25)
            length, wide = rng.uniform(0.17, 0.2), rng.uniform(0.058, 0.068)
            u = ((x - sx) * np.cos(turn) + (y - sy) * np.sin(turn)) / length
            v = (-(x - sx) * np.sin(turn) + (y - sy) * np.cos(turn)) / wide
            inside = (u > 0) & (u < 1) & (np.abs(v) < np.sin(np.pi * np.clip(u, 0, 1) ** 0.8))
            half = (v > 0).astype(int)
            paints = ("emerald green green emerald", "gold amber orange gold", "ruby orange crimson ruby")[
                int(rng.integers(0, 3))
            ]
            w.cut(inside, half, paints)
            bx, by = sx - side * 0.062, sy + 0.02
            w.cut(np.hypot(x - bx, y - by) < 0.034, _one(x), str(rng.choice(["ruby", "rose", "opal"])))
    return w.image(13.0)


def sunrise() -> Image.Image:
    """A sun with rays over hills and water, with tulips before them."""
    w = Window(53)
    x, y = w.x, w.y
    dx, dy = x - 0.5, y - 0.46
    r, a = np.hypot(dx, dy), np.arctan2(dy, dx)
    ray = np.floor((a / (2 * np.pi) % 1.0) * 22).astype(int)
    ring = np.digitize(r + 0.012 * np.sin(9 * a), [0.27, 0.42, 0.58])
    w.cut(np.ones_like(x, bool), ray + 44 * ring + 22 * (ring % 2), "amber cobalt gold azure orange violet")
    w.cut(r < 0.19, ray // 2 + 40, "gold amber orange")
    w.cut(r < 0.11, ray // 11, "ruby crimson")
    for number, (level, swing, rate, paints) in enumerate(
        (
            (0.50, 0.06, 5.5, "violet rose crimson violet"),
            (0.60, 0.05, 7.0, "emerald teal green"),
            (0.71, 0.035, 5.0, "cobalt azure teal sapphire"),
            (0.83, 0.03, 6.0, "green emerald amber emerald"),
        )
    ):
        top = level + swing * np.sin(rate * x + 2.0 * number)
        strip = np.floor((y - top) / 0.075).astype(int)
        blocks = np.floor(x * 5 + 0.4 * strip + 0.35 * np.sin(9 * y + number)).astype(int)
        w.cut(y > top, blocks + 31 * strip + 400, paints)
    for cx, cy, size, paints in (
        (0.14, 0.60, 0.17, "ruby rose crimson"),
        (0.36, 0.73, 0.14, "orange gold amber"),
        (0.62, 0.70, 0.15, "rose opal violet"),
        (0.86, 0.60, 0.18, "ruby orange crimson"),
    ):
        w.cut(
            (np.abs(x - cx - 0.02 * np.sin(9 * (y - cy))) < 0.018) & (y > cy),
            np.floor(y * 5).astype(int),
            "green emerald",
        )
        for side in (-1, 1):
            u = (cy + 2.0 * size - y) / (1.5 * size)
            bend = side * (x - cx) - 0.16 * size - 0.55 * size * np.clip(u, 0, 1) ** 2
            w.cut(
                (u > 0) & (u < 1) & (np.abs(bend) < 0.17 * size * np.sin(np.pi * np.clip(u, 0, 1))),
                (u > 0.55).astype(int),
                "green emerald",
            )
        u, v = (x - cx) / size, (y - cy) / size
        cup = (
            (np.abs(u) < 0.62 * np.sqrt(np.clip(1 - (v + 0.0) ** 2, 0, 1)))
            & (v < 0.9)
            & (v > -0.75 + 0.0 * u)
        )
        crown = v > -0.72 + 0.42 * np.abs(np.sin(4.9 * u + np.pi / 2))
        w.cut(cup & crown, np.digitize(u - 0.1 * (v + 0.5) * np.sign(u), [-0.24, 0.24]), paints)
    return w.image(13.0)


PICTURES = {"glass_rose.png": rose, "glass_leaves.png": leaves, "glass_sunrise.png": sunrise}
