"""Every encoder, an entry each: the weights, the network, its partner for the content, its loss weights.

A new encoder is one more entry, and a module with its network: `--encoder`, `--help`, `usdstylize
weights`, the presets and docs/encoders.md follow. ``timm:NAME`` is a network of timm, which needs no
entry. No torch here: a network's module is imported when the network is loaded.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usdstylize.errors import OptionsError

__all__ = ["ENCODERS", "Balance", "EncoderSpec", "WeightFile", "find", "register"]


@dataclass(frozen=True)
class WeightFile:
    """A file that holds an encoder's weights."""

    name: str
    sha256: str | None = None
    """Hexadecimal, of its bytes. None where any weights of the network serve: then a run records theirs."""


@dataclass(frozen=True)
class Balance:
    """The λs of style and content, by the names that `Method` has for them.

    The losses of one network are larger than those of another, so every encoder has its own.
    """

    nnfm_weight: float
    content_weight: float
    content_on_background: bool = False
    """Content is compared with the style image behind the object: where one network gives style and
    content, it then sees each render once instead of twice."""


@dataclass(frozen=True)
class EncoderSpec:
    """One encoder, all but the network.

    What the network's own module gives is not repeated here: the preprocessing of its images, the
    strides of its maps, and whether NNFM smooths its features (`usdstylize.encoders.Encoder`).
    """

    name: str
    """As `--encoder` takes it."""
    summary: str
    """What sets it apart, in a few words, for `--help`."""
    maps: str
    """Which layers of the network give the feature maps."""
    licence: str
    """The licence of the weights."""
    files: tuple[WeightFile, ...]
    """Any one of them serves. ``url`` leads to the first."""
    folders: Callable[[], tuple[Path, ...]]
    """Where the files may lie besides the folder of `--weights`, in the order of the search. A download
    without `--weights` goes to the first."""
    factory: str
    """``module:function``, which makes the network, an `Encoder` and `torch.nn.Module`, from the path of one
    of ``files``, whose bytes have been checked."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """More of them, which ``factory`` gets by name."""
    url: Callable[[], str] | None = None
    """The address of the first of ``files``. None where it cannot be downloaded."""
    in_package: bool = False
    """The weights come with the package, and are searched in ``folders`` alone."""
    reach: int = 24
    """Pixels: how far from a picture's edge features feel that it ends there. Half the receptive field of
    the coarsest map."""
    takes_bn_relu: bool = False
    """``factory`` has a keyword ``bn_relu``: maps behind batch norm and ReLU instead of before."""
    embedding: str | None = None
    """``module:function``, which makes from the same path and a side in pixels the network that describes a
    square picture of that side by one vector. None where there is none."""
    content_encoder: str | None = None
    """Name of the encoder that measures the content while this one carries the style; None: this one."""
    # The defaults are VGG16's: a start for another network, to be judged by eye.
    balance: Balance = Balance(600.0, 0.3, content_on_background=True)
    """Means over the object alone make a content loss about 1/0.27 as large as the mean over the whole
    picture that `paper` takes, hence the smaller content weight."""
    paper_balance: Balance = Balance(200.0, 1.0)
    """The same for the preset `paper`."""
    measured: bool = False
    """The λs of ``balance`` stand for others, which are measured on the network itself when a run is planned
    (`losses.balance`). `paper` keeps its own."""
    # The paper "had to tune the loss balance" of NNFM's rivals and gives no numbers; docs/paper.md says
    # what was tried with VGG16. A relative error needs about the same λ in any network.
    style_weights: Mapping[str, float] = field(default_factory=lambda: {"gram": 200.0})
    """λ of the style loss, by the losses other than NNFM that this encoder can serve."""

    @property
    def takes_any_weights(self) -> bool:
        """No file is known in advance; any file with the network's weights serves."""
        return all(file.sha256 is None for file in self.files)


_TIMM = "timm:"
_JUDGE = re.compile(rf"({_TIMM})?(bvlc_)?(googlenet|inception_?v1)(?![a-z0-9])", re.IGNORECASE)


def find(name: str) -> EncoderSpec:
    """The encoder of that name; of ``timm:NAME``, too, whatever NAME is: see `EncoderSpec.folders`.

    Raises OptionsError, which lists the known names, where there is none, and for the network that
    judges results.
    """
    _refuse_judge(name)
    if name.startswith(_TIMM):
        return _timm(name.removeprefix(_TIMM))
    if name not in ENCODERS:
        raise OptionsError(f"There is no encoder {name}; choose from {', '.join(ENCODERS)}, timm:NAME.")
    return ENCODERS[name]


def register(spec: EncoderSpec) -> None:
    """Add an encoder to `ENCODERS`, for this process.

    Raises OptionsError where its name is taken or the judge's. `--help` lists what is registered before
    `usdstylize.cli` is imported.
    """
    _refuse_judge(spec.name)
    if spec.name in ENCODERS:
        raise OptionsError(f"There is an encoder {spec.name} already; give the new one another name.")
    ENCODERS[spec.name] = spec


def _refuse_judge(name: str) -> None:
    if _JUDGE.match(name):
        raise OptionsError(
            f"{name} is GoogLeNet, which judges results and so must not make them; choose another encoder."
        )


# Where other programs keep the weights that they download


def _open_clip_cache() -> Path:
    """The cache of open_clip and of OpenAI's own clip."""
    return Path.home() / ".cache" / "clip"


def _torch_hub_cache() -> Path:
    """The cache of torch.hub, and so of torchvision."""
    home = os.environ.get("TORCH_HOME") or _cache_home() / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def _hugging_face_snapshots(repository: str) -> tuple[Path, ...]:
    """The cached revisions of a Hugging Face repository, newest first; or where they would be."""
    home = Path(os.environ.get("HF_HOME") or _cache_home() / "huggingface")
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    snapshots = hub / f"models--{repository.replace('/', '--')}" / "snapshots"
    if not snapshots.is_dir():
        return (snapshots,)
    found = sorted(snapshots.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    return tuple(found) or (snapshots,)


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser()


# The encoders


def _clip_url() -> str:
    from open_clip.pretrained import get_pretrained_url

    return str(get_pretrained_url("RN50", "openai"))


def _vgg16_url() -> str:
    from torchvision.models import VGG16_Weights

    return str(VGG16_Weights.IMAGENET1K_V1.url)


def _squeezenet_url() -> str:
    from torchvision.models import SqueezeNet1_1_Weights

    return str(SqueezeNet1_1_Weights.IMAGENET1K_V1.url)


_DRAFT = EncoderSpec(
    name="draft",
    summary="small, comes with the package",
    maps="heads that imitate VGG16's relu3_1, relu3_2, relu3_3",
    licence="Apache-2.0, as the package",
    files=(
        WeightFile(
            "draft_encoder.safetensors", "dd2bb61b0efd788f3bdde35ef428fc79850dd95fe631f589ed2f29b59229254e"
        ),
    ),
    folders=lambda: (Path(__file__).parent,),
    in_package=True,
    factory="usdstylize.encoders.draft:DraftEncoder.from_file",
    # Its strokes are a little weaker than VGG16's (docs/draft.md).
    balance=Balance(600.0, 0.15, content_on_background=True),
)

_CLIP_RN50 = EncoderSpec(
    name="clip-rn50",
    summary="the paper's network; nobody has judged it by eye",
    maps="conv2 of every bottleneck in layer3 and layer4, before batch norm",
    licence="MIT (OpenAI's CLIP)",
    files=(  # OpenAI's TorchScript archive, and the same weights as timm publishes them for open_clip
        WeightFile("RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
        WeightFile(
            "open_clip_model.safetensors", "da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee"
        ),
    ),
    folders=lambda: (_open_clip_cache(), *_hugging_face_snapshots("timm/resnet50_clip.openai")),
    url=_clip_url,
    factory="usdstylize.encoders.clip:ClipResNet50.from_file",
    reach=56,  # half of its receptive field would be most of a picture
    takes_bn_relu=True,
    embedding="usdstylize.encoders.embedding:ClipEmbedding.from_file",
    content_encoder="vgg16",
    balance=Balance(1e4, 18.0),
    measured=True,
    paper_balance=Balance(1e4, 22.0),
    style_weights={"gram": 200.0, "embedding": 200.0},
)

_VGG16 = EncoderSpec(
    name="vgg16",
    summary="strokes and lines",
    maps="relu3_1, relu3_2, relu3_3",
    licence="CC BY 4.0 (Simonyan & Zisserman's release)",
    files=(  # torchvision's IMAGENET1K_V1, and the original Caffe release up to conv3_3 in fp16
        WeightFile("vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
        WeightFile(
            "vgg16_features_fp16.safetensors",
            "1136c8e005c25f903428896269b28c7f0bb1d912f65c89167392fe2e9300efb4",
        ),
    ),
    folders=lambda: (_torch_hub_cache(),),
    url=_vgg16_url,
    factory="usdstylize.encoders.vgg16:Vgg16.from_file",
)

_SQUEEZENET = EncoderSpec(
    name="squeezenet",
    summary="SqueezeNet 1.1: dabs and short strokes, 5 MB",
    maps="fire2, fire3",  # with fire4 and fire5, at stride 8, dabs get fringes of false colours
    licence="BSD 2-clause (DeepScale's release)",
    files=(  # torchvision's IMAGENET1K_V1, and the original Caffe release in fp16, torchvision's names
        WeightFile(
            "squeezenet1_1-b8a52dc0.pth", "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b"
        ),
        WeightFile(
            "squeezenet1_1_fp16.safetensors",
            "48754d383ed5a196f369d896e21506a10c8d12959a912e595bb354ac9846b69a",
        ),
    ),
    folders=lambda: (_torch_hub_cache(),),
    url=_squeezenet_url,
    factory="usdstylize.encoders.squeezenet:SqueezeNet.from_file",
    reach=12,
    # Its features are smaller than VGG16's, so that a content loss of the same weight would be 1/60.
    balance=Balance(619.0, 20.7, content_on_background=True),
    measured=True,
    paper_balance=Balance(200.0, 60.0),
)


def _timm(network: str) -> EncoderSpec:
    return EncoderSpec(
        name=f"{_TIMM}{network}",
        measured=True,
        summary="a network of timm",
        maps="the deepest at each of the strides 4, 8 and 16",
        licence="as the author of the file gives it",
        files=tuple(map(WeightFile, (f"{network}.safetensors", f"{network}.pth", "model.safetensors"))),
        folders=lambda: _timm_snapshots(network),
        factory="usdstylize.encoders.timm_network:TimmNetwork.from_file",
        arguments={"name": network},
        reach=56,  # half of the receptive field at stride 16 is more in nearly all of them; as CLIP's
    )


def _timm_snapshots(network: str) -> tuple[Path, ...]:
    """Where the Hugging Face cache has timm's own weights.

    Raises OptionsError where timm has no such network, or is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise OptionsError(
            f"--encoder {_TIMM}{network} needs the package timm, which open_clip_torch installs; install it."
        ) from error
    known = [*timm.list_models(), *timm.list_pretrained()]
    if network not in known:
        near = ", ".join(f"{_TIMM}{name}" for name in difflib.get_close_matches(network, known))
        advice = f"did you mean {near}?" if near else "timm.list_models() in Python lists those that it has."
        raise OptionsError(f"timm has no network {network}; {advice}")
    settings = timm.get_pretrained_cfg(network)
    repository = settings.hf_hub_id if settings else None
    return _hugging_face_snapshots(repository) if repository else ()


ENCODERS: dict[str, EncoderSpec] = {spec.name: spec for spec in (_DRAFT, _CLIP_RN50, _VGG16, _SQUEEZENET)}
"""By name, in the order of `--help`; `register` adds to it."""
