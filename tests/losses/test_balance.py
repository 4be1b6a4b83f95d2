"""λs that are measured on a network: one ratio for all."""

import copy

import pytest
import torch
from real_weights import SHARED, needs_squeezenet, needs_vgg
from torch import Tensor, nn

from usdstylize.encoders import Encoder, load_encoder
from usdstylize.encoders.registry import ENCODERS
from usdstylize.encoders.squeezenet import SqueezeNet
from usdstylize.errors import WeightsError
from usdstylize.losses import balance, measured_weights

WEIGHTS = SHARED / "weights"


def measured(name: str) -> tuple[float, float]:
    encoder = load_encoder(name, device="cpu", dtype=torch.float32, folder=WEIGHTS)
    return measured_weights(encoder, encoder)


@needs_vgg
def test_vgg16_gets_what_was_chosen_for_it() -> None:
    chosen = ENCODERS["vgg16"].balance
    assert measured("vgg16") == pytest.approx((chosen.nnfm_weight, chosen.content_weight), rel=0.01)


@needs_squeezenet
def test_squeezenet_gets_what_a_search_by_the_judge_found() -> None:
    """docs/encoders.md: 600, and 18 for the content of features that are far smaller than VGG16's."""
    assert measured("squeezenet") == pytest.approx((600.0, 18.0), rel=0.2)


def test_the_package_has_a_network_that_imitates_vgg16_and_gets_about_its_weights() -> None:
    assert measured("draft") == pytest.approx((600.0, 0.3), rel=0.25)


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_weights_of_no_use_are_one_sentence(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    network = SqueezeNet(caffe=False)
    for weight in network.parameters():
        weight.data.fill_(value)
    monkeypatch.setattr(balance, "load_encoder", lambda *_, **__: network)
    with pytest.raises(WeightsError, match="weights of squeezenet are of no use"):
        balance.measure("squeezenet", "squeezenet", None)


class Louder(nn.Module):
    """A network whose features are so many times as large."""

    def __init__(self, encoder: Encoder, factor: float) -> None:
        super().__init__()
        self.encoder, self.factor = encoder, factor
        self.smooth, self.strides = encoder.smooth, encoder.strides

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [self.factor * rows for rows in self.encoder(pictures)]


def test_louder_features_need_less_weight_on_the_content_alone() -> None:
    """By hand: cosines do not change, squared differences grow by the square."""
    encoder = load_encoder("draft", device="cpu", dtype=torch.float32)
    nnfm, content = measured_weights(encoder, encoder)
    louder = Louder(copy.copy(encoder), 10.0)
    assert measured_weights(louder, louder) == pytest.approx((nnfm, content / 100), rel=0.01)
