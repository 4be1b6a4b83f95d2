"""The sample meshes. Units are centimetres, Y is up, and every object stands on y = 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from _draw import Array

Rect = tuple[float, float, float, float]  # u0, v0, u1, v1 of a texture island

VASE = {
    "body": (0.0, 0.34, 1.0, 0.985),
    "inside": (0.02, 0.02, 0.68, 0.30),
    "bottom": (0.72, 0.02, 0.98, 0.28),
}
MUG = {
    "body": (0.02, 0.58, 0.98, 0.97),
    "inside": (0.02, 0.30, 0.62, 0.53),
    "handle": (0.02, 0.06, 0.62, 0.23),
    "bottom": (0.68, 0.28, 0.94, 0.54),
    "floor": (0.70, 0.02, 0.92, 0.24),
}
COVER = {
    "outside": (0.02, 0.34, 0.98, 0.98),
    "inside": (0.02, 0.02, 0.50, 0.30),
    "head": (0.54, 0.25, 0.98, 0.29),
    "tail": (0.54, 0.17, 0.98, 0.21),
    "fore_back": (0.54, 0.08, 0.74, 0.11),
    "fore_front": (0.78, 0.08, 0.98, 0.11),
}
PAGES = {
    "fore": (0.03, 0.80, 0.97, 0.96),
    "head": (0.03, 0.62, 0.67, 0.74),
    "tail": (0.03, 0.44, 0.67, 0.56),
    "hidden": (0.03, 0.04, 0.97, 0.38),
}
PEAR = {"skin": (0.03, 0.20, 0.97, 0.97), "stem": (0.05, 0.04, 0.60, 0.13), "tip": (0.70, 0.03, 0.80, 0.13)}

BOOK_WIDTH, BOOK_HEIGHT, BOOK_THICKNESS, BOARD = 15.0, 22.0, 3.2, 0.28
TABLE_HEIGHT = 74.0
WOOD_TILE = 50.0  # centimetres of table that one repeat of the wood texture covers


@dataclass
class Part:
    """Faces over their own points: a point has one texture coordinate and one normal."""

    points: Array
    uvs: Array
    faces: list[list[int]]
    normals: Array = field(default_factory=lambda: np.zeros((0, 3)))

    def __post_init__(self) -> None:
        if not len(self.normals):
            self.normals = smooth_normals(self)


def weld(points: Array) -> tuple[Array, Array]:
    """Points without repeats, and for each old point the number of its new one."""
    _, first, inverse = np.unique(np.round(points, 5), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # keep the order of first appearance
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return points[first[order]], rank[np.asarray(inverse).reshape(-1)]


def smooth_normals(part: Part) -> Array:
    """Area-weighted point normals, smooth across texture seams (points at one place share them)."""
    _, same = weld(part.points)
    total = np.zeros((int(same.max()) + 1, 3))
    for face in part.faces:
        corners = part.points[face]
        area = np.cross(corners - corners[0], np.roll(corners, -1, 0) - corners[0]).sum(0)
        for corner in face:
            total[same[corner]] += area
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
    return total[same]


def join(parts: Sequence[Part]) -> Part:
    """Several parts as one; edges between parts stay sharp."""
    starts = np.cumsum([0, *(len(p.points) for p in parts)])
    faces = [
        [int(start) + i for i in face]
        for start, p in zip(starts[:-1], parts, strict=True)
        for face in p.faces
    ]
    return Part(
        np.concatenate([p.points for p in parts]),
        np.concatenate([p.uvs for p in parts]),
        faces,
        np.concatenate([p.normals for p in parts]),
    )


def smooth_curve(control: Sequence[tuple[float, ...]], count: int) -> Array:
    """A cubic curve through the control points, resampled evenly along its length."""
    points = np.array(control, float)
    knots = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1) ** 0.75)])
    slope = np.gradient(points, knots, axis=0)
    t = np.linspace(0, knots[-1], 1500)
    k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(points) - 2)
    step = (knots[k + 1] - knots[k])[:, None]
    s = ((t - knots[k]) / (knots[k + 1] - knots[k]))[:, None]
    dense = (
        (1 + 2 * s) * (1 - s) ** 2 * points[k]
        + s * (1 - s) ** 2 * step * slope[k]
        + s * s * (3 - 2 * s) * points[k + 1]
        + s * s * (s - 1) * step * slope[k + 1]
    )
    length = arc_length(dense)
    even = np.linspace(0, 1, count)
    return np.stack([np.interp(even, length, dense[:, axis]) for axis in range(points.shape[1])], 1)


def arc_length(curve: Array) -> Array:
    """How far along the curve each point lies, 0..1."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    return np.asarray(length / length[-1])


def grid(points: Array, rect: Rect, s: Array, t: Array) -> Part:
    """A (rows, columns, 3) grid of points as quads; `s` runs over columns and `t` over rows, both 0..1."""
    rows, columns = points.shape[:2]
    u = rect[0] + (rect[2] - rect[0]) * np.broadcast_to(s, (rows, columns))
    v = rect[1] + (rect[3] - rect[1]) * np.broadcast_to(np.reshape(t, (-1, 1)), (rows, columns))
    faces = [
        [a, a + 1, a + columns + 1, a + columns]
        for row in range(rows - 1)
        for a in range(row * columns, row * columns + columns - 1)
    ]
    return Part(points.reshape(-1, 3), np.stack([u, v], -1).reshape(-1, 2), faces)


def lathe(profile: Array, segments: int, rect: Rect) -> Part:
    """Turn a profile of (radius, height) about Y; u goes once round to the right, v along the profile.

    The outside of a profile that rises is its outside; of one that sinks, its inside. Where the
    profile meets the axis the quads become triangles.
    """
    s = np.linspace(0, 1, segments + 1)
    turn = 2 * np.pi * (s - 0.5)  # u = 0.5 faces +Z; the seam is at the back
    turn[-1] = turn[0]
    radius, height = np.where(profile[:, :1] < 1e-6, 0, profile[:, :1]), profile[:, 1:]
    points = np.stack(np.broadcast_arrays(radius * np.sin(turn), height, radius * np.cos(turn)), -1)
    part = grid(points, rect, s, arc_length(profile))
    poles = [row for row in (0, len(profile) - 1) if radius[row, 0] == 0]
    for row in poles:
        start = row * (segments + 1)
        part.uvs[start : start + segments, 0] += 0.5 * (rect[2] - rect[0]) / segments
    faces = []
    for face in part.faces:
        row = face[0] // (segments + 1)
        if row == 0 and 0 in poles:
            faces.append([face[0], face[2], face[3]])
        elif row == len(profile) - 2 and len(profile) - 1 in poles:
            faces.append([face[0], face[1], face[3]])
        else:
            faces.append(face)
    used = np.unique(np.concatenate([np.array(f) for f in faces]))
    renumber = {int(old): new for new, old in enumerate(used)}
    return Part(part.points[used], part.uvs[used], [[renumber[i] for i in face] for face in faces])


def disc(radius: float, height: float, segments: int, rect: Rect, up: bool) -> Part:
    """A flat n-gon about the Y axis."""
    turn = np.arange(segments) / segments * 2 * np.pi - np.pi
    ring = np.stack([radius * np.sin(turn), np.full(segments, height), radius * np.cos(turn)], 1)
    side = -1.0 if up else 1.0  # seen from its outside, neither is mirrored
    centre = np.array([rect[0] + rect[2], rect[1] + rect[3]]) / 2
    uvs = centre + 0.5 * (rect[2] - rect[0]) * np.stack([np.sin(turn), side * np.cos(turn)], 1)
    face = list(range(segments)) if up else list(range(segments))[::-1]
    return Part(ring, uvs, [face])


def tube(path: Array, binormal: Sequence[float], radii: Array, segments: int, rect: Rect) -> Part:
    """Sweep an oval along a path that lies in the plane across `binormal`; u along it, v around it."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.broadcast_to(np.asarray(binormal, float), path.shape)
    normal = np.cross(side, tangent)
    s = np.linspace(0, 1, segments + 1)
    turn = 2 * np.pi * s
    turn[-1] = turn[0]
    offset = (
        normal[:, None] * (radii[:, :1] * np.cos(turn))[..., None]
        + side[:, None] * (radii[:, 1:] * -np.sin(turn))[..., None]
    )
    points = (path[:, None] + offset).transpose(1, 0, 2)
    return grid(points, rect, arc_length(path), s)


def vase_profile() -> Array:
    """The outside of the vase, foot to lip, as (radius, height)."""
    return smooth_curve(
        [
            (4.5, 0),
            (4.75, 0.35),
            (4.5, 1.1),
            (5.1, 2.8),
            (7.9, 8.2),
            (9.3, 13.8),
            (8.5, 19.3),
            (5.3, 24.0),
            (3.95, 26.4),
            (4.0, 27.6),
            (4.8, 29.2),
            (5.75, 30.1),
            (5.8, 30.35),
            (5.55, 30.5),
        ],
        56,
    )


def vase() -> Part:
    """A turned vase with a lip and an inside."""
    inside = smooth_curve(
        [
            (5.55, 30.5),
            (5.2, 30.3),
            (4.4, 29.2),
            (3.55, 27.6),
            (3.5, 26.4),
            (4.85, 24.0),
            (8.0, 19.3),
            (8.8, 13.8),
            (7.4, 8.2),
            (4.6, 3.0),
            (2.0, 1.6),
            (0, 1.4),
        ],
        34,
    )
    return join(
        [
            lathe(vase_profile(), 64, VASE["body"]),
            lathe(inside, 64, VASE["inside"]),
            disc(4.5, 0, 64, VASE["bottom"], up=False),
        ]
    )


def mug() -> Part:
    """A mug whose handle is at its back (-Z), over the seam of its body."""
    outside = smooth_curve(
        [(3.5, 0), (3.85, 0.3), (4.15, 1.6), (4.25, 4.8), (4.15, 8.2), (4.2, 9.4), (4.1, 9.62), (3.98, 9.65)],
        24,
    )
    inside = smooth_curve(
        [(3.98, 9.65), (3.88, 9.55), (3.8, 8.2), (3.9, 4.8), (3.8, 1.8), (3.4, 0.8), (2.9, 0.6)], 18
    )
    path = smooth_curve(
        [
            (0, 7.9, -3.98),
            (0, 8.25, -5.2),
            (0, 7.6, -6.7),
            (0, 5.6, -7.2),
            (0, 3.4, -6.4),
            (0, 2.2, -5.0),
            (0, 1.9, -3.98),
        ],
        30,
    )
    flare = 1 + 0.35 * np.abs(np.linspace(-1, 1, 30)) ** 6
    handle = tube(path, (1, 0, 0), np.stack([0.42 * flare, 0.72 * flare], 1), 14, MUG["handle"])
    return join(
        [
            lathe(outside, 64, MUG["body"]),
            lathe(inside, 64, MUG["inside"]),
            handle,
            disc(3.5, 0, 64, MUG["bottom"], up=False),
            disc(2.9, 0.6, 64, MUG["floor"], up=True),
        ]
    )


def _extrude(outline: Array, head: float, tail: float, rect: Rect, rows: int = 7) -> Part:
    """A strip along an outline in XY, from z = tail (v = 0) to z = head (v = 1)."""
    t = np.linspace(0, 1, rows)
    z = tail + (head - tail) * t
    points = np.stack(np.broadcast_arrays(outline[:, 0], outline[:, 1], z[:, None]), -1)
    return grid(points, rect, arc_length(outline), t)


def cover_profile() -> Array:
    """The outside of the cover in XY: back board, spine, front board."""
    x, y = BOOK_WIDTH / 2, BOOK_THICKNESS
    spine = smooth_curve(
        [(-x + 0.25, 0), (-x - 0.02, 0.3), (-x - 0.22, y / 2), (-x - 0.02, y - 0.3), (-x + 0.25, y)], 13
    )
    back = np.stack([np.linspace(x, -x + 0.25, 7), np.zeros(7)], 1)
    front = np.stack([np.linspace(-x + 0.25, x, 7), np.full(7, y)], 1)
    return np.concatenate([back[:-1], spine, front[1:]])


def book() -> tuple[Part, Part]:
    """A closed book lying on its back, read from +Z: its cover and its pages."""
    half = BOOK_HEIGHT / 2
    outer = cover_profile()
    inner = outer.copy()
    middle = np.array([0, BOOK_THICKNESS / 2])
    inner[:, 1] = middle[1] + (outer[:, 1] - middle[1]) * (1 - 2 * BOARD / BOOK_THICKNESS)
    inner[:, 0] = np.where(outer[:, 0] < -BOOK_WIDTH / 2 + 0.3, outer[:, 0] + BOARD, outer[:, 0])
    parts = [
        _extrude(outer, -half, half, COVER["outside"]),
        _extrude(inner[::-1], -half, half, COVER["inside"]),
    ]
    along = arc_length(outer)
    for name, z, first, second in (("head", -half, outer, inner), ("tail", half, inner, outer)):
        rim = np.stack(
            [
                np.column_stack([first, np.full(len(first), z)]),
                np.column_stack([second, np.full(len(second), z)]),
            ]
        )
        parts.append(grid(rim, COVER[name], along, np.array([0.0, 1.0])))
    for name, end in (("fore_back", 0), ("fore_front", -1)):
        low, high = sorted((outer[end], inner[end]), key=lambda p: float(p[1]))
        z = np.linspace(half, -half, 7)
        edge = np.stack([np.stack(np.broadcast_arrays(p[0], p[1], z), -1) for p in (low, high)])
        parts.append(grid(edge, COVER[name], np.linspace(0, 1, 7), np.array([0.0, 1.0])))

    low_y, high_y, right, left = (
        BOARD + 0.01,
        BOOK_THICKNESS - BOARD - 0.01,
        BOOK_WIDTH / 2 - 0.45,
        -BOOK_WIDTH / 2 + 0.15,
    )
    fore = smooth_curve([(right, low_y), (right - 0.28, BOOK_THICKNESS / 2), (right, high_y)], 9)
    depth = half - 0.4
    z = np.linspace(depth, -depth, 9)
    wall = np.stack([np.stack(np.broadcast_arrays(p[0], p[1], z), -1) for p in fore])
    pages = [grid(wall, PAGES["fore"], np.linspace(0, 1, 9), arc_length(fore))]
    rest = np.concatenate(
        [
            np.stack([np.linspace(right, left, 6), np.full(6, high_y)], 1),
            np.stack([np.linspace(left, right, 6), np.full(6, low_y)], 1),
        ]
    )
    pages.append(_extrude(rest, depth, -depth, PAGES["hidden"]))
    outline = np.concatenate([fore, [[left, high_y], [left, low_y]]])
    for name, end, flip in (("head", -depth, True), ("tail", depth, False)):
        rect = PAGES[name]
        s = (outline[:, 0] - left) / (right - left)
        t = (outline[:, 1] - low_y) / (high_y - low_y)
        s = 1 - s if flip else s
        uvs = np.stack([rect[0] + (rect[2] - rect[0]) * s, rect[1] + (rect[3] - rect[1]) * t], 1)
        face = list(range(len(outline)))
        pages.append(
            Part(np.column_stack([outline, np.full(len(outline), end)]), uvs, [face[::-1] if flip else face])
        )
    return join(parts), join(pages)


def pear() -> Part:
    """A leaning pear with a stem."""
    profile = smooth_curve(
        [
            (0, 0.55),
            (0.7, 0.28),
            (1.6, 0.02),
            (3.1, 0.75),
            (4.05, 2.9),
            (3.75, 5.0),
            (2.75, 6.8),
            (2.0, 8.2),
            (1.55, 9.5),
            (0.95, 10.25),
            (0.4, 10.3),
            (0, 10.1),
        ],
        44,
    )
    skin = lathe(profile, 48, PEAR["skin"])
    stem_path = smooth_curve([(0, 9.9, 0), (0.05, 10.8, 0), (0.25, 11.8, 0), (0.75, 12.7, 0)], 10)
    radii = np.linspace(0.2, 0.16, 10) + 0.1 * np.linspace(0, 1, 10) ** 6
    stem = tube(stem_path, (0, 0, 1), np.stack([radii, radii], 1), 10, PEAR["stem"])
    rim = [row * 10 + 9 for row in range(10)]  # the last column of the tube, once round
    centre = stem_path[-1]
    rect = PEAR["tip"]
    turn = np.arange(10) / 10 * 2 * np.pi
    uvs = np.stack(
        [
            0.5 * (rect[0] + rect[2]) + 0.5 * (rect[2] - rect[0]) * np.cos(turn),
            0.5 * (rect[1] + rect[3]) + 0.5 * (rect[3] - rect[1]) * np.sin(turn),
        ],
        1,
    )
    tip = Part(stem.points[rim], uvs, [list(range(10))])
    if float(tip.normals[0] @ (centre - stem_path[-2])) < 0:
        tip = Part(tip.points, uvs * [1, -1] + [0, rect[1] + rect[3]], [list(range(10))[::-1]])

    def lean(part: Part) -> Part:
        """Bend to one side and press three soft lobes into the belly."""
        p = part.points.copy()
        lobes = 1 + 0.025 * np.sin(3 * np.arctan2(p[:, 0], p[:, 2]) + 0.6) * np.clip(1 - p[:, 1] / 10, 0, 1)
        p[:, 0] = p[:, 0] * lobes + 0.006 * p[:, 1] ** 2
        p[:, 2] *= lobes
        return Part(p, part.uvs, part.faces)

    return join([lean(part) for part in (skin, stem, tip)])


def egg() -> Part:
    """An egg lying on its side."""
    t = np.linspace(0, np.pi, 25)
    radius = 2.2 * np.sin(t) * (1 + 0.11 * np.cos(t))
    radius[[0, -1]] = 0
    part = lathe(np.stack([radius, -2.95 * np.cos(t)], 1), 36, (0.02, 0.02, 0.98, 0.98))
    points = np.stack([part.points[:, 1], -part.points[:, 0], part.points[:, 2]], 1)
    points[:, 1] -= points[:, 1].min()
    return Part(points, part.uvs, part.faces)


def _slab(
    centre: Sequence[float], size: Sequence[float], bevel: float, grain: int, shift: float, taper: float = 1.0
) -> Part:
    """A box with rounded edges, all quads; u runs along the axis `grain`, at the scale of the wood."""
    half = np.array(size, float) / 2
    steps = np.tan(np.linspace(-np.pi / 4, 0, 4)) * bevel
    ticks = [
        np.concatenate(
            [
                -h + bevel + steps,
                np.linspace(-h + bevel, h - bevel, max(2, int(2 * h / 12) + 1))[1:-1],
                h - bevel - steps[::-1],
            ]
        )
        for h in half
    ]
    parts = []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for sign in (1.0, -1.0):
            first, second = (a, b) if sign > 0 else (b, a)
            columns, rows = np.meshgrid(ticks[first], ticks[second])
            p = np.zeros((*columns.shape, 3))
            p[..., first], p[..., second], p[..., axis] = columns, rows, sign * half[axis]
            core = np.clip(p, -(half - bevel), half - bevel)
            away = p - core
            unit = away / np.linalg.norm(away, axis=-1, keepdims=True)
            p = core + bevel * unit
            across = next(k for k in (first, second) if k != grain) if axis != grain else first
            along = grain if axis != grain else second
            narrow = 1 - (1 - taper) * (0.5 - p[..., 1:2] / (2 * half[1]))
            shaped = p * np.concatenate([narrow, np.ones_like(narrow), narrow], -1)
            u = (p[..., along] + half[along]) / WOOD_TILE + 0.37 * shift
            v = (half[across] + (p[..., across] if sign > 0 else -p[..., across])) / WOOD_TILE + 0.23 * shift
            if axis == 1 and grain == 0:  # the top, as it is seen from +Z
                v = (half[2] - sign * p[..., 2]) / WOOD_TILE
            rectless = grid(shaped + np.array(centre), (0, 0, 1, 1), np.zeros(1), np.zeros(len(p)))
            parts.append(
                Part(
                    rectless.points, np.stack([u, v], -1).reshape(-1, 2), rectless.faces, unit.reshape(-1, 3)
                )
            )
    return join(parts)


def table() -> tuple[Part, Part]:
    """A table: its top, and the legs and rails under it. The wood repeats over both."""
    top = _slab((0, TABLE_HEIGHT - 1.75, 0), (120, 3.5, 78), 0.9, 0, 0)
    under = []
    height = TABLE_HEIGHT - 3.5
    for number, (x, z) in enumerate(((-54, -33), (54, -33), (-54, 33), (54, 33))):
        under.append(_slab((x, height / 2, z), (6, height, 6), 0.5, 1, number + 1, 0.65))
    for number, (x, z, size, grain) in enumerate(
        ((0, -33, (102, 8, 2), 0), (0, 33, (102, 8, 2), 0), (-54, 0, (2, 8, 60), 2), (54, 0, (2, 8, 60), 2))
    ):
        under.append(_slab((x, height - 4, z), size, 0.3, grain, number + 5))
    return top, join(under)


def wall() -> Part:
    """A plain backdrop facing +Z, little larger than what the camera sees of it."""
    x, y = np.meshgrid(np.linspace(-80, 80, 9), np.linspace(0, 125, 6))
    return grid(
        np.stack([x, y, np.zeros_like(x)], -1), (0, 0, 1, 0.78125), np.linspace(0, 1, 9), np.linspace(0, 1, 6)
    )
