"""Which draft encoder? Every candidate against VGG16: the judge's scores and pictures.

python -m benchmarks.encoders CANDIDATE.safetensors … --subject STAGE:/PRIM … --style IMAGE_OR_FOLDER …

Each encoder stylises each subject in each style at the `draft` preset's own settings.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from cyclopts import App
from PIL import Image

from benchmarks.judge_network import DEFAULT_WEIGHTS, GoogLeNet
from benchmarks.scores import Scores, judge_all, judge_cameras
from usdstylize import Options, optimize, render, styles
from usdstylize.config.method import Method
from usdstylize.config.options import StageOptions
from usdstylize.config.presets import PRESETS, resolve
from usdstylize.encoders.draft import DraftEncoder
from usdstylize.encoders.loading import Encoder
from usdstylize.losses import objective
from usdstylize.model.objects import ObjectData, StageObject, StyleSet
from usdstylize.usd import read

__all__ = ["main"]

_PICTURE = 3
"""Which of the judge's cameras the pictures are taken with."""

app = App(name="benchmarks.encoders", help="Draft encoders against VGG16, by the judge.")


@app.default
def main(
    *candidates: Path,
    subject: list[str],
    style: list[Path],
    out: Path,
    vgg16: bool = True,
    weights: Path | None = None,
    judge_weights: Path = DEFAULT_WEIGHTS,
    iterations: int | None = None,
    device: str = "cuda",
    seed: int = 0,
) -> int:
    """Write scores.json and a contact sheet per subject into ``out``.

    Parameters
    ----------
    candidates
        Files that `python -m training` has written; each goes by its folder's name.
    subject
        A stage and one of its objects, ``stage.usda:/World/Cow``.
    style
        An image or a folder of images.
    out
        Folder of the results.
    vgg16
        Stylise with VGG16, too.
    weights
        Folder of VGG16's weights.
    iterations
        Fewer or more than the preset's.
    """
    names = [*(["vgg16"] if vgg16 else []), *(path.parent.name for path in candidates)]
    if len(set(names)) < len(names):
        sys.exit("Candidates go by their folders' names, of which two are alike; rename one of the folders.")
    out.mkdir(parents=True, exist_ok=True)
    network = GoogLeNet(judge_weights, device)
    sets = [styles.load(path, primary=None, palette=None, clusters=8, seed=seed) for path in style]
    subjects = [_read(text) for text in subject]
    encoders: list[Path | None] = [*([None] if vgg16 else []), *candidates]
    rows = []
    sheets: dict[str, list[list[np.ndarray]]] = {obj.name: [[] for _ in encoders] for obj, _ in subjects}
    for style_set in sets:
        for obj, data in subjects:
            textures, seconds = {}, {}
            for name, path in zip(names, encoders, strict=True):
                started = time.perf_counter()
                textures[name] = _stylise(obj, data, style_set, path, weights, iterations, device, seed)
                seconds[name] = time.perf_counter() - started
            scores = judge_all(data, textures, style_set, network, wrap=obj.wrap)
            for number, name in enumerate(names):
                rows.append(
                    {"style": style_set.name, "subject": obj.path, "encoder": name, "seconds": seconds[name]}
                    | _plain(scores[name])
                )
                print(_line(rows[-1]), flush=True)
                sheets[obj.name][number].append(_picture(obj, data, textures[name], device))
            (out / "scores.json").write_text(json.dumps(rows, indent=1))
    for name, pictures in sheets.items():
        sheet = np.concatenate([np.concatenate(row, axis=1) for row in pictures], axis=0)
        Image.fromarray(sheet).save(out / f"{name}.png")
    _print_summary(rows, names)
    return 0


def _read(text: str) -> tuple[StageObject, ObjectData]:
    path, _, prim = text.rpartition(":")
    contents = read.discover(Path(path), StageOptions(mask=(prim,)))
    if not contents.objects:
        sys.exit(f"{prim} of {path} cannot be stylised; name a prim that `usdstylize inspect` lists.")
    return contents.objects[0], read.load(contents, contents.objects[0])


def _method(path: Path | None, iterations: int | None, seed: int) -> Method:
    method = PRESETS["draft"] if path else resolve(Options(preset="draft", encoder="vgg16"), cuda=False)
    return replace(method, iterations=iterations or method.iterations, seed=seed)


def _stylise(
    obj: StageObject,
    data: ObjectData,
    style: StyleSet,
    path: Path | None,
    weights: Path | None,
    iterations: int | None,
    device: str,
    seed: int,
) -> np.ndarray:
    """T_S (H, W, 3) by the encoder at ``path``, VGG16 where it is None."""

    def load(name: str, *, device: str, dtype: torch.dtype, **_: Any) -> Encoder:
        model = DraftEncoder.from_file(path).eval().requires_grad_(False)  # type: ignore[arg-type]
        return model.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    with patch.object(objective, "load_encoder", load if path else objective.load_encoder):
        optimizer = optimize.Optimizer(style, _method(path, iterations, seed), device, weights=weights)
    return optimizer.optimize([obj], [data])[0].images[0]


def _picture(obj: StageObject, data: ObjectData, texture: np.ndarray, device: str) -> np.ndarray:
    """(512, 512, 3) uint8: one unseen view, lit, on grey."""
    method = replace(PRESETS["standard"], resolution=512)
    mesh = render.normalize(data.mesh)
    size = (texture.shape[0], texture.shape[1])
    subject = render.Subject(render.one_sheet(mesh, data.bases[0], obj.wrap, data.transfer), size, device)
    visibility = render.EmbreeVisibility(mesh.points, mesh.triangles, device)
    views = render.trace_views(subject, visibility, [judge_cameras()[_PICTURE]], method)
    table = render.mip_table(torch.from_numpy(np.ascontiguousarray(texture)).to(device))
    image = render.paint(render.join(views), table, torch.full((3, 512, 512), 0.5, device=device))[0]
    shown: np.ndarray = (image.permute(1, 2, 0).clamp(0, 1) * 255).round().byte().cpu().numpy()
    return shown


def _plain(scores: Scores) -> dict[str, Any]:
    return asdict(scores) | {"failed": [name for name, good in scores.gates.items() if not good]}


def _line(row: dict[str, Any]) -> str:
    correlation = "flat" if row["correlation"] is None else f"{row['correlation']:.2f}"
    return (
        f"{row['style']:24s} {row['subject']:28s} {row['encoder']:14s} Q {row['quality']:.3f}  "
        f"albcorr {correlation}  dE {row['difference']:.1f}  seam {row['seam']:.2f}  {row['seconds']:.1f} s  "
        f"{' '.join(row['failed'])}"
    )


def _print_summary(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    def mean(values: Iterator[float]) -> float:
        found = list(values)
        return sum(found) / len(found)

    reference = {(r["style"], r["subject"]): r for r in rows if r["encoder"] == "vgg16"}
    for name in names:
        own = [row for row in rows if row["encoder"] == name]
        text = f"{name:14s} mean Q {mean(row['quality'] for row in own):.3f}"
        if reference and name != "vgg16":
            gaps = [reference[row["style"], row["subject"]]["quality"] - row["quality"] for row in own]
            lost = sum(
                1
                for row in own
                if set(row["failed"]) - set(reference[row["style"], row["subject"]]["failed"])
            )
            text += f"  behind VGG16: mean {mean(iter(gaps)):.3f}, most {max(gaps):.3f}; gates lost on {lost}"
        print(text)


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
