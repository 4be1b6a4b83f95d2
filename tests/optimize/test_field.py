"""A field instead of texels: what it is by hand, that no seam shows, that the sides of a wall are apart."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from balls import METHOD, ball, describe, run, stripes

from usdstylize import render
from usdstylize.model.base_colors import Wrap
from usdstylize.model.objects import Mesh
from usdstylize.optimize import Optimizer
from usdstylize.optimize import field as field_module
from usdstylize.optimize.field import Field, apart, coarser, texel_size, trilinear

CLAMP: tuple[Wrap, Wrap] = ("clamp", "clamp")
GREY = np.full((1, 1, 3), 0.5, np.float32)


def mesh_of(points: np.ndarray, triangles: np.ndarray, uvs: np.ndarray) -> Mesh:
    """uvs: (F, 3, 2). Normals are those of the faces."""
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.repeat((normals / np.linalg.norm(normals, axis=1, keepdims=True))[:, None], 3, axis=1)
    return Mesh(
        points.astype(np.float32),
        triangles.astype(np.int32),
        normals.astype(np.float32),
        uvs.astype(np.float32),
    )


def quad(uv_left: float = 0.0, uv_right: float = 1.0, *, turned: bool = False, size: float = 1.0) -> Mesh:
    """From (-1, -1, 0) to (1, 1, 0) times the size, facing +z, or -z where turned; v is 0 to 1."""
    points = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size
    uvs = np.array([[uv_left, 0], [uv_right, 0], [uv_right, 1], [uv_left, 1]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    if turned:
        triangles = triangles[:, ::-1]
    return mesh_of(points, triangles, uvs[triangles])


def both(first: Mesh, second: Mesh) -> Mesh:
    return Mesh(
        np.concatenate([first.points, second.points]),
        np.concatenate([first.triangles, second.triangles + len(first.points)]).astype(np.int32),
        np.concatenate([first.normals, second.normals]),
        np.concatenate([first.uvs, second.uvs]),
    )


def field_of(mesh: Mesh, size: int) -> Field:
    return Field(render.one_sheet(mesh, GREY, CLAMP), size, "cpu")


def drawn(field: Field) -> torch.Tensor:
    """Random parameters."""
    shape = field.parameters().shape
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def test_the_texture_is_the_sum_of_all_levels_each_blended_by_hand() -> None:
    """Every level read at the texels' own points, in float64, node by node (Instant-NGP, §3).

    A parameter counts a quarter of one of the next finer level.
    """
    mesh, size = quad(size=0.5), 12
    field = field_of(mesh, size)
    values = drawn(field)
    texel = 1 / size
    assert texel_size(mesh, size) == pytest.approx(texel)
    centers = [
        (-0.5 + (c + 0.5) * texel, 0.5 - (r + 0.5) * texel, 2 * texel)
        for r in range(size)
        for c in range(size)
    ]
    expected = np.zeros((size**2, 3))
    cell, start, levels = field_module._FINEST * texel, len(values), 0
    nodes = trilinear(np.array(centers, np.float32).astype(np.float64), cell)[0]
    origin = np.ceil(2 / cell)
    while True:
        start -= len(nodes)
        row_of = {tuple(node): row for row, node in enumerate(nodes.tolist(), start)}
        for number, center in enumerate(centers):
            place = [x / cell + origin for x in center]
            for corner in itertools.product((0, 1), repeat=3):
                node = [int(x) + bit for x, bit in zip(place, corner, strict=True)]
                weight = np.prod([1 - abs(x - n) for x, n in zip(place, node, strict=True)])
                if weight > 1e-9:
                    rate = 0.25**levels
                    expected[number] += rate * weight * values[row_of[tuple(node)]].double().numpy()
        levels += 1
        if cell >= 0.25:
            break
        cell, origin = 2 * cell, origin / 2
        nodes = coarser(nodes)[0]
    assert (start, levels) == (0, 3)
    found = field.texture(values)[0].reshape(-1, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("mesh", [quad(), ball().mesh, both(quad(), quad())], ids=["quad", "ball", "twice"])
def test_the_gradient_is_that_of_a_linear_map(mesh: Mesh) -> None:
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for random x and y."""
    field = field_of(render.normalize(mesh), 16)
    values = drawn(field).requires_grad_()
    texture = field.texture(values)
    other = torch.randn(texture.shape, generator=torch.Generator().manual_seed(6))
    texture.backward(other)
    assert values.grad is not None
    left = (texture.double() * other.double()).sum()
    right = (values.double() * values.grad.double()).sum()
    assert float(left.detach()) == pytest.approx(float(right.detach()), rel=1e-4)
    assert torch.equal(field.texture(2 * values), 2 * texture)


def cube() -> Mesh:
    """Of width 1, along no axis; its faces are islands a fifth of a texture wide, turned and with gaps."""
    turned = np.linalg.qr([[3.0, 1, 2], [1, -4, 1], [2, 1, -5]])[0]
    points = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) @ (turned * np.linalg.det(turned))
    faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    triangles, uvs = [], []
    for number, face in enumerate(faces):
        angle = 0.3 * number
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.1 @ turn
        corners += [(number % 3 + 0.5) / 3, (number // 3 + 0.5) / 2]
        for chosen in ([0, 1, 2], [0, 2, 3]):
            triangles.append([face[place] for place in chosen])
            uvs.append(corners[chosen])
    return mesh_of(points, np.array(triangles), np.array(uvs))


def read(texture: torch.Tensor, uvs: np.ndarray) -> np.ndarray:
    """Bilinear samples of (R, R, 3) at (P, 2)."""
    where = torch.from_numpy(uvs.astype(np.float32))
    taps = render.find_taps(where, torch.zeros(len(uvs), 2, 2), (texture.shape[0], texture.shape[1]), CLAMP)
    return render.sample(render.mip_table(texture), taps).numpy()


def test_islands_agree_along_every_edge_of_a_cube() -> None:
    """The two sides of an edge differ by less than neighbouring texels do."""
    size = 128
    mesh = cube()
    field = field_of(mesh, size)
    sides: dict[tuple[int, int], list[np.ndarray]] = {}
    shares = np.linspace(0, 1, 9)[:, None]
    for triangle, uvs in zip(mesh.triangles, mesh.uvs, strict=True):
        for one, two in ((0, 1), (1, 2), (2, 0)):
            low, high = sorted((one, two), key=lambda corner: triangle[corner])
            key = (int(triangle[low]), int(triangle[high]))
            sides.setdefault(key, []).append(uvs[low] * (1 - shares) + uvs[high] * shares)
    seams = [pair for pair in sides.values() if np.abs(pair[0] - pair[1]).max() > 1e-3]
    assert len(seams) == 12
    inside = torch.from_numpy(field.shown[0])[:, 1:]
    assert inside.sum() > 4000

    def ratio(texture: torch.Tensor) -> float:
        """How much the sides differ, beside neighbouring texels."""
        across = [np.abs(read(texture, one) - read(texture, two)).mean() for one, two in seams]
        return float(np.mean(across) / (texture[:, 1:] - texture[:, :-1]).abs()[inside].mean())

    values = drawn(field)
    assert ratio(field.texture(values)[0]) < 0.35, "noise of cells hardly larger than a texel"
    values[-sum(field._nodes[-2:]) :] = 0
    assert ratio(field.texture(values)[0]) < 0.12, "cells of five texels"
    assert ratio(torch.randn(size, size, 3)) > 0.6, "so it is where texels know nothing of each other"


def test_gutters_take_what_lies_nearest() -> None:
    field = field_of(quad(0.25, 0.5, size=0.5), 16)
    texture = field.texture(drawn(field))[0]
    # Columns 4 to 7, and one more on each side that a sample at the edge reads.
    assert np.array_equal(field.shown[0].any(0), [3 <= column <= 8 for column in range(16)])
    assert torch.equal(texture[:, :3], texture[:, 3:4].expand(-1, 3, -1))
    assert torch.equal(texture[:, 9:], texture[:, 8:9].expand(-1, 7, -1))
    assert not torch.equal(texture[:, 3], texture[:, 4])


def test_uvs_beside_a_texture_that_does_not_repeat_show_nothing() -> None:
    mesh = quad()
    field = field_of(dataclasses.replace(mesh, uvs=mesh.uvs + 5), 16)
    assert not field.shown.any()
    assert torch.equal(field.texture(field.parameters()), torch.zeros(1, 16, 16, 3))


def fitted(mesh: Mesh, target: torch.Tensor) -> float:
    """The largest difference that remains between a field's texture and a target, where it is shown."""
    field = field_of(mesh, target.shape[0])
    values = field.parameters().requires_grad_()
    optimizer = torch.optim.Adam([values], lr=0.05)
    shown = torch.from_numpy(field.shown[0])
    for _ in range(150):
        optimizer.zero_grad()
        difference = (field.texture(values)[0] - target)[shown]
        difference.square().mean().backward()
        optimizer.step()
    return float(difference.detach().abs().max())


def test_the_sides_of_a_wall_without_thickness_may_differ() -> None:
    """One side is to be red, the other one blue."""
    left, right = quad(0.0, 0.4375), quad(0.5625, 1.0, turned=True)
    target = torch.zeros(32, 32, 3)
    target[:, :16, 0] = 1
    target[:, 16:, 2] = 1
    assert fitted(render.normalize(both(left, right)), target) < 0.05
    # Where both face the same way they are one place.
    same = both(left, quad(0.5625, 1.0))
    assert fitted(render.normalize(same), target) > 0.4


def test_creases_are_moved_outwards_as_one_and_the_sides_of_a_wall_apart() -> None:
    box = cube()
    moved = apart(box, 0.1)
    expected = box.points[box.triangles] * (1 + 0.1 / np.linalg.norm([0.5, 0.5, 0.5]))
    # The diagonal of a face gives it two triangles at some corners, so the mean is not the corner's diagonal.
    assert np.abs(moved - expected).max() < 0.05
    for vertex in range(8):
        places = moved[box.triangles == vertex]
        assert np.ptp(places, axis=0).max() < 1e-12
    wall = apart(both(quad(), quad(turned=True)), 0.1)
    np.testing.assert_allclose(wall[:2, :, 2], 0.1)
    np.testing.assert_allclose(wall[2:, :, 2], -0.1)


def test_a_field_is_optimised_to_the_same_bits_and_as_far_as_texels() -> None:
    method = dataclasses.replace(METHOD, field=True, iterations=40)
    first, second = run(method), run(method)
    assert first.images[0].tobytes() == second.images[0].tobytes()
    texels = run(method, field=False)
    assert first.images[0].tobytes() != texels.images[0].tobytes()
    assert first.losses.total < 1.1 * texels.losses.total
    assert first.coverage > 0.95


def test_objects_of_a_group_have_a_texture_each() -> None:
    optimizer = Optimizer(stripes(), dataclasses.replace(METHOD, field=True), "cpu")
    other = ball()
    moved = dataclasses.replace(other, mesh=dataclasses.replace(other.mesh, points=other.mesh.points + 2))
    textures = optimizer.optimize([describe("One"), describe("Two")], [ball(), moved])
    assert [np.abs(texture.images[0]).max() > 0.1 for texture in textures] == [True, True]
    assert not np.array_equal(textures[0].images[0], textures[1].images[0])
