"""Network weights: where their files lie, whether they are the right ones, and how to get them.

No torch here: `usdstylize weights` and a missing file are told in a moment. Nothing is ever
downloaded but by `fetch`.
"""

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from usdstylize.config.presets import PRESETS
from usdstylize.errors import WeightsError

__all__ = ["NETWORKS", "WeightStatus", "fetch", "locate", "report"]

NetworkName = Literal["clip-rn50", "vgg16", "draft"]
NETWORKS: tuple[NetworkName, ...] = ("draft", "clip-rn50", "vgg16")
ENVIRONMENT_VARIABLE = "USDSTYLIZE_WEIGHTS"

Progress = Callable[[int, int | None], None]
"""Told the bytes received so far, and their total where the server says it."""


@dataclass(frozen=True)
class WeightFile:
    """A file that holds one network's weights. ``sha256`` is hexadecimal, of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True)
class WeightStatus:
    """What `report` says of one network."""

    name: NetworkName
    presets: tuple[str, ...]
    """Presets that need it without further options."""
    state: Literal["ok", "missing", "refused"]
    """``refused``: a file of that name holds other bytes."""
    path: Path | None
    """The file that was found; None where it is missing."""
    problem: str | None
    """Why it cannot be used, in one sentence; None where it can."""
    searched: tuple[Path, ...]


# The first file of a network is its original, which `fetch` downloads.
_FILES: dict[NetworkName, tuple[WeightFile, ...]] = {
    # OpenAI's TorchScript archive, and the same weights as timm publishes them for open_clip.
    "clip-rn50": (
        WeightFile("RN50.pt", "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
        WeightFile(
            "open_clip_model.safetensors", "da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee"
        ),
    ),
    # torchvision's IMAGENET1K_V1, and the original Caffe release from conv1_1 to conv3_3 in fp16.
    "vgg16": (
        WeightFile("vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
        WeightFile(
            "vgg16_features_fp16.safetensors",
            "1136c8e005c25f903428896269b28c7f0bb1d912f65c89167392fe2e9300efb4",
        ),
    ),
    "draft": (
        WeightFile(
            "draft_encoder.safetensors", "dd2bb61b0efd788f3bdde35ef428fc79850dd95fe631f589ed2f29b59229254e"
        ),
    ),
}


def locate(name: NetworkName, folder: Path | None) -> Path:
    """The verified weight file of a network, the first found of those `searched_folders` gives.

    Raises WeightsError where there is none, where a file with the right name holds other
    bytes, and where ``folder`` does not exist.
    """
    if folder is not None and not folder.is_dir():
        raise WeightsError(f"{folder} is not a folder; --weights takes the folder of the weight files.")
    found = _find(name, searched_folders(name, folder))
    if found is not None:
        path, file = found
        _check(path, file)
        return path
    names = " or ".join(file.name for file in _FILES[name])
    places = ", ".join(map(str, searched_folders(name, folder)))
    if name == "draft":
        raise WeightsError(f"The package lacks its own {names} in {places}; install usdstylize again.")
    raise WeightsError(
        f"The weights of {name} are missing: no {names} in {places}; fetch them with `usdstylize weights "
        "--fetch`, name their folder with `--weights DIR`, or use `--preset draft`, which needs none."
    )


def searched_folders(name: NetworkName, folder: Path | None) -> tuple[Path, ...]:
    """Where `locate` looks, in order; the draft encoder is part of the package."""
    if name == "draft":
        return (Path(__file__).parent,)
    own = folder or os.environ.get(ENVIRONMENT_VARIABLE)
    first = (Path(own),) if own else ()
    if name == "clip-rn50":
        return (*first, _open_clip_cache(), *_hugging_face_snapshots("timm/resnet50_clip.openai"))
    return (*first, _torch_hub_cache())


def _find(name: NetworkName, places: Iterable[Path]) -> tuple[Path, WeightFile] | None:
    """The first file with a right name, its bytes unread."""
    for place in places:
        for file in _FILES[name]:
            path = place / file.name
            if os.path.isfile(path):  # unlike Path.is_file, False for a folder that may not be entered
                return path, file
    return None


def report(folder: Path | None) -> tuple[WeightStatus, ...]:
    """What each network needs, and whether it is there.

    Raises WeightsError where ``folder`` does not exist.
    """
    if folder is not None and not folder.is_dir():
        raise WeightsError(f"{folder} is not a folder; --weights takes the folder of the weight files.")
    return tuple(_status(name, folder) for name in NETWORKS)


def fetch(name: NetworkName, folder: Path | None, progress: Progress | None = None) -> Path:
    """The weights in ``folder``, or where `locate` finds them, downloaded if they are not there.

    What is downloaded is the network's original file; without a folder it goes to the cache of
    the library it belongs to. A file that is there and wrong is refused, never replaced.

    Raises WeightsError where the download fails, arrives incomplete or altered, or cannot be written.
    """
    found = _find(name, searched_folders(name, None) if folder is None or name == "draft" else (folder,))
    if found is not None:
        _check(*found)
        return found[0]
    if name == "draft":
        return locate(name, None)
    file = _FILES[name][0]
    target = (folder or (_open_clip_cache() if name == "clip-rn50" else _torch_hub_cache())) / file.name
    url = _url(name)
    temporary = target.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = temporary.open("wb")
    except OSError as error:
        raise WeightsError(f"{target} cannot be written ({error.strerror}); give another folder.") from error
    try:
        with stream:
            _download(url, stream.write, progress)
        _check(temporary, file, source=url)
        temporary.replace(target)
    except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"{url} could not be downloaded to {target.parent} ({reason}); try again, or fetch it on another "
            "machine and name its folder with `--weights DIR`."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _status(name: NetworkName, folder: Path | None) -> WeightStatus:
    presets = tuple(
        preset for preset, method in PRESETS.items() if name in (method.encoder, method.content_encoder)
    )
    searched = searched_folders(name, folder)
    found = _find(name, searched)
    path = found[0] if found else None
    try:
        locate(name, folder)
    except WeightsError as error:
        return WeightStatus(name, presets, "refused" if found else "missing", path, str(error), searched)
    return WeightStatus(name, presets, "ok", path, None, searched)


def _check(path: Path, file: WeightFile, *, source: str | None = None) -> None:
    """Raises WeightsError unless ``path`` holds the very bytes that ``file`` describes."""
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check the file.") from error
    if found != file.sha256:
        raise WeightsError(
            f"{source or path} is not the {file.name} expected: its sha256 is {found}, not {file.sha256}; "
            + ("nothing was kept." if source else "remove it and fetch it again.")
        )


def _download(url: str, write: Callable[[bytes], object], progress: Progress | None) -> None:
    opener = urllib.request.build_opener()  # urlopen would keep the proxies of its first call
    with opener.open(url, timeout=30) as response:
        length = response.headers.get("Content-Length")
        total, received = int(length) if length else None, 0
        while block := response.read(1 << 20):
            write(block)
            received += len(block)
            if progress is not None:
                progress(received, total)
    if total is not None and received != total:
        raise OSError(f"the connection broke after {received} of {total} bytes")


def _url(name: NetworkName) -> str:
    """Where the library that a network belongs to has its weights; the library is asked, so slow."""
    if name == "clip-rn50":
        from open_clip.pretrained import get_pretrained_url

        return str(get_pretrained_url("RN50", "openai"))
    from torchvision.models import VGG16_Weights

    return str(VGG16_Weights.IMAGENET1K_V1.url)


def _open_clip_cache() -> Path:
    """Where open_clip and OpenAI's own clip keep downloads."""
    return Path.home() / ".cache" / "clip"


def _torch_hub_cache() -> Path:
    """Where torch.hub, and so torchvision, keeps downloads."""
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
