"""The renderer against float64 references, finite differences and plain geometry."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from usdstylize import render
from usdstylize.config.presets import PRESETS
from usdstylize.imaging import encoding
from usdstylize.model.objects import Mesh
from usdstylize.render.cameras import pixel_directions
from usdstylize.render.texture import Taps

METHOD = dataclasses.replace(PRESETS["draft"], resolution=64)
SCIPY_MODE = {"repeat": "grid-wrap", "mirror": "reflect", "clamp": "nearest", "black": "grid-constant"}


def random_texture(height: int, width: int) -> torch.Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("wrap_s", SCIPY_MODE)
@pytest.mark.parametrize("wrap_t", SCIPY_MODE)
def test_bilinear_sampling_and_wrap_equal_scipy_in_float64(wrap_s, wrap_t):
    """Axes one at a time, since SciPy wraps both alike: UVs leave 0..1 in s, then in t."""
    texture = random_texture(16, 24)
    generator = np.random.default_rng(0)
    for axis, wrap in ((0, wrap_s), (1, wrap_t)):
        uvs = generator.uniform(0.1, 0.9, (400, 2))
        uvs[:, axis] = generator.uniform(-2.4, 3.1, 400)
        taps = render.find_taps(
            torch.from_numpy(uvs).float(), torch.zeros(400, 2, 2), (16, 24), (wrap_s, wrap_t)
        )
        ours = render.sample(render.mip_table(texture), taps)
        rows, columns = (1 - uvs[:, 1]) * 16 - 0.5, uvs[:, 0] * 24 - 0.5
        expected = np.stack(
            [
                map_coordinates(
                    texture[..., c].double().numpy(), [rows, columns], order=1, mode=SCIPY_MODE[wrap]
                )
                for c in range(3)
            ],
            1,
        )
        np.testing.assert_allclose(ours.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("wrap_t", SCIPY_MODE)
@pytest.mark.parametrize("wrap_s", SCIPY_MODE)
@pytest.mark.parametrize("tent", [False, True])
def test_sampling_gradient_equals_finite_differences_in_float64(wrap_s, wrap_t, tent):
    """From UVs far outside 0..1, at levels 0 to 3 of 3 and between them."""
    wrap = (wrap_s, wrap_t)
    texture = random_texture(8, 8)
    generator = torch.Generator().manual_seed(2)
    uvs = torch.rand(60, 2, generator=generator) * 3 - 1
    footprint = torch.rand(60, 1, 1, generator=generator).mul(5).exp2() / 16 * torch.eye(2)
    taps = render.find_taps(uvs, footprint, (8, 8), wrap)
    level_of_row = torch.repeat_interleave(torch.arange(4), torch.tensor([64, 16, 4, 1]))
    assert level_of_row[taps.rows[taps.weights > 0].long()].unique().tolist() == [0, 1, 2, 3]
    double = Taps(taps.rows, taps.weights.double())

    def total(values: torch.Tensor) -> torch.Tensor:
        table = render.mip_table(values, tent=wrap) if tent else render.mip_table(values)
        return render.sample(table, double).square().sum()

    assert torch.autograd.gradcheck(total, texture.double().requires_grad_())


def test_a_pixel_that_spans_a_block_of_texels_sees_their_mean():
    texture = random_texture(32, 32)
    # centre of an aligned 8 × 8 block; the pixel is eight texels wide
    uv = torch.tensor([[12 / 32, 1 - 20 / 32]])
    footprint = torch.tensor([[[8 / 32, 0.0], [0.0, 8 / 32]]])
    taps = render.find_taps(uv, footprint, (32, 32), ("clamp", "clamp"))
    seen = render.sample(render.mip_table(texture), taps)
    torch.testing.assert_close(seen[0], texture[16:24, 8:16].mean((0, 1)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wrap", ["repeat", "clamp", "mirror"])
def test_a_gradient_at_a_coarse_level_spreads_without_squares(wrap):
    """A box filter would give every texel of an 8 × 8 square the same and its neighbour nothing."""
    texture = torch.zeros(32, 32, 3, requires_grad=True)
    table = render.mip_table(texture, tent=(wrap, wrap))
    sizes = render.level_sizes(32, 32)
    start = sum(h * w for h, w in sizes[:3])
    row = start + 1 * 4 + 1  # level 3 is 4 × 4; its texel (1, 1) lies over texels 8..15
    (gradient,) = torch.autograd.grad(table[row, 0], texture)
    profile = gradient[..., 0].sum(0)
    assert profile.sum().item() == pytest.approx(1, abs=1e-5)
    steps = profile.diff().abs()
    assert steps.max() < 0.3 * profile.max()
    assert (profile[8:16] > 0).all()
    assert profile[24:].max() == 0


def test_odd_sized_textures_keep_their_mean_at_the_coarsest_level():
    texture = random_texture(15, 22)
    assert render.level_sizes(15, 22) == [(15, 22), (7, 11), (3, 5), (1, 2), (1, 1)]
    coarsest = render.mip_table(texture)[-1]
    torch.testing.assert_close(coarsest, texture.mean((0, 1)), rtol=0.05, atol=0)


def quad(z: float = 0.0) -> Mesh:
    """Two triangles over x, y in -0.7..0.7 that face +Z, UVs 0..1 upright."""
    points = np.array([[-0.7, -0.7, z], [0.7, -0.7, z], [0.7, 0.7, z], [-0.7, 0.7, z]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)[triangles]
    normals = np.tile(np.array([0, 0, 1], np.float32), (2, 3, 1))
    return Mesh(points, triangles, normals, uvs)


def render_quad(base: np.ndarray, eye=(0.0, 0.0, 2.5), method=METHOD, size=(16, 16)):
    mesh = quad()
    camera = render.look_at(np.array(eye), np.array([0.0, 0.0, 3.0]), method.field_of_view)
    subject = render.Subject(render.one_sheet(mesh, base, ("clamp", "clamp")), size, "cpu")
    visibility = render.EmbreeVisibility(mesh.points, mesh.triangles)
    return render.trace_views(subject, visibility, [camera], method)[0]


def test_the_top_of_the_texture_is_the_top_of_the_picture():
    base = np.zeros((8, 8, 3), np.float32)
    base[:4, :4] = [1, 0, 0]  # upper left
    base[:4, 4:] = [0, 1, 0]  # upper right
    base[4:, :4] = [0, 0, 1]  # lower left
    view = render_quad(base)
    image = render.paint(render.join([view]), None, torch.full((3, 64, 64), 0.5))[0].permute(1, 2, 0)
    assert image[22, 22].argmax() == 0
    assert image[22, 42].argmax() == 1
    assert image[42, 22].argmax() == 2
    assert image[42, 42].max() < 0.3
    assert image[2, 2].tolist() == [0.5, 0.5, 0.5]


def test_up_is_up_from_every_side():
    for eye in ([2.0, 0.5, 1.0], [-1.0, -1.5, 0.3], [0.0, 2.5, 0.0], [0.0, -2.5, 0.0]):
        camera = render.look_at(np.array(eye), np.ones(3), 45.0)
        assert np.allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(camera.axes) == pytest.approx(1, abs=1e-5)
        assert camera.axes[1][1] >= -1e-6


def test_footprint_equals_the_difference_between_neighbouring_pixels():
    """Seen aslant, so that perspective and foreshortening both count."""
    method = dataclasses.replace(METHOD, resolution=256)
    mesh = quad()
    camera = render.look_at(np.array([1.2, 0.8, 1.9]), np.array([0.0, 0.0, 3.0]), 45.0)
    hits = render.EmbreeVisibility(mesh.points, mesh.triangles).trace([camera], 256)[0]
    flat, barycentrics = hits.triangle.numpy(), hits.barycentrics.numpy()
    shares = np.concatenate([1 - barycentrics.sum(-1, keepdims=True), barycentrics], -1)
    uvs = (mesh.uvs[flat] * shares[..., None]).sum(-2)
    subject = render.Subject(
        render.one_sheet(mesh, np.zeros((4, 4, 3), np.float32), ("clamp", "clamp")), (4, 4), "cpu"
    )
    row, column = np.argwhere(flat >= 0)[len(np.argwhere(flat >= 0)) // 2]
    points = (mesh.points[mesh.triangles][flat[row, column]] * shares[row, column][:, None]).sum(0)
    _, step_x, step_y = pixel_directions(camera, method.resolution)
    footprint = subject._footprint(
        torch.tensor([flat[row, column]]),
        torch.from_numpy(points - camera.eye)[None].float(),
        torch.from_numpy(camera.axes[2]),
        (torch.from_numpy(step_x), torch.from_numpy(step_y)),
    )[0].numpy()
    across = (uvs[row, column + 1] - uvs[row, column - 1]) / 2
    down = (uvs[row + 1, column] - uvs[row - 1, column]) / 2
    np.testing.assert_allclose(footprint, [across, down], rtol=0.02, atol=1e-5)


def test_srgb_curves_equal_the_numpy_ones_and_undo_each_other():
    values = torch.linspace(0, 1, 1001)
    linear = render.decode_srgb(values)
    np.testing.assert_allclose(linear.numpy(), encoding.srgb_to_linear(values.numpy()), atol=1e-6)
    torch.testing.assert_close(render.encode_srgb(linear), values, rtol=0, atol=1e-5)


def test_srgb_gradient_is_finite_at_black():
    values = torch.zeros(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(render.encode_srgb(render.decode_srgb(values)).sum(), values)
    torch.testing.assert_close(gradient, torch.ones(3), rtol=1e-4, atol=0)


def test_a_lit_point_by_hand():
    """Light straight on, viewer straight on: N·L = R·V = 1."""
    diffuse, specular = render.phong(
        torch.zeros(1, 3),
        torch.tensor([[0.0, 0.0, 1.0]]),
        torch.tensor([0.0, 0.0, 2.0]),
        torch.tensor([0.0, 0.0, 4.0]),
        METHOD,
    )
    assert diffuse.item() == pytest.approx(0.4 + 2 / np.pi, abs=1e-6)
    assert specular.item() == pytest.approx(0.08 * 2 / np.pi, abs=1e-6)


def test_the_gradient_of_light_equals_that_of_the_curves():
    random = torch.Generator().manual_seed(7)
    shown = torch.rand(4000, 3, generator=random, dtype=torch.float64) * 1.4 - 0.2
    shown[:200] *= 0.05  # the straight end of both curves
    diffuse = torch.rand(4000, 1, generator=random, dtype=torch.float64) * 1.3
    specular = torch.rand(4000, 1, generator=random, dtype=torch.float64) * 0.1
    given = shown.clone().requires_grad_()
    linear = render.decode_srgb(given.clamp(0, 1)) * diffuse + specular
    expected = render.encode_srgb(linear.clamp(0, 1))
    expected.sin().sum().backward()
    ours = shown.clone().requires_grad_()
    found = render.shade(ours, diffuse, specular)
    found.sin().sum().backward()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.grad, given.grad, rtol=0, atol=1e-9)


def test_the_far_side_of_an_open_mesh_is_lit_not_black():
    base = np.full((4, 4, 3), 0.5, np.float32)
    front, back = render_quad(base, (0, 0, 2.5)), render_quad(base, (0, 0, -2.5))
    assert len(back.pixels) == len(front.pixels) > 0
    assert back.diffuse.min() >= METHOD.ambient


def test_rays_hit_where_a_sphere_is():
    count = 120
    theta, phi = np.meshgrid(np.linspace(0, np.pi, count), np.linspace(0, 2 * np.pi, count), indexing="ij")
    points = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)], -1)
    index = np.arange(count * count).reshape(count, count)
    a, b, c, d = (x.ravel() for x in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    triangles = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)]).astype(np.int32)
    visibility = render.EmbreeVisibility(points.reshape(-1, 3).astype(np.float32), triangles)
    camera = render.look_at(np.array([0.3, 1.0, 2.3]), np.ones(3), 60.0)
    covered = (visibility.trace([camera], 256)[0].triangle >= 0).float().mean().item()
    # a sphere at distance D fills the cone of half angle asin(1 / D), seen as a disc
    radius = np.tan(np.arcsin(1 / np.linalg.norm(camera.eye))) / np.tan(np.radians(30))
    assert covered == pytest.approx(np.pi * radius**2 / 4, rel=0.01)


def test_normalize_puts_any_object_into_the_unit_sphere():
    mesh = quad()
    moved = Mesh(mesh.points * 250 + np.float32(1e3), mesh.triangles, mesh.normals, mesh.uvs)
    result = render.normalize(moved)
    assert np.linalg.norm(result.points, axis=1).max() == pytest.approx(1, abs=1e-4)
    assert np.abs(result.points.mean(0)).max() < 1e-4
