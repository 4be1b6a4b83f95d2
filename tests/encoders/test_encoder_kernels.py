"""The encoders' Triton kernels, interpreted on the CPU, against PyTorch's own layers in float64."""

import pytest
import torch
import torch.nn.functional as F

from usdstylize.kernels import maps

SHAPES = [(2, 32, 6, 10), (1, 128, 4, 4)]


def random_map(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last)


def steps(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """What a ReLU gives, with equal values beside each other, as bfloat16 has them."""
    return ((random_map(shape, seed) * 2).round() / 2).relu()


def gradient_of(layer, x: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Of the layer behind a ReLU, to the input of that ReLU, whose output is ``x``."""
    before = torch.where(x > 0, x, -1).double().requires_grad_()
    (found,) = torch.autograd.grad(layer(before.relu()), before, given.double())
    return found


def equal(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_bias_shortcut_and_batch_norm_before_a_relu(shape):
    x, shortcut = random_map(shape, 0), random_map(shape, 1)
    scale, shift = random_map((shape[1], 2, 1, 1), 2)[:, :, 0, 0].T.contiguous()
    per_channel = shift.double().view(1, -1, 1, 1)
    found = x.clone()
    maps.rectify_(found, shift, None)
    equal(found, (x + per_channel).relu())
    found = x.clone()
    maps.rectify_(found, shift, shortcut)
    equal(found, (x.double() + per_channel + shortcut).relu())
    found = x.clone()
    maps.affine_rectify_(found, scale, shift)
    zeros, ones = torch.zeros(shape[1]).double(), torch.ones(shape[1]).double()
    equal(found, F.batch_norm(x.double(), zeros, ones, scale.double(), shift.double(), eps=0).relu())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gradient_through_a_relu_and_of_a_sum_before_it(shape):
    x, given, other = steps(shape, 0), random_map(shape, 1), random_map(shape, 2)
    found = given.clone()
    maps.gate_(found, x, None)
    equal(found, gradient_of(lambda y: y, x, given))
    found = given.clone()
    maps.gate_(found, x, other)
    equal(found, gradient_of(lambda y: y, x, given + other))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["mean", "max"])
def test_pooling_and_its_gradient_through_the_relu_before(shape, kind):
    x = steps(shape, 0)
    layer = F.avg_pool2d if kind == "mean" else F.max_pool2d
    pooled = maps.mean_pool(x) if kind == "mean" else maps.max_pool(x)
    equal(pooled, layer(x, 2))
    given = random_map((*shape[:2], shape[2] // 2, shape[3] // 2), 1)
    if kind == "mean":
        found = maps.mean_pool_gradient(given, x, None)
        plus = random_map(shape, 2)
        summed = maps.mean_pool_gradient(given, x, plus.clone())
        equal(summed, gradient_of(lambda y: layer(y, 2), x, given) + plus * (x > 0))
    else:
        found = maps.max_pool_gradient(given, x)
    equal(found, gradient_of(lambda y: layer(y, 2), x, given))


def test_a_padding_row_leaves_the_position_it_repeats_alone():
    x, gradient = steps((1, 32, 2, 4), 0), random_map((1, 32, 2, 4), 1)
    flat, gate = (m.permute(0, 2, 3, 1).view(8, 32) for m in (gradient, x))
    added = random_map((5, 32, 1, 1), 2).view(5, 32)
    added[[0, 3]] = 0
    rows = torch.tensor([6, 1, 6, 6, 0])
    for activated in (None, gate):
        found = flat.clone()
        maps.put_rows_(found, rows, added, activated)
        passed = added if activated is None else added * (gate[rows] > 0)
        equal(found, torch.index_add(flat.double(), 0, rows, passed.double()))


def test_a_map_that_does_not_lie_as_a_kernel_reads_it_is_refused():
    with pytest.raises(ValueError, match="not channels_last"):
        maps.mean_pool(torch.zeros(1, 64, 4, 4))
    with pytest.raises(ValueError, match="48 channels"):
        maps.mean_pool(random_map((1, 48, 4, 4), 0))
