"""The whole loss and its gradient."""

import dataclasses

import numpy as np
import pytest
import torch
from balls import METHOD, ball, stripes

from usdstylize import render
from usdstylize.losses import objective
from usdstylize.losses.batch import positions_of
from usdstylize.losses.objective import Objective


@pytest.mark.parametrize("content_on_background", [True, False])
def test_one_network_after_the_other_gives_the_gradient_of_the_sum(content_on_background):
    method = dataclasses.replace(
        METHOD, content_on_background=content_on_background, content_weight=2.0, precision="float32"
    )
    data = ball()
    mesh = render.normalize(data.mesh)
    subject = render.Subject(render.one_sheet(mesh, data.bases[0], ("repeat", "clamp")), (64, 64), "cpu")
    engine = render.EmbreeVisibility(mesh.points, mesh.triangles, "cpu")
    cameras = [camera for camera, _ in zip(render.draw_cameras(method, np.random.default_rng(2)), range(2))]  # noqa: B905
    loss = Objective(stripes(), method, "cpu", weights=None)
    batch = loss.join(loss.targets(render.trace_views(subject, engine, cameras, method)))
    texture = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0)) * 0.4 - 0.2
    ours = subject.style_table(texture).requires_grad_()
    found = loss.backward(batch, ours, {"nnfm": 600.0, "content": 2.0})
    table = ours.detach().requires_grad_()
    losses = loss.view_losses(batch, table)
    assert list(losses) == list(found) == ["nnfm", "content"]
    (600.0 * losses["nnfm"] + 2.0 * losses["content"]).backward()
    torch.testing.assert_close(found, {name: value.detach() for name, value in losses.items()})
    torch.testing.assert_close(ours.grad, table.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dial", ["variety", "weights"])
def test_an_embedding_has_no_prices(dial: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is one feature, whose deviation, in which prices are, is NaN."""

    class Means:
        """A picture's mean colour."""

        smooth, strides = False, (64,)

        def __call__(self, images: torch.Tensor, rows: object = None) -> list[torch.Tensor]:
            return [images.mean((2, 3))]

    monkeypatch.setattr(objective, "load_embedding", lambda *_, **__: Means())
    style = dataclasses.replace(stripes(), weights=(2.0,) if dial == "weights" else ())
    method = dataclasses.replace(METHOD, style_loss="embedding", variety=0.5 if dial == "variety" else 0.0)
    assert Objective(style, method, "cpu", weights=None).prices() is None


def test_what_lies_on_a_border_does_not_count() -> None:
    """By hand: all object, 64 pixels, stride 4, a border of 8: 12 of 16 positions a side."""
    resolution = 64
    everything = torch.arange(resolution**2)
    taps = render.Taps(torch.zeros(len(everything), 8, dtype=torch.int32), torch.zeros(len(everything), 8))
    ones = torch.ones(len(everything), 1)
    view = render.View(resolution, 0, everything, 0.0, torch.zeros(len(everything), 3), taps, ones, ones)
    found = positions_of(view, 4, object_only=True, border=8)
    counted = torch.zeros(16 * 16).index_put_((found.rows,), found.weights).view(16, 16)
    expected = torch.zeros(16, 16)
    expected[2:14, 2:14] = 1
    assert torch.equal(counted, expected)
