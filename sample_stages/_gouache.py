"""Style set `gouache`: opaque, matte bristle strokes that follow the forms of simple scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from _draw import RGB, Array, hex_rgb, lattice_noise, shrink
from PIL import Image, ImageDraw

SIZE = 1024
SCALE = 2  # painted at twice the size, then averaged

PAINT = {
    name: hex_rgb(code)
    for name, code in {
        "cream": "f4e6c4",
        "peach": "f0b98a",
        "pink": "e28a86",
        "vermilion": "d4492c",
        "maroon": "8a2c36",
        "yellow": "f2c341",
        "ochre": "cf8f34",
        "olive": "8b9a3e",
        "leaf": "4f7d45",
        "pine": "24473c",
        "sky": "8fc3cf",
        "turquoise": "3f9aa0",
        "blue": "2f6299",
        "ultramarine": "263f7c",
        "violet": "75639a",
        "brown": "6b4030",
    }.items()
}


@dataclass
class Region:
    """Where a thing is, the paints it is made of, and which way the brush goes there."""

    inside: Callable[[Array, Array], Array]
    paints: list[str]
    angle: Callable[[Array, Array], Array]
    tone: Callable[[Array, Array], Array] | None = None  # 0..1 along `paints`; random when absent


@dataclass
class Painting:
    """Regions from back to front; later ones cover earlier ones."""

    regions: list[Region] = field(default_factory=list)

    def add(
        self,
        inside: Callable[[Array, Array], Array],
        paints: str,
        angle: Callable[[Array, Array], Array],
        tone: Callable[[Array, Array], Array] | None = None,
    ) -> None:
        """Put one more region in front."""
        self.regions.append(Region(inside, paints.split(), angle, tone))

    def index(self, x: Array, y: Array) -> Array:
        """The number of the frontmost region at each point."""
        ids = np.zeros(np.shape(x), int)
        for number, region in enumerate(self.regions):
            ids[np.broadcast_to(region.inside(x, y), ids.shape)] = number
        return ids

    def angle(self, ids: Array, x: Array, y: Array) -> Array:
        """Stroke direction at each point, in radians."""
        angles = np.zeros(np.shape(x))
        for number, region in enumerate(self.regions):
            mask = ids == number
            if mask.any():
                angles[mask] = np.broadcast_to(region.angle(x, y), x.shape)[mask]
        return angles

    def colours(self, rng: np.random.Generator, ids: Array, x: Array, y: Array) -> Array:
        """One paint per stroke: near the region's tone, with the jitter of a loaded brush."""
        colours = np.zeros((len(x), 3))
        pick, mix = rng.random(len(x)), rng.random(len(x))
        for number, region in enumerate(self.regions):
            mask = ids == number
            if not mask.any():
                continue
            paints = np.array([PAINT[name] for name in region.paints], float)
            if region.tone is None:
                position = pick[mask] * (len(paints) - 1)
            else:
                tone = np.clip(region.tone(x, y)[mask] + 0.34 * (pick[mask] - 0.5), 0, 1)
                position = tone * (len(paints) - 1)
            nearest = np.rint(position).astype(int)
            low = np.floor(position).astype(int)
            blend = (
                paints[low]
                + (paints[np.minimum(low + 1, len(paints) - 1)] - paints[low]) * (position - low)[:, None]
            )
            share = 0.45 * mix[mask][:, None]  # mostly the tube colour, sometimes mixed on the palette
            colours[mask] = paints[nearest] * (1 - share) + blend * share
        return colours + rng.normal(0, 7, (len(x), 1)) + rng.normal(0, 3, (len(x), 3))


def _clip_colour(values: Array) -> RGB:
    red, green, blue = (int(v) for v in np.clip(values, 0, 255))
    return red, green, blue


def _brush(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, path: Array, width: float, colour: Array
) -> None:
    """One stroke: a solid body, then bristle marks of uneven load, with ragged ends."""
    tangent = np.gradient(path, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    count = len(path)
    press = 0.5 * width * np.minimum(1.0, 0.72 + 0.9 * np.sin(np.linspace(0.15, 2.9, count)))[:, None]
    body = np.concatenate([path[:-1] + (normal * press)[:-1], (path - normal * press)[-2::-1]])
    draw.polygon([tuple(p) for p in body.tolist()], fill=_clip_colour(colour))
    bristles = max(5, int(width / 4.2))
    offsets = np.linspace(-1, 1, bristles) + rng.normal(0, 0.06, bristles)
    # Streaks of more and less pigment, correlated across the brush, ridged darker at its rim.
    load = np.cumsum(rng.normal(0, 7.5, bristles))
    load = load - load.mean() - 9.0 * (np.abs(offsets) > 0.86)
    starts = rng.integers(0, max(1, count // 5) + 1, bristles)
    ends = count - rng.integers(0, max(1, count // 3) + 1, bristles)
    tail = path[-1] - path[-2]
    for offset, shade, start, end in zip(offsets, load, starts, ends, strict=True):
        if end - start < 2:
            continue
        line = path[start:end] + (normal * press)[start:end] * offset
        if end == count:
            line = np.concatenate([line, line[-1:] + tail * rng.uniform(0.2, 1.3)])
        draw.line(
            [tuple(p) for p in line.tolist()],
            fill=_clip_colour(colour + shade),
            width=int(rng.integers(3, 6)),
            joint="curve",
        )


def _layer(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    painting: Painting,
    width: float,
    length: float,
    count: int,
    loose: int,
    keep: Callable[[Array], Array] | None = None,
) -> None:
    """Cover the picture with strokes of one brush; `width` and `length` in pixels of the final image."""
    side = int(np.ceil(np.sqrt(count)))
    cell = (np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) + 0.5) / side
    start = cell + rng.uniform(-0.6, 0.6, cell.shape) / side
    start = start[rng.permutation(len(start))]
    home = painting.index(start[:, 0], start[:, 1])
    if keep is not None:
        chosen = keep(home)
        start, home = start[chosen], home[chosen]
    steps = 11
    lengths = length * rng.uniform(0.7, 1.25, len(start)) / SIZE
    wobble = rng.normal(0, 0.12, len(start))
    paths, inside = np.zeros((len(start), steps, 2)), np.zeros((len(start), steps), bool)
    for direction, order in ((-1.0, range(steps // 2, -1, -1)), (1.0, range(steps // 2, steps))):
        point = start.copy()
        for step in order:
            paths[:, step] = point
            inside[:, step] = painting.index(point[:, 0], point[:, 1]) == home
            angle = painting.angle(home, point[:, 0], point[:, 1]) + wobble
            move = np.stack([np.cos(angle), np.sin(angle)], 1) * (direction * lengths / (steps - 1))[:, None]
            point = point + move
    colours = painting.colours(rng, home, start[:, 0], start[:, 1])
    widths = width * rng.uniform(0.75, 1.2, len(start))
    for path, within, stroke_width, colour in zip(paths, inside, widths, colours, strict=True):
        middle = steps // 2
        first, last = middle, middle
        while first > 0 and within[first - 1]:
            first -= 1
        while last < steps - 1 and within[last + 1]:
            last += 1
        first, last = max(0, first - loose), min(steps - 1, last + loose)
        if last - first >= 3:
            _brush(draw, rng, path[first : last + 1] * SIZE * SCALE, stroke_width * SCALE, colour)


def _paint(painting: Painting, seed: int, fine: set[int]) -> Image.Image:
    """Block in broadly, then work up: wide, middle and, on the small things, fine strokes."""
    rng = np.random.default_rng(seed)
    canvas = Image.new("RGB", (SIZE * SCALE, SIZE * SCALE), PAINT["ochre"])
    draw = ImageDraw.Draw(canvas)
    _layer(draw, rng, painting, 46, 190, 1300, 1)
    _layer(draw, rng, painting, 30, 130, 2000, 1)
    _layer(draw, rng, painting, 19, 95, 2600, 0)
    _layer(draw, rng, painting, 11, 60, 9000, 0, lambda home: np.isin(home, list(fine)))
    return shrink(canvas, SCALE)


def _swirl(seed: int, scale: float, base: float = 0.0) -> Callable[[Array, Array], Array]:
    """A direction that wanders smoothly around `base`."""

    def angle(x: Array, y: Array) -> Array:
        rng = np.random.default_rng(seed)
        return base + scale * lattice_noise(rng, np.asarray(x), np.asarray(y), 4, 4)

    return angle


def _disc(cx: float, cy: float, radius: float) -> Callable[[Array, Array], Array]:
    return lambda x, y: np.hypot(x - cx, y - cy) < radius


def _around(cx: float, cy: float) -> Callable[[Array, Array], Array]:
    return lambda x, y: np.arctan2(y - cy, x - cx) + np.pi / 2


def _outward(cx: float, cy: float) -> Callable[[Array, Array], Array]:
    return lambda x, y: np.arctan2(y - cy, x - cx)


def _ellipse(cx: float, cy: float, a: float, b: float, turn: float) -> Callable[[Array, Array], Array]:
    c, s = np.cos(turn), np.sin(turn)
    return lambda x, y: (
        (((x - cx) * c + (y - cy) * s) / a) ** 2 + ((-(x - cx) * s + (y - cy) * c) / b) ** 2 < 1
    )


def _flat(turn: float) -> Callable[[Array, Array], Array]:
    return lambda x, y: np.full(np.shape(x), turn)


def landscape() -> Image.Image:
    """Sun over hills and ploughed fields, with cypresses and poppies."""
    p = Painting()
    sun = (0.68, 0.23)
    p.add(
        lambda x, y: np.ones(np.shape(x), bool),
        "blue turquoise sky cream peach",
        lambda x, y: 0.55 * _swirl(3, 1.6)(x, y) + 0.25 * np.sin(9 * x + 4 * y),
        lambda x, y: y / 0.5,
    )
    for cx, cy, a, b in ((0.2, 0.16, 0.17, 0.05), (0.36, 0.32, 0.2, 0.045), (0.93, 0.38, 0.15, 0.035)):
        p.add(
            _ellipse(cx, cy, a, b, -0.1),
            "cream cream peach pink",
            _swirl(8, 0.9, -0.1),
            lambda x, y, cy=cy, b=b: (y - cy + b) / (2 * b),
        )
    p.add(
        _disc(*sun, 0.19),
        "yellow peach cream",
        _around(*sun),
        lambda x, y: np.hypot(x - sun[0], y - sun[1]) / 0.19,
    )
    p.add(
        _disc(*sun, 0.1),
        "yellow ochre vermilion",
        _around(*sun),
        lambda x, y: np.hypot(x - sun[0], y - sun[1]) / 0.16,
    )
    hills: list[tuple[float, float, float, float, str]] = [
        (0.46, 0.06, 5.0, 0.4, "violet ultramarine blue violet pink"),
        (0.55, 0.05, 7.0, 2.1, "turquoise leaf blue olive"),
        (0.63, 0.05, 4.5, 4.0, "leaf olive yellow olive pine"),
    ]
    for level, swing, rate, phase, paints in hills:
        p.add(
            lambda x, y, k=level, w=swing, r=rate, f=phase: y > k + w * np.sin(r * x + f),
            paints,
            lambda x, y, w=swing, r=rate, f=phase: (
                np.arctan(w * r * np.cos(r * x + f)) + 0.35 * np.sin(30 * x)
            ),
        )
    p.add(
        lambda x, y: y > 0.73 + 0.03 * np.sin(6 * x + 1),
        "ochre yellow brown vermilion olive",
        lambda x, y: np.arctan2(y - 0.55, x - 0.5),
        lambda x, y: 0.5 + 0.5 * np.sin(34 * np.arctan2(y - 0.55, x - 0.5)),
    )
    first_fine = len(p.regions)
    for cx, base, height in ((0.13, 0.82, 0.42), (0.23, 0.76, 0.27), (0.87, 0.80, 0.33)):
        p.add(
            _ellipse(cx, base - height / 2, 0.032 + 0.05 * height, height / 2, 0.0),
            "pine leaf ultramarine pine",
            lambda x, y, cx=cx: np.pi / 2 + 5 * (x - cx) + 0.3 * np.sin(40 * y),
            lambda x, y, cx=cx: 0.5 + 8 * (x - cx),
        )
    p.add(
        lambda x, y: (np.abs(x - 0.53) < 0.06) & (np.abs(y - 0.655) < 0.04), "cream peach", _flat(np.pi / 2)
    )
    p.add(
        lambda x, y: (y > 0.55) & (y < 0.618) & (np.abs(x - 0.53) < 0.02 + 0.9 * (y - 0.55)),
        "vermilion maroon",
        _flat(0.15),
    )
    p.add(
        lambda x, y: (np.abs(x - 0.55) < 0.014) & (np.abs(y - 0.67) < 0.026),
        "ultramarine blue",
        _flat(np.pi / 2),
    )
    rng = np.random.default_rng(5)
    for _ in range(26):
        cx, cy = rng.uniform(0, 1), rng.uniform(0.8, 0.99)
        radius = 0.014 + 0.06 * (cy - 0.76)
        p.add(_disc(cx, cy, radius), "vermilion pink vermilion maroon", _around(cx, cy))
        p.add(_disc(cx, cy, radius * 0.3), "ultramarine pine", _around(cx, cy))
    return _paint(p, 11, set(range(first_fine, len(p.regions))) | {4, 5})


def bouquet() -> Image.Image:
    """Flowers seen close, each petal pulled outwards from the heart."""
    p = Painting()
    p.add(
        lambda x, y: np.ones(np.shape(x), bool),
        "ultramarine blue turquoise blue violet",
        _swirl(21, 2.4, 0.6),
    )
    rng = np.random.default_rng(9)
    heads = [
        (0.28, 0.27, 0.19),
        (0.70, 0.22, 0.17),
        (0.52, 0.56, 0.22),
        (0.15, 0.64, 0.15),
        (0.86, 0.58, 0.16),
        (0.30, 0.89, 0.16),
        (0.74, 0.88, 0.17),
        (0.96, 0.05, 0.12),
        (0.03, 0.06, 0.12),
        (0.49, 0.06, 0.09),
        (0.02, 0.96, 0.1),
    ]
    for _ in range(46):
        cx, cy, turn = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0, np.pi)
        p.add(
            _ellipse(cx, cy, 0.12, 0.036, turn),
            str(rng.choice(["leaf olive pine", "pine leaf turquoise", "olive leaf yellow"])),
            _flat(turn),
        )
    first_fine = len(p.regions)
    schemes = [
        "cream peach pink maroon",
        "yellow ochre vermilion maroon",
        "vermilion vermilion maroon violet",
        "cream sky violet ultramarine",
        "pink vermilion maroon",
    ]
    for number, (cx, cy, size) in enumerate(heads):
        petals, phase = int(rng.integers(6, 10)), rng.uniform(0, 6)
        for ring in (1.0, 0.66):
            p.add(
                lambda x, y, a=cx, b=cy, s=size * ring, n=petals, f=phase + 3 * ring: (
                    np.hypot(x - a, y - b)
                    < s * (0.72 + 0.28 * np.abs(np.cos(0.5 * n * np.arctan2(y - b, x - a) + f)))
                ),
                schemes[number % 5],
                _outward(cx, cy),
                lambda x, y, a=cx, b=cy, s=size, n=petals, f=phase + 3 * ring, r=ring: (
                    1.05
                    - np.hypot(x - a, y - b)
                    / (s * r)
                    * (0.5 + 0.5 * np.abs(np.cos(0.5 * n * np.arctan2(y - b, x - a) + f)))
                ),
            )
        p.add(
            _disc(cx, cy, size * 0.2),
            "yellow ochre brown",
            _around(cx, cy),
            lambda x, y, a=cx, b=cy, s=size: np.hypot(x - a, y - b) / (0.2 * s),
        )
    return _paint(p, 12, set(range(first_fine, len(p.regions))))


def harbour() -> Image.Image:
    """Evening water with sailing boats and their reflections."""
    p = Painting()
    p.add(
        lambda x, y: np.ones(np.shape(x), bool),
        "violet pink peach yellow cream",
        _swirl(31, 1.3, -0.2),
        lambda x, y: y / 0.46,
    )
    p.add(_disc(0.3, 0.26, 0.09), "cream yellow", _around(0.3, 0.26))
    p.add(
        lambda x, y: (y > 0.40 - 0.07 * np.sin(3.2 * x + 0.4) - 0.02 * np.sin(17 * x)) & (y < 0.47),
        "ultramarine violet blue",
        _swirl(33, 0.8, 0.1),
    )
    p.add(
        lambda x, y: y > 0.46,
        "turquoise blue sky turquoise ultramarine",
        _swirl(34, 0.45),
        lambda x, y: 0.5 + 0.5 * np.sin(38 * np.maximum(y - 0.46, 0) ** 0.7 + 2.5 * np.sin(7 * x)),
    )
    p.add(
        lambda x, y: (y > 0.47) & (np.abs(x - 0.3) < 0.03 + 0.1 * np.abs(np.sin(60 * y))),
        "yellow cream peach sky",
        _flat(0.0),
    )
    first_fine = len(p.regions)
    boats = [
        (0.66, 0.63, 0.27, "cream peach pink", "vermilion maroon"),
        (0.17, 0.74, 0.2, "vermilion vermilion ochre", "cream yellow"),
        (0.88, 0.86, 0.24, "yellow ochre", "vermilion maroon"),
        (0.44, 0.52, 0.11, "cream sky", "maroon brown"),
        (0.47, 0.93, 0.2, "cream cream peach", "maroon brown"),
    ]
    for cx, base, size, sail, hull in boats:
        p.add(
            lambda x, y, a=cx, b=base, s=size: (
                (y > b) & (y < b + 0.42 * s) & (np.abs(x - a) < 0.3 * s * np.abs(np.cos(45 * y)))
            ),
            hull + " turquoise",
            _flat(0.0),
        )
        for side, wide in ((1, 0.42), (-1, 0.3)):
            p.add(
                lambda x, y, a=cx, b=base, s=size, k=side, w=wide: (
                    (k * (x - a) > 0.035 * s)
                    & (y < b - 0.12 * s)
                    & (k * (x - a) < w * s * np.clip((y - b + s) / (0.85 * s), 0, 1))
                ),
                sail,
                _flat(side * 1.15),
                lambda x, y, a=cx, s=size: 0.2 + 2.2 * np.abs(x - a) / s,
            )
        p.add(
            lambda x, y, a=cx, b=base, s=size: (
                (y > b - 0.1 * s) & (y < b + 0.1 * s) & (np.abs(x - a) < 0.5 * s - 1.3 * (y - b + 0.1 * s))
            ),
            hull,
            _flat(0.0),
        )
    return _paint(p, 13, set(range(first_fine, len(p.regions))) | {1, 4})


PICTURES = {
    "gouache_landscape.jpg": landscape,
    "gouache_bouquet.jpg": bouquet,
    "gouache_harbour.jpg": harbour,
}
