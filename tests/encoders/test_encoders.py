"""Encoders against the networks they stand for: open_clip's and torchvision's own modules."""

import copy
import warnings
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from real_weights import SQUEEZENET_WEIGHTS, VGG_WEIGHTS, needs_squeezenet, needs_vgg
from safetensors.torch import load_file, save_file
from torchvision.models import squeezenet1_1, vgg16

from usdstylize.encoders import weights
from usdstylize.encoders.clip import ClipResNet50
from usdstylize.encoders.draft import DraftEncoder
from usdstylize.encoders.embedding import ClipEmbedding
from usdstylize.encoders.loading import load_encoder
from usdstylize.encoders.squeezenet import SqueezeNet
from usdstylize.encoders.timm_network import TimmNetwork
from usdstylize.encoders.vgg16 import Vgg16


def pictures(size: int = 96) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def random_clip():
    """open_clip's own RN50 with random weights, its batch norms far from the identity."""
    torch.manual_seed(0)
    model = open_clip.create_model("RN50", pretrained=None).eval()
    for module in model.visual.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 1.5)
    return model


def hooked(model, layer: str, images: torch.Tensor) -> list[torch.Tensor]:
    """What open_clip's own forward pass sends through ``layer`` of layer3's and layer4's blocks."""
    caught: list[torch.Tensor] = []
    handles = [
        getattr(block, layer).register_forward_hook(lambda m, i, out: caught.append(out.detach().clone()))
        for stage in (model.visual.layer3, model.visual.layer4)
        for block in stage
    ]
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    with torch.no_grad():
        model.encode_image((images - mean) / deviation)
    for handle in handles:
        handle.remove()
    return caught


def rows_of(maps: list[torch.Tensor]) -> list[torch.Tensor]:
    return [m.permute(0, 2, 3, 1).reshape(-1, m.shape[1]) for m in maps]


@pytest.mark.parametrize(("bn_relu", "layer"), [(False, "conv2"), (True, "act2")])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_clip_features_equal_open_clip(random_clip, tmp_path, bn_relu, layer, suffix):
    """224² since open_clip's own pass ends in an attention pool that takes no other size."""
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":  # OpenAI's own format: a TorchScript archive of the whole model
        with warnings.catch_warnings(action="ignore"):
            torch.jit.save(torch.jit.trace(Wrapped(random_clip.visual), pictures(224)), path)
    else:
        save_file({k: v.clone().contiguous() for k, v in random_clip.state_dict().items()}, path)
    images = pictures(224)
    expected = rows_of(hooked(random_clip, layer, images))
    with torch.no_grad():
        ours = ClipResNet50.from_file(path, bn_relu=bn_relu)(images)
    assert [tuple(o.shape) for o in ours] == [tuple(e.shape) for e in expected]
    assert len(ours) == 9
    for mine, theirs in zip(ours, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_the_clip_embedding_is_open_clips_own(random_clip, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({k: v.clone().contiguous() for k, v in random_clip.state_dict().items()}, path)
    model = ClipEmbedding.from_file(path)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    images = pictures(224)
    with torch.no_grad():
        expected = random_clip.encode_image((images - mean) / deviation)
        (ours,) = model(images)
        (second,) = model(images, [torch.tensor([1])])
    assert ours.shape == (2, 1024)
    torch.testing.assert_close(second, ours[1:])
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_a_larger_picture_is_embedded_as_clips_own_preprocessing_does():
    """What arrives at the network: random weights give every picture about the same embedding."""
    from PIL import Image

    levels = np.random.default_rng(0).integers(64, 192, (64, 64, 3), dtype=np.uint8)
    picture = Image.fromarray(levels).resize((512, 512), Image.Resampling.BICUBIC)
    prepare = open_clip.image_transform(
        224, is_train=False, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD
    )
    model = ClipEmbedding()
    arrived: list[torch.Tensor] = []
    model.visual.conv1.register_forward_pre_hook(lambda module, given: arrived.append(given[0]))
    with torch.no_grad():
        model(torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)[None])
    # Pillow rounds to 8 bits, a level of which is 0.015 here
    torch.testing.assert_close(arrived[0][0], prepare(picture), rtol=0, atol=0.016)


class Wrapped(torch.nn.Module):
    """Gives the weights the names that OpenAI's archive has: ``visual.…``."""

    def __init__(self, visual):
        super().__init__()
        self.visual = visual

    def forward(self, images):
        return self.visual(images)


@pytest.mark.parametrize(("bn_relu", "layer"), [(False, "conv2"), (True, "act2")])
def test_clips_gradient_to_the_image_equals_open_clips_in_float64(random_clip, bn_relu, layer):
    visual = copy.deepcopy(random_clip.visual).double()
    images = pictures(64).double().requires_grad_()
    caught: list[torch.Tensor] = []
    for stage in (visual.layer3, visual.layer4):
        for block in stage:
            # a copy, since the ReLU behind a batch norm works in place
            getattr(block, layer).register_forward_hook(lambda m, i, out: caught.append(out.clone()))
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN).view(1, 3, 1, 1)
    deviation = torch.tensor(open_clip.OPENAI_DATASET_STD).view(1, 3, 1, 1)
    x = visual.stem((images - mean) / deviation)
    visual.layer4(visual.layer3(visual.layer2(visual.layer1(x))))
    model = ClipResNet50(bn_relu=bn_relu, state=visual.state_dict())
    compare_gradients(model, caught, images)


def compare_gradients(
    model: torch.nn.Module, expected: list[torch.Tensor], images: torch.Tensor, *, padded: bool = True
) -> None:
    """Rows and image gradient of ``model`` against the maps of a graph that begins at ``images``.

    All in float64: a ReLU that float32 turns over is no error, and shows in a gradient.
    """
    wanted = [torch.arange(0, m.shape[0] * m.shape[2] * m.shape[3], 3) for m in expected]
    reference = [rows[where] for rows, where in zip(rows_of(expected), wanted, strict=True)]
    generator = torch.Generator().manual_seed(1)
    given = [torch.randn(rows.shape, generator=generator).double() for rows in reference]
    (theirs,) = torch.autograd.grad(reference, images, given)
    if padded:  # as a batch of fixed size is: by a position that is there already, and no gradient
        wanted = [torch.cat([where, where[:1]]) for where in wanted]
        given = [torch.cat([g, torch.zeros_like(g[:1])]) for g in given]
    mine = images.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    features = model.double()(mine, wanted)
    for found, rows in zip(features, reference, strict=True):
        torch.testing.assert_close(found[: len(rows)], rows, rtol=1e-7, atol=1e-7 * rows.abs().max().item())
    torch.autograd.backward(features, given)
    assert mine.grad is not None
    torch.testing.assert_close(mine.grad, theirs, rtol=1e-6, atol=1e-6 * theirs.abs().max().item())


def test_raw_clip_features_are_not_those_after_the_relu(random_clip):
    raw = hooked(random_clip, "conv2", pictures(224))
    assert all((feature < 0).any() for feature in raw)


def test_vgg16_features_equal_torchvision(tmp_path):
    torch.manual_seed(0)
    network = vgg16(weights=None).eval()
    path = tmp_path / "vgg16.pth"
    torch.save(network.state_dict(), path)
    images = pictures()
    caught: list[torch.Tensor] = []
    for index in (11, 13, 15):
        network.features[index].register_forward_hook(lambda m, i, out: caught.append(out.detach().clone()))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        network.features((images - mean) / deviation)
        ours = Vgg16.from_file(path)(images)
    for mine, theirs in zip(ours, rows_of(caught), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_vgg16s_gradient_to_the_image_equals_torchvisions_in_float64(tmp_path):
    torch.manual_seed(0)
    network = vgg16(weights=None).eval().double()
    images = pictures(64).double().requires_grad_()
    caught: list[torch.Tensor] = []
    for index in (11, 13, 15):
        network.features[index].register_forward_hook(lambda m, i, out: caught.append(out.clone()))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    network.features((images - mean) / deviation)
    compare_gradients(Vgg16(caffe=False, state=network.state_dict()), caught, images)


def test_a_second_way_back_is_an_error_and_not_a_wrong_gradient():
    images = pictures(32).requires_grad_()
    (rows, *_) = Vgg16(caffe=False)(images)
    rows.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second time"):
        rows.sum().backward()


@needs_vgg
def test_real_vgg16_gets_the_preprocessing_it_was_trained_with():
    """The original release: BGR, 0..255, mean subtracted; written out here in float64."""
    state = {name: value.double() for name, value in load_file(VGG_WEIGHTS).items()}
    images = pictures(64)
    mean = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64).view(1, 3, 1, 1)
    x = images.double()[:, [2, 1, 0]] * 255 - mean
    expected = []
    for index in (0, 2, 5, 7, 10, 12, 14):
        if index in (5, 10):
            x = F.max_pool2d(x, 2)
        x = F.conv2d(x, state[f"features.{index}.weight"], state[f"features.{index}.bias"], padding=1).relu()
        if index >= 10:
            expected.append(x / 57.6)
    with torch.no_grad():
        ours = Vgg16.from_file(VGG_WEIGHTS)(images)
    for mine, theirs in zip(ours, rows_of(expected), strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-3, atol=1e-3)


def squeezenet_maps(network: torch.nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """torchvision's, whose first convolution has no padding: standardised images get it here."""
    caught: list[torch.Tensor] = []
    handles = [
        network.features[index].register_forward_hook(lambda m, i, out: caught.append(out))
        for index in (3, 4)
    ]
    network.features(F.pad(images, (1, 1, 1, 1)))
    for handle in handles:
        handle.remove()
    return caught


def test_squeezenets_features_and_gradient_equal_torchvisions_in_float64(tmp_path):
    torch.manual_seed(0)
    network = squeezenet1_1(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "squeezenet.pth")
    images = pictures(64).double().requires_grad_()
    mean = torch.tensor([0.485, 0.456, 0.406]).double().view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).double().view(1, 3, 1, 1)
    expected = squeezenet_maps(network.double(), (images - mean) / deviation)
    model = SqueezeNet.from_file(tmp_path / "squeezenet.pth").requires_grad_(False)
    assert [m.shape[2] for m in expected] == [64 // stride for stride in model.strides]
    compare_gradients(model, expected, images, padded=False)


@needs_squeezenet
def test_real_squeezenet_gets_the_preprocessing_it_was_trained_with():
    """The original release: BGR, 0..255, mean subtracted."""
    network = squeezenet1_1(weights=None).eval()
    network.load_state_dict({name: value.float() for name, value in load_file(SQUEEZENET_WEIGHTS).items()})
    images = pictures(64)
    mean = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = squeezenet_maps(network, images[:, [2, 1, 0]] * 255 - mean)
        ours = load_encoder(
            "squeezenet", device="cpu", dtype=torch.float32, folder=SQUEEZENET_WEIGHTS.parent
        )(images)
    for mine, theirs in zip(ours, rows_of(expected), strict=True):
        torch.testing.assert_close(mine, theirs / 57.6, rtol=1e-3, atol=1e-3)


@needs_vgg
def test_the_draft_encoder_imitates_vgg16():
    """On our own gouache, which its training has not seen."""
    from PIL import Image

    folder = Path(__file__).resolve().parents[2] / "sample_stages" / "styles" / "gouache"
    picture = Image.open(sorted(folder.iterdir())[0]).convert("RGB").resize((256, 256))
    images = torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)[None]
    draft = load_encoder("draft", device="cpu", dtype=torch.float32)
    with torch.no_grad():
        pairs = zip(draft(images), Vgg16.from_file(VGG_WEIGHTS)(images), strict=True)
        cosines = [F.cosine_similarity(a, b, dim=1).mean().item() for a, b in pairs]
    assert min(cosines) > 0.85, cosines


@pytest.mark.parametrize(
    "build",
    [
        DraftEncoder,
        lambda: Vgg16(caffe=True),
        ClipResNet50,
        lambda: SqueezeNet(caffe=True),
        lambda: TimmNetwork("test_convnext"),
    ],
)
def test_asking_for_some_positions_gives_those_rows_and_their_gradient(build):
    torch.manual_seed(0)
    model = build().eval().requires_grad_(False)
    images = pictures(64).requires_grad_()
    everything = model(images)
    sizes = [2 * (64 // stride) ** 2 for stride in model.strides]
    assert [len(rows) for rows in everything] == sizes
    wanted = [torch.arange(0, size, 3) for size in sizes]
    some = model(images, wanted)
    for rows, full, where in zip(some, everything, wanted, strict=True):
        torch.testing.assert_close(rows, full[where], rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(sum(rows.square().sum() for rows in some), images)
    full_loss = sum(full[where].square().sum() for full, where in zip(everything, wanted, strict=True))
    (reference,) = torch.autograd.grad(full_loss, images)
    torch.testing.assert_close(gradient, reference, rtol=1e-3, atol=1e-5 * reference.abs().max().item())


def test_the_draft_encoder_needs_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("USDSTYLIZE_WEIGHTS", raising=False)
    assert weights.locate("draft", None).is_file()
