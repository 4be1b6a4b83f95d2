"""What the drawn styles depict: a landscape and a still life, as fields that any technique can draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["SIZE", "Motif", "landscape", "noise", "ramp", "still_life"]

Array = NDArray[Any]
Ramp = tuple[str, str, str]
"""Dark, middle and light, as rrggbb."""

SIZE = 1024


@dataclass
class Motif:
    """Forms laid from back to front; all fields are (1024, 1024).

    label: which form. across and along: coordinates, in pixels, at right angles to and along the lines that
    model it. light: 0..1. ramps: of each form.
    """

    label: Array
    across: Array
    along: Array
    light: Array
    ramps: list[Ramp]

    def put(self, mask: Array, across: Array, along: Array, light: Array, colors: Ramp) -> None:
        """Lay one form over all before it."""
        self.label[mask] = len(self.ramps)
        for field, own in ((self.across, across), (self.along, along), (self.light, np.clip(light, 0, 1))):
            field[mask] = np.broadcast_to(own, mask.shape)[mask]
        self.ramps.append(colors)

    def colors(self) -> Array:
        """(1024, 1024, 3) float, 0..1: every form by its ramp."""
        result = np.zeros((*self.label.shape, 3))
        for number, colors in enumerate(self.ramps):
            mask = self.label == number
            result[mask] = ramp(colors, self.light[mask])
        return result

    def angle(self) -> Array:
        """Direction of the lines, radians, y down; smooth within a form."""
        y, x = np.gradient(ndimage.gaussian_filter(self.across, 2.0))
        return np.asarray(np.arctan2(y, x) + np.pi / 2)

    def edges(self) -> Array:
        """Distance of each pixel to the nearest border between two forms."""
        shifted = [np.roll(self.label, 1, axis) != self.label for axis in (0, 1)]
        border = shifted[0] | shifted[1]
        border[0], border[:, 0] = False, False
        distance: Array = ndimage.distance_transform_edt(~border)
        return distance


def ramp(colors: Ramp, light: Array) -> Array:
    """(…, 3) of light (…)."""
    steps = np.array([[int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)] for code in colors])
    return np.stack([np.interp(light, (0.0, 0.5, 1.0), steps[:, channel]) for channel in range(3)], -1)


def noise(random: np.random.Generator, sigma: float, size: int = SIZE) -> Array:
    """(size, size) smooth noise whose features are about ``sigma`` pixels; mean 0, deviation 1."""
    step = max(1, int(sigma / 2))
    small = -(-size // step) + 1
    field = ndimage.gaussian_filter(random.normal(size=(small, small)), sigma / step, mode="wrap")
    if step > 1:
        field = ndimage.zoom(field, step, order=1)
    field = field[:size, :size]
    result: Array = (field - field.mean()) / field.std()
    return result


def _blank() -> tuple[Motif, Array, Array]:
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(float) + 0.5
    empty = np.zeros((SIZE, SIZE))
    return Motif(np.full((SIZE, SIZE), -1), empty.copy(), empty.copy(), empty.copy(), []), x, y


def _ball(
    motif: Motif, x: Array, y: Array, at: tuple[float, float, float], colors: Ramp, flat: float = 1
) -> None:
    """A ball; its lines are meridians. at: centre and radius. flat: height over width."""
    cx, cy, radius = at
    u, v = (x - cx) / radius, (y - cy) / radius / flat
    inside = u * u + v * v < 1
    w = np.sqrt(np.maximum(1 - u * u - v * v, 0.0))
    light = 0.18 + 0.85 * np.maximum(-0.5 * u - 0.55 * v + 0.62 * w, 0) + 0.15 * (1 - w) * (u + v > 0)
    bend = u / np.sqrt(np.maximum(1 - 0.9 * v * v, 0.06))
    motif.put(inside, np.arcsin(np.clip(bend, -1, 1)) * radius * 0.8, v * radius, light, colors)


def landscape(seed: int, ramps: dict[str, Ramp]) -> Motif:
    """A sun over ridges, fields and trees. ramps: sky, sun, far, near, field, tree, trunk."""
    random = np.random.default_rng(seed)
    motif, x, y = _blank()
    sun = np.hypot(x - 690, y - 250)
    turn = np.arctan2(y - 250, x - 690)
    waves = 9 * noise(random, 60)
    sky = 0.35 + 0.5 * np.exp(-sun / 240) + 0.12 * np.sin((sun + waves) / 44)
    motif.put(np.ones_like(x, bool), sun + waves, turn * 330, sky, ramps["sky"])
    motif.put(sun < 118, x + y, x - y, 0.75 - (x - 690 + y - 250) / 520, ramps["sun"])
    for number, (base, swing, name) in enumerate(((440, 90, "far"), (520, 75, "near"), (600, 40, "near"))):
        line = np.interp(
            np.arange(SIZE) + 0.5, np.linspace(-40, SIZE + 40, 8), random.uniform(-1, 1, 8).cumsum() % 2 - 1
        )
        top = base + swing * ndimage.gaussian_filter1d(line, 14) + 3 * random.normal()
        depth = y - top[None, :]
        slope = ndimage.gaussian_filter1d(np.gradient(top), 12)[None, :]
        light = 0.55 - 1.1 * slope + 0.0012 * depth - 0.06 * number
        # Lines run downhill, leaning with the slope.
        motif.put(depth > 0, x + 0.55 * depth * np.sign(slope + 1e-6), depth * 1.2, light, ramps[name])
    for number in range(4):
        base, rate, phase = 660 + 95 * number, 210 + 35 * number, random.uniform(0, 6)
        depth = y - base - (20 + 5 * number) * np.sin(x / rate + phase)
        stripes = 0.1 * np.sin(depth / (7 + 2 * number) + 0.5 * noise(random, 80))
        light = 0.42 + 0.28 * np.cos(x / rate + phase + 0.7) + stripes
        motif.put(depth > 0, depth * (1 + 0.12 * number), x, light, ramps["field"])
    for cx, foot, size in ((150, 850, 120), (330, 720, 66), (835, 800, 96), (560, 930, 84), (930, 690, 52)):
        stem = (np.abs(x - cx) < size * 0.11) & (y < foot) & (y > foot - size * 1.5)
        motif.put(stem, x - cx, y, 0.6 - (x - cx) / size * 3, ramps["trunk"])
        for turn_at in np.linspace(0, 2 * np.pi, 6)[:-1]:
            bx, by = cx + 0.55 * size * np.cos(turn_at), foot - 1.75 * size + 0.5 * size * np.sin(turn_at)
            _ball(motif, x, y, (bx, by, 0.55 * size), ramps["tree"])
        _ball(motif, x, y, (cx - 0.1 * size, foot - 1.8 * size, 0.6 * size), ramps["tree"])
    return motif


def still_life(seed: int, ramps: dict[str, Ramp]) -> Motif:
    """A jug, fruit and leaves on a cloth. ramps: wall, cloth, stripe, jug, red, yellow, green, dark."""
    random = np.random.default_rng(seed)
    motif, x, y = _blank()
    drift = 14 * noise(random, 90)
    wall = 0.62 - 0.34 * (x / SIZE) + 0.1 * noise(random, 120)
    motif.put(np.ones_like(x, bool), (x + y) * 0.7071 + drift, (x - y) * 0.7071, wall, ramps["wall"])
    top = 610 + 26 * np.sin(x / 150 + 1)
    depth = y - top
    fold = np.sin(x / 62 + depth / 210 + 0.6 * noise(random, 110))
    motif.put(depth > 0, x + depth * 0.3 + drift, depth, 0.62 + 0.24 * fold - 0.0005 * depth, ramps["cloth"])
    for at in (130, 300):
        band = np.abs(depth - at - 16 * fold) < 26
        motif.put(band, depth, x, 0.55 + 0.25 * fold, ramps["stripe"])
    height = (y - 470) / 270
    width = (
        145 * np.clip(1 - (height - 0.25) ** 2, 0.12, 1) ** 0.8 + 40 * (height < -0.72) * (-height - 0.72) * 4
    )
    u = (x - 350) / np.maximum(width, 1)
    inside = (np.abs(u) < 1) & (np.abs(height) < 1)
    light = 0.25 + 0.7 * np.exp(-(((u + 0.4) / 0.42) ** 2)) + 0.14 * (u > 0.7)
    handle = np.abs(np.hypot((x - 490) / 1.0, (y - 400) / 1.35) - 80) < 16
    motif.put(handle & (x > 440), np.hypot(x - 490, y - 400), y, 0.35 + (y < 400) * 0.3, ramps["jug"])
    motif.put(inside, np.arcsin(np.clip(u, -1, 1)) * 110, y, light, ramps["jug"])
    motif.put(inside & (np.abs(height - 0.15) < 0.12), y, x, light, ramps["stripe"])
    for number in range(13):
        turn, length = -np.pi * (0.08 + 0.84 * number / 12), random.uniform(150, 250)
        cx, cy = 345 + 0.62 * length * np.cos(turn), 205 + 0.62 * length * np.sin(turn) + 60
        a = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        b = -(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn) + 12 * np.sin(a / 50 + number)
        leaf = np.abs(b) < 30 * np.clip(1 - (a / (0.55 * length)) ** 2, 0, 1) ** 0.8
        name = "green" if number % 3 else "yellow"
        motif.put(
            leaf, np.abs(b) * 1.2 + a * 0.5, a, 0.45 + 0.3 * np.sign(b) + 0.1 * random.normal(), ramps[name]
        )
    for cx, cy, radius, name, flat in (
        (640, 640, 118, "yellow", 1.05), (520, 745, 92, "red", 0.95), (795, 735, 132, "red", 0.92),
        (655, 815, 84, "green", 1.0), (905, 845, 76, "yellow", 0.95), (210, 815, 100, "dark", 0.9),
        (355, 880, 74, "red", 1.0),
    ):  # fmt: skip
        shadow = ((x - cx - 0.35 * radius) / 1.25) ** 2 + ((y - cy - 0.72 * radius) / 0.4) ** 2 < radius**2
        motif.put(shadow & (depth > 0), y, x, np.full_like(x, 0.12), ramps["cloth"])
        _ball(motif, x, y, (cx, cy, radius), ramps[name], flat)
    return motif
