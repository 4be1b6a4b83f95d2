"""The one command: pictures, teacher, training, held-out table, weights and model card."""

import hashlib
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from cyclopts import App
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from training.bank import Bank
from training.card import model_card
from training.distill import RunSettings, distill, map_cosines
from training.images import ManifestError, Source, load_image, read_manifest
from usdstylize.encoders.draft import Architecture, DraftEncoder
from usdstylize.encoders.loading import load_encoder, precision
from usdstylize.errors import UsdStylizeError, WeightsError

__all__ = ["SIZES", "app", "architecture_of", "save_student"]

SIZES: dict[str, Architecture] = {
    "small": Architecture(stem=16, width=48, blocks=(2, 1, 1)),
    "medium": Architecture(stem=24, width=64, blocks=(2, 1, 1)),
    "large": Architecture(stem=32, width=80, blocks=(3, 2, 2)),
}
_HELD_OUT_SIZE = 512

app = App(name="training", help="Make a draft encoder from a large network.")


@app.default
def main(
    *,
    out: Path,
    teacher: str = "vgg16",
    weights: Path | None = None,
    size: Literal["small", "medium", "large"] = "large",
    start_from: Path | None = None,
    steps: int = RunSettings.steps,
    learning_rate: float = RunSettings.learning_rate,
    seed: int = RunSettings.seed,
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
) -> int:
    """Train a student and write it with its card and its log; the exit code is 2 where nothing can be done.

    Parameters
    ----------
    out
        Folder for draft_encoder.safetensors, draft_encoder.md and training_log.json.
    teacher
        The network to imitate, by its name in `usdstylize.encoders.ENCODERS`.
    weights
        Folder of the teacher's weights.
    size
        Of the student.
    start_from
        Weights of the same size, to start from.
    steps
        Of training.
    learning_rate
        The greatest, after the warm-up.
    """
    started = time.perf_counter()
    recipe = RunSettings(steps=steps, learning_rate=learning_rate, seed=seed)
    progress: list[dict[str, object]] = []

    def report(step: int, loss: float, cosines: list[float]) -> None:
        seconds = time.perf_counter() - started
        progress.append({"step": step, "seconds": round(seconds, 1), "loss": loss, "cosines": cosines})
        shown = " ".join(f"{value:.4f}" for value in cosines)
        print(f"{step:6d}  {seconds:6.0f} s  loss {loss:.4f}  cosines {shown}", file=sys.stderr, flush=True)

    try:
        sources = read_manifest()
        student = _read_student(start_from) if start_from else None
        started_from = _sha256(start_from) if start_from else None
        network = load_encoder(teacher, device=device, dtype=precision(device), folder=weights)
        bank = Bank([load_image(s.path) for s in sources if not s.held_out], device, seed)
        architecture = architecture_of(network, SIZES[size], device)
        if student is None:
            student = DraftEncoder(architecture)
        elif student.architecture != architecture:
            raise WeightsError(f"{start_from} is not of the size {size}; name its own.")
        out.mkdir(parents=True, exist_ok=True)
        path = out / "draft_encoder.safetensors"
        student = distill(
            network,
            student,
            bank,
            recipe,
            device=device,
            report=report,
            keep=lambda found: save_student(found, path),
        )
    except (ManifestError, UsdStylizeError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2
    save_student(student, path)
    written = DraftEncoder.from_file(path).to(device).eval()
    exact = load_encoder(teacher, device=device, dtype=torch.float32, folder=weights)
    log = {
        "teacher": teacher,
        "size": size,
        "started_from": started_from,
        "recipe": asdict(recipe),
        "torch": torch.__version__,
        "parameters": sum(value.numel() for value in student.state_dict().values()),
        "bytes": path.stat().st_size,
        "sha256": _sha256(path),
        "seconds": round(time.perf_counter() - started, 1),
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "pictures": bank.count,
        "held_out_cosines": map_cosines(
            exact, written, {source.name: _whole(source, device) for source in sources if source.held_out}
        ),
        "progress": progress,
    }
    (out / "training_log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    (out / "draft_encoder.md").write_text(model_card(log, sources), encoding="utf-8")
    print(path)
    return 0


def _read_student(path: Path) -> DraftEncoder:
    """Raises WeightsError where the file holds none."""
    try:
        return DraftEncoder.from_file(path)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as problem:
        raise WeightsError(
            f"{path} holds no draft encoder ({problem}); give --start-from what a training wrote."
        ) from problem


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_student(student: DraftEncoder, path: Path) -> None:
    """In fp16, under a temporary name first."""
    state = {name: value.half().cpu().contiguous() for name, value in student.state_dict().items()}
    temporary = path.with_suffix(".tmp")
    save_file(state, temporary, metadata=student.metadata())
    temporary.replace(path)


def architecture_of(teacher: object, size: Architecture, device: str) -> Architecture:
    """A student of that size with the teacher's maps: their channels and strides, in the order of strides."""
    rows = teacher(torch.rand(1, 3, 64, 64, device=device))  # type: ignore[operator]
    channels = tuple(int(found.shape[1]) for found in rows)
    count = len(channels)
    return replace(
        size,
        blocks=(*size.blocks, *[1] * count)[:count],
        channels=channels,
        strides=tuple(teacher.strides),  # type: ignore[attr-defined]
        smooth=bool(teacher.smooth),  # type: ignore[attr-defined]
        rectified=all(float(found.min()) >= 0 for found in rows),
    )


def _whole(source: Source, device: str) -> Tensor:
    """(3, 512, 512) float, sRGB-encoded 0..1."""
    image = torch.from_numpy(load_image(source.path).copy()).to(device).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(image, (_HELD_OUT_SIZE,) * 2, mode="bilinear", antialias=True)[0]
