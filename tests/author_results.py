"""Results of a known style texture, and what stock USD says of them, for the tests of author/."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdShade, UsdValidation

from usdstylize import Options, inspect
from usdstylize.config.options import StageOptions
from usdstylize.model.objects import Losses, StageContents, StageObject, StyleTexture
from usdstylize.usd import read, verify, write


def offsets(seed: int = 0, size: tuple[int, int] = (16, 16)) -> NDArray[np.float32]:
    """A signed T_S of ``size`` (width, height)."""
    return np.random.default_rng(seed).uniform(-0.6, 0.6, (size[1], size[0], 3)).astype(np.float32)


def texture(*images: NDArray[np.float32]) -> StyleTexture:
    """One image, or one for each UDIM tile."""
    return StyleTexture(images, 0.9, 7, 3, 0.5, Losses({"nnfm": 1.0, "content": 2.0, "palette": 3.0}, 6.0))


def zero_offsets(obj: StageObject) -> StyleTexture:
    """T_S that changes nothing, 8 x 8 texels, one for each tile."""
    return texture(*[np.zeros((8, 8, 3), np.float32)] * (len(obj.tiles) or 1))


def discover(root: Path, mask: Sequence[str] = (), heroes: Sequence[str] = ()) -> StageContents:
    purposes = ("default", "render", "proxy")
    options = StageOptions(mask=tuple(mask), purposes=purposes, per_instance=tuple(heroes))
    return read.discover(root, options)


def write_result(
    root: Path,
    style: str = "ink",
    *,
    mask: Sequence[str] = (),
    heroes: Sequence[str] = (),
    output: Path | None = None,
    force: bool = False,
    resume: bool = False,
    strength: float = 1.0,
    network: Any = "both",
    block_contexts: Sequence[str] = (),
    seed: int = 0,
    size: tuple[int, int] = (16, 16),
    made: Callable[[StageObject], StyleTexture] | None = None,
    during: AbstractContextManager[None] | None = None,
) -> Path:
    """Write every object of a stage with T_S of ``size`` drawn from ``seed``; returns the root layer.

    ``made`` gives each object's T_S instead. ``during`` surrounds the writing, not the reading.
    """
    contents = discover(root, mask, heroes)
    plan = write.plan(contents, style, output=output, force=force, resume=resume)
    chosen = [obj for obj in contents.objects if not (resume and obj.name in plan.existing)]
    loaded = [(obj, read.load(contents, obj, at_least=max(size))) for obj in chosen]
    with (
        during or nullcontext(),
        write.Writer(
            plan, contents, strength=strength, network=network, block_contexts=block_contexts
        ) as writer,
    ):
        for obj, data in loaded:
            writer.write_object(obj, data, made(obj) if made else texture(offsets(seed, size)))
        return writer.commit({"seed": seed})


def problems(root: Path) -> list[str]:
    """What every validator of usd-core finds, except in MaterialX nodes, which it does not know."""
    opened = Usd.Stage.Open(str(root))
    found = [str(error) for error in opened.GetCompositionErrors()]
    context = UsdValidation.ValidationContext(UsdValidation.ValidationRegistry().GetOrLoadAllValidators())
    for error in context.Validate(opened):
        if not (error.GetName() == "MissingShaderIdInRegistry" and "'ND_" in error.GetMessage()):
            found.append(f"{error.GetName()}: {error.GetMessage()}")
    return found


def bound(opened: Usd.Stage, path: str, purpose: str = "") -> str:
    """Path of the material that USD resolves for a prim."""
    prim = opened.GetPrimAtPath(path)
    return str(UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial(purpose)[0].GetPath())


def surface(opened: Usd.Stage, path: str, context: str = "") -> UsdShade.Shader:
    """The surface that viewers draw of a material; ``mtlx`` is the live network's."""
    return UsdShade.Material.Get(opened, path).ComputeSurfaceSource(context)[0]


def hold(result: Path) -> None:
    """Our own checks and every validator find nothing."""
    assert [str(check) for check in verify.verify(result).failed] == []
    assert problems(result) == []


def failures(result: Path) -> set[tuple[str, str]]:
    """(name, subject) of what `verify` finds wrong; file subjects from the stage's folder on."""
    report = verify.verify(result)
    assert report.ok == (not report.failed)
    return {(check.name, check.subject.rsplit("/shot/", 1)[-1]) for check in report.failed}


def style_layer(result: Path) -> Sdf.Layer:
    name = f"{result.name.removesuffix('.stylized.usda')}.style.usda"
    return Sdf.Layer.FindOrOpen(str(result.with_name(name)))


def details(result: Path) -> str:
    return "\n".join(map(str, verify.verify(result).failed))


def edit(result: Path, change: Callable[[Sdf.Layer], Any]) -> None:
    """Change the style layer as an artist's hand would."""
    layer = style_layer(result)
    change(layer)
    layer.Save()


def set_default(layer: Sdf.Layer, path: str, value: Any) -> None:
    layer.GetAttributeAtPath(path).default = value


def author_groups(
    root: Path, style: str = "ink", seed: int = 0, mask: tuple[str, ...] = (), **options: object
) -> Path:
    """Write a result in which each look has a T_S of its own, as the optimiser would give them."""
    contents = inspect(root, Options(mask=mask, **options))
    plan = write.plan(contents, style, output=None, force=False, resume=False)
    with write.Writer(plan, contents, strength=1.0, network="both") as writer:
        for number, group in enumerate(contents.groups):
            for obj in group:
                images = tuple(offsets(seed + 10 * number + tile) for tile in range(len(obj.tiles) or 1))
                texture = StyleTexture(images, 0.9, 7, seed, 0.5, Losses({}, 0.0))
                writer.write_object(obj, read.load(contents, obj), texture)
        return writer.commit({"seed": seed})
