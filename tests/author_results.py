"""Results of a known style texture, and what stock USD says of them, for the tests of author/."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdShade, UsdValidation

from usdstylize import author, stage
from usdstylize.objects import Losses, StageContents, StyleTexture


def offsets(seed: int = 0, size: tuple[int, int] = (16, 16)) -> NDArray[np.float32]:
    """A signed T_S of ``size`` (width, height)."""
    return np.random.default_rng(seed).uniform(-0.6, 0.6, (size[1], size[0], 3)).astype(np.float32)


def texture(image: NDArray[np.float32]) -> StyleTexture:
    return StyleTexture((image,), 0.9, 7, 3, 0.5, Losses(1.0, 2.0, 3.0, 6.0))


def discover(root: Path, mask: Sequence[str] = (), heroes: Sequence[str] = ()) -> StageContents:
    return stage.discover(root, mask=mask, purposes=("default", "render", "proxy"), frame=None, heroes=heroes)


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
    during: AbstractContextManager[None] | None = None,
) -> Path:
    """Write every object of a stage with T_S drawn from ``seed``; returns the root layer.

    ``during`` surrounds the writing, not the reading.
    """
    contents = discover(root, mask, heroes)
    plan = author.plan(contents, style, output=output, force=force, resume=resume)
    chosen = [obj for obj in contents.objects if not (resume and obj.name in plan.existing)]
    loaded = [(obj, stage.load(contents, obj, at_least=16)) for obj in chosen]
    with (
        during or nullcontext(),
        author.Writer(
            plan, contents, strength=strength, network=network, block_contexts=block_contexts
        ) as writer,
    ):
        for obj, data in loaded:
            writer.write_object(obj, data, texture(offsets(seed)))
        return writer.commit({"seed": seed})


def problems(root: Path) -> list[str]:
    """What every validator of usd-core finds, but for MaterialX nodes, which it does not know."""
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


def hold(result: Path) -> None:
    """Our own checks and every validator find nothing."""
    assert [str(check) for check in author.verify(result).failed] == []
    assert problems(result) == []
