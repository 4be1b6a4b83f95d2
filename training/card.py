"""The model card: what the weights are made of, how well they imitate, and what they are bad at."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from training.images import Source
from usdstylize.encoders import find

__all__ = ["model_card"]

_TEXT = """\
# The draft encoder

{parameters:,} parameters, {kilobytes} KB in fp16, safetensors, sha256 `{sha256}`. A student of
{teacher} ({channels}); it stands in for it where there is no GPU and no download.

- **Licence** of the weights: Apache-2.0, as the package. The teacher's: {teacher_licence}.
- **Made by** `python -m training --teacher {teacher} --size {size} --steps {steps}` ({batch} crops of {crop}²
  a step, learning rate {rate:g}, seed {seed}) in {seconds:.0f} s on {device}, PyTorch {torch}{before}.
- **Data**: {pictures} pictures. {own} are images with a stated licence ({licences}), the others are painted
  from them by `training/painted.py`: strokes, hatching, glass, fabric, flat colours, halftone, noise.
  `training/manifest.json` lists every image with its author, licence and hash. No painting by anyone
  is among them, and no style image of ours.
- **Bad at**: photographs of people and animals at a fine scale (few are in the data), structures wider
  than about 40 pixels (it does not see farther), and features of an image that is nearly flat, where
  cosines are noise.

Cosine with the teacher's maps on images it has not seen, 512²:

| image | {headings} |
| --- | {rule} |
{rows}
"""


def model_card(log: Mapping[str, Any], sources: Sequence[Source]) -> str:
    """Markdown, from a training log and the manifest."""
    teacher = find(log["teacher"])
    cosines: dict[str, list[float]] = log["held_out_cosines"]
    maps = len(next(iter(cosines.values())))
    used = [source for source in sources if not source.held_out]
    licences = Counter(source.licence for source in used)
    rows = [f"| {name} | {' | '.join(f'{v:.3f}' for v in values)} |" for name, values in cosines.items()]
    means = [sum(values[index] for values in cosines.values()) / len(cosines) for index in range(maps)]
    rows.append(f"| **mean** | {' | '.join(f'{v:.3f}' for v in means)} |")
    recipe = log["recipe"]
    before = log["started_from"]
    return _TEXT.format(
        parameters=log["parameters"],
        kilobytes=round(log["bytes"] / 1000),
        sha256=log["sha256"],
        teacher=log["teacher"],
        channels=teacher.maps,
        teacher_licence=teacher.licence,
        size=log["size"],
        rate=recipe["learning_rate"],
        before=f",\n  going on from weights with the sha256 `{before}`" if before else "",
        steps=recipe["steps"],
        batch=recipe["batch"],
        crop=recipe["size"],
        seed=recipe["seed"],
        seconds=log["seconds"],
        device=log["device"],
        torch=log["torch"],
        pictures=log["pictures"],
        own=len(used),
        licences=", ".join(f"{count} {name}" for name, count in licences.most_common()),
        headings=" | ".join(f"map {index + 1}" for index in range(maps)),
        rule=" | ".join(["---"] * maps),
        rows="\n".join(rows),
    )
