"""`--encoder timm:NAME` against timm's own networks; each network and each file that cannot serve."""

import json
import re
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import timm
import torch
from command_line import Command, is_refused
from safetensors.torch import save_file
from torch import Tensor, nn

from usdstylize import Options
from usdstylize.encoders import find, load_encoder, register, weights
from usdstylize.encoders.timm_network import TimmNetwork
from usdstylize.errors import OptionsError, WeightsError

SMALL = ["--texture-resolution", "64", "--iterations", "2", "--batch", "1"]
NETWORK = "test_convnext"


def random_network(name: str, seed: int = 0) -> nn.Module:
    """timm's own with random weights, batch norms far from the identity."""
    torch.manual_seed(seed)
    network = timm.create_model(name).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.running_mean.normal_(std=0.3)
            module.running_var.uniform_(0.5, 1.5)
        elif hasattr(module, "gamma"):  # ConvNeXt's, which begin at 1e-6
            nn.init.uniform_(module.gamma, 0.5, 1.5)
    return network


def saved(network: nn.Module, path: Path, *leave_out: str, **more: Tensor) -> Path:
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    path.parent.mkdir(exist_ok=True)
    save_file({name: value for name, value in {**state, **more}.items() if name not in leave_out}, path)
    return path


@pytest.fixture
def command(
    capfd: pytest.CaptureFixture[str],
    tiny_stage: Path,
    style_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """With an empty home, so that this machine's own caches play no part."""
    for name in ("USDSTYLIZE_WEIGHTS", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Command(capfd, tiny_stage, style_folder)


# Its maps


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("test_convnext", ["stages.0", "stages.1", "stages.2"]),  # a convolution of 4 × 4 first: no stride 2
        ("test_resnet", ["layer1", "layer2", "layer3"]),
        ("test_efficientnet", ["blocks.1", "blocks.2", "blocks.3"]),
        ("test_mambaout", ["stages.0", "stages.1", "stages.2"]),  # channels last
    ],
)
def test_the_maps_are_those_of_timms_own_network(name: str, layers: list[str], tmp_path: Path) -> None:
    """Caught while it classifies a picture, at strides 4, 8 and 16."""
    network = random_network(name)
    ours = load_encoder(
        f"timm:{name}",
        device="cpu",
        dtype=torch.float32,
        folder=saved(network, tmp_path / "any.safetensors"),
    )
    caught: list[Tensor] = []
    for layer in layers:
        network.get_submodule(layer).register_forward_hook(lambda m, i, out: caught.append(out.detach()))
    images = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    settings = network.pretrained_cfg
    mean, deviation = (torch.tensor(settings[each]).view(3, 1, 1) for each in ("mean", "std"))
    with torch.no_grad():
        network((images - mean) / deviation)
        found = ours(images)
    assert ours.strides == (4, 8, 16)
    for mine, theirs, stride in zip(found, caught, ours.strides, strict=True):
        theirs = theirs if name == "test_mambaout" else theirs.permute(0, 2, 3, 1)
        assert theirs.shape[:3] == (2, 96 // stride, 128 // stride)
        torch.testing.assert_close(mine, theirs.flatten(0, 2), rtol=1e-4, atol=1e-4)


def test_a_file_of_other_number_format_names_and_head_serves(tmp_path: Path) -> None:
    """As PyTorch saves a checkpoint of fine-tuning: nested, half precision, with classes of its own."""
    network = random_network("test_resnet")
    expected = TimmNetwork.from_file(saved(network, tmp_path / "plain.safetensors"), name="test_resnet")
    state = {name: value.half() for name, value in network.state_dict().items()}
    state["fc.weight"], state["fc.bias"] = torch.zeros(7, 192), torch.zeros(7)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "tuned.pth")
    tuned = TimmNetwork.from_file(tmp_path / "tuned.pth", name="test_resnet")
    for mine, theirs in zip(tuned.network.parameters(), expected.network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


def test_a_name_with_a_tag_has_the_tags_own_mean_and_deviation() -> None:
    torch.manual_seed(0)
    zeros = torch.zeros(1, 3, 32, 32)
    tagged = TimmNetwork("convnext_base.clip_laion2b")
    assert tagged._standardize(zeros).flatten()[0].item() == pytest.approx(-0.48145466 / 0.26862954)


# Where its file is


def test_a_file_is_found_by_name_in_the_folder_and_in_the_hugging_face_cache(
    command: Command, tmp_path: Path
) -> None:
    import huggingface_hub

    hub = tmp_path / "home" / ".cache" / "huggingface" / "hub"
    folder = hub / "models--timm--resnet18.a1_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    cached = folder / "snapshots" / "abc" / "model.safetensors"
    cached.parent.mkdir(parents=True)
    cached.touch()
    found = huggingface_hub.try_to_load_from_cache("timm/resnet18.a1_in1k", cached.name, cache_dir=hub)
    assert weights.locate("timm:resnet18", None) == Path(str(found)) == cached
    own = tmp_path / "own" / "resnet18.pth"
    own.parent.mkdir()
    own.touch()
    assert weights.locate("timm:resnet18", own.parent) == own
    assert weights.locate("timm:resnet18.tv_in1k", own) == own, "a file of any name, where it is given itself"


# What cannot serve


@pytest.mark.parametrize(
    ("encoder", "words"),
    [
        ("timm:convnext_tini", "timm has no network convnext_tini; did you mean timm:convnext_tiny"),
        ("timm:resnet18.nowhere", "timm has no network resnet18.nowhere; did you mean timm:resnet18"),
        ("timm:zzz", "timm has no network zzz; timm.list_models() in Python lists those that it has."),
        ("timm:", "timm has no network ;"),
        ("timm:vit_tiny_patch16_224", "has no feature maps at a quarter or an eighth"),
        ("timm:swin_tiny_patch4_window7_224", "takes pictures of one size alone; choose a convolutional"),
        ("timm:halonet26t", "timm:halonet26t has no maps of every picture's size"),
        ("timm:inception_v4", "has maps whose sizes are not the picture's divided by 4, 8, 16"),
        ("timm:googlenet", "timm:googlenet is GoogLeNet, which judges results"),
        ("googlenet", "googlenet is GoogLeNet, which judges results and so must not make them"),
        ("timm:inception_v1.any", "is GoogLeNet, which judges results"),
    ],
)
def test_a_network_that_cannot_serve_is_refused_before_anything_is_written(
    command: Command, tmp_path: Path, encoder: str, words: str
) -> None:
    file = tmp_path / "any.safetensors"
    file.touch()
    before = set(command.stage.parent.rglob("*"))
    for more in ([], ["--dry-run"]):
        assert command.stylize("--encoder", encoder, "--weights", file, *more) == 2
        is_refused(command, [], "OptionsError", words)
    assert set(command.stage.parent.rglob("*")) == before


def test_other_inceptions_are_not_the_judge() -> None:
    for name in ("timm:inception_v3", "timm:inception_v4", "timm:inception_next_tiny"):
        assert find(name).name == name


def test_nobody_registers_the_judge() -> None:
    from dataclasses import replace

    with pytest.raises(OptionsError, match="googlenet_bvlc is GoogLeNet, which judges results"):
        register(replace(find("vgg16"), name="googlenet_bvlc"))


def test_a_file_of_another_network_is_refused_with_the_first_weight_that_differs(
    command: Command, tmp_path: Path
) -> None:
    convnext = random_network(NETWORK)
    resnet = saved(random_network("test_resnet"), tmp_path / "a" / "test_convnext.safetensors")
    other = torch.zeros(3, 2)
    lacking = saved(convnext, tmp_path / "b.safetensors", "stages.1.blocks.0.conv_dw.bias")
    wider = saved(convnext, tmp_path / "c.safetensors", **{"stem.1.bias": other})
    more = saved(convnext, tmp_path / "d.safetensors", **{"stages.9.norm.weight": other})
    for given, file, difference in (
        (resnet.parent, resnet, "stem.0.weight is missing"),
        (lacking, lacking, "stages.1.blocks.0.conv_dw.bias is missing"),
        (wider, wider, "stem.1.bias is 3 x 2 instead of 24"),
        (more, more, "stages.9.norm.weight is not part of it"),
    ):
        assert command.stylize("--encoder", f"timm:{NETWORK}", "--weights", given, "--dry-run") == 2
        is_refused(
            command, [], "WeightsError", f"{file} holds another network than timm:{NETWORK}: {difference};"
        )


def test_a_file_that_is_none_is_refused(command: Command, tmp_path: Path) -> None:
    for name, content in (("a.safetensors", b"nothing"), ("b.pth", b"nothing"), ("c.pth", b"")):
        file = tmp_path / name
        file.write_bytes(content)
        assert command.stylize("--encoder", f"timm:{NETWORK}", "--weights", file) == 2
        is_refused(command, [], "WeightsError", f"{file} cannot be read as weights (")


def test_a_file_runs_no_code(command: Command, tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    file = tmp_path / "weights.pth"
    torch.save({"stem.0.weight": Code()}, file)
    assert command.stylize("--encoder", f"timm:{NETWORK}", "--weights", file) == 2
    is_refused(command, [], "WeightsError", f"{file} cannot be read as weights (")
    assert not (tmp_path / "ran").exists()


def test_missing_weights_name_the_files_and_folders(command: Command, tmp_path: Path) -> None:
    assert command.stylize("--encoder", f"timm:{NETWORK}", "--weights", tmp_path / "nowhere") == 2
    is_refused(command, [], "WeightsError", f"{tmp_path / 'nowhere'} is not a folder")
    (tmp_path / "empty").mkdir()
    assert command.stylize("--encoder", f"timm:{NETWORK}", "--weights", tmp_path / "empty") == 2
    names = f"no {NETWORK}.safetensors or {NETWORK}.pth or model.safetensors in {tmp_path / 'empty'}, "
    is_refused(command, [], "WeightsError", names)
    assert f"models--timm--{NETWORK}" in command.err
    assert command.err.endswith("name their file or its folder with `--weights`.\n")


def test_a_file_is_only_for_a_network_without_a_known_one(tmp_path: Path) -> None:
    file = saved(random_network(NETWORK), tmp_path / "any.safetensors")
    with pytest.raises(WeightsError, match=re.escape(f"{file} is not a folder; --weights takes the folder")):
        weights.locate("vgg16", file)


def test_without_timm_the_sentence_says_what_to_install(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    assert command.stylize("--encoder", f"timm:{NETWORK}") == 2
    is_refused(command, [], "OptionsError", f"--encoder timm:{NETWORK} needs the package timm")


# A run


def test_a_run_records_its_weights_and_verifies_and_a_resume_with_others_says_so(
    command: Command, tmp_path: Path
) -> None:
    files = [
        saved(random_network(NETWORK, seed), tmp_path / f"{seed}" / f"{NETWORK}.safetensors")
        for seed in (1, 2)
    ]
    first, second = (sha256(file.read_bytes()).hexdigest() for file in files)
    encoder = ["--encoder", f"timm:{NETWORK}", *SMALL]
    assert command.stylize(*encoder, "--weights", files[0], "--mask", "/World/Left") == 0, command.err
    assert f"(encoder timm:{NETWORK})" in command.err
    run = next(command.stage.parent.rglob("run.json"))
    settings = json.loads(run.read_text())["plan"]["settings"]
    assert (settings["encoder"], settings["content_encoder"]) == (f"timm:{NETWORK}",) * 2
    assert settings["weights_sha256"] == first
    assert settings["border"] == 56
    assert command.run("verify", command.root_layer) == 0, command.out

    assert command.stylize(*encoder, "--weights", files[1].parent, "--resume", "--json") == 0, command.err
    (remark,) = json.loads(command.out)["plan"]["remarks"]
    assert "with other settings (nnfm weight " in remark
    assert f", weights sha256 {first} (now {second})); --force" in remark


def test_a_plan_shows_the_hash_and_other_encoders_have_none(command: Command, tmp_path: Path) -> None:
    file = saved(random_network(NETWORK), tmp_path / "any.safetensors")
    assert command.stylize("--encoder", f"timm:{NETWORK}", "--weights", file, "--dry-run", "--json") == 0
    settings = json.loads(command.out)["plan"]["settings"]
    assert settings["weights_sha256"] == sha256(file.read_bytes()).hexdigest()
    assert command.stylize("--dry-run", "--json") == 0
    assert "weights_sha256" not in json.loads(command.out)["plan"]["settings"]


def test_a_weight_decides_what_the_network_sees(tmp_path: Path) -> None:
    """The file is read, and not only checked: other weights are other features."""
    images = torch.rand(1, 3, 64, 64)
    found = []
    for seed in (1, 2):
        path = saved(random_network(NETWORK, seed), tmp_path / f"{seed}.safetensors")
        found.append(TimmNetwork.from_file(path, name=NETWORK).eval()(images)[0])
    assert not torch.allclose(*found)


def test_options_take_any_timm_name_without_importing_it() -> None:
    """Which networks timm has is found out by the plan: timm takes seconds to import."""
    assert Options(encoder="timm:no_such_network").encoder == "timm:no_such_network"
