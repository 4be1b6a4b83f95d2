"""The texture files of one object: T_S, the bake, and T where no client reads the source's as we do."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usdstylize.config.options import Network
from usdstylize.errors import TextureError
from usdstylize.imaging.encoding import srgb_to_linear
from usdstylize.model.base_colors import PLAIN, DisplayColor, GraphColor, TextureFile, Transfer
from usdstylize.model.objects import ObjectData, StageObject, StyleTexture
from usdstylize.usd.io.images import read_alpha, read_image
from usdstylize.usd.io.paths import anchored
from usdstylize.usd.write.bake import as_half, bake_wrap, combine, write_baked, write_half
from usdstylize.usd.write.layout import StyleLayout
from usdstylize.usd.write.parts import Part

__all__ = ["Offset", "Textures", "named_textures", "possible_network", "write_textures"]


@dataclass(frozen=True)
class Offset:
    """A T_S that is added to T, and the dial that scales it."""

    file: str
    """As the style layer must name it."""
    dial: str
    """The material's input, without ``inputs:``."""
    strength: float
    """What the bake is made with, and where the dial stands at first."""
    mixed: str = ""
    """The style's name, where the variant is a mix of several."""

    @property
    def suffix(self) -> str:
        """What names of nodes end in, so that those of several styles differ."""
        return f"_{self.mixed}" if self.mixed else ""


@dataclass(frozen=True)
class Textures:
    """Files of one object as the style layer must name them (relative, anchored)."""

    offsets: tuple[Offset, ...]
    base: str | None
    """What ``transfer`` makes T of, once it is filtered; None for a constant."""
    baked: str | None
    """None where no preview is written."""
    baked_is_linear: bool
    transfer: Transfer = PLAIN
    """How the values that viewers read from ``base`` become T."""
    base_is_copy: bool = False
    """``base`` is a file of ours, not the source's."""

    @property
    def written(self) -> list[str]:
        """The files that are ours, as the style layer names them."""
        own = self.base if self.base_is_copy else None
        styles = [offset.file for offset in self.offsets if not offset.mixed]
        return [path for path in (*styles, own, self.baked) if path]


def write_textures(
    folder: Path,
    final: StyleLayout,
    layer_folder: Path,
    obj: StageObject,
    data: ObjectData,
    texture: StyleTexture | Part | None,
    parts: Sequence[Part],
    *,
    network: Network,
) -> Textures:
    """Write T_S, and the copy of T and the bake where they are needed; one of each per UDIM tile.

    folder: is made for them; nothing of it remains after an error. final: where the files will lie in the
    end.
    layer_folder: the style layer's, which the names are relative to.
    texture: a part where T_S lies on the disk already, as that part's files; None for a mix, whose parts
    have their files already. parts: what is added to T.
    Raises TextureError where a file of those is lost or broken.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    name = obj.name
    made = named_textures(final, layer_folder, obj, data, name, parts, network=network)
    tiles = [str(tile) for tile in obj.tiles] or [""]
    try:
        if isinstance(texture, Part):
            for tile in tiles:
                _keep(texture.file(tile), folder / final.style_texture(name, tile))
        elif texture is not None:
            for tile, image in zip(tiles, texture.images, strict=True):
                write_half(folder / final.style_texture(name, tile), image, color=False)
        if made.base_is_copy:
            write_half(folder / final.base_texture(name), _with_alpha(obj, data.bases[0]), color=False)
        if made.baked is not None:
            stored = _stored(tiles, texture, parts)
            for tile, styles, original in zip(tiles, stored, data.bases, strict=True):
                encoded = combine(original, styles, bake_wrap(obj), data.transfer)
                file = folder / final.baked_texture(name, tile, linear=made.baked_is_linear)
                if made.baked_is_linear:
                    write_half(file, srgb_to_linear(encoded), color=True)
                else:
                    write_baked(file, encoded)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return made


def named_textures(
    final: StyleLayout,
    layer_folder: Path,
    obj: StageObject,
    data: ObjectData,
    owner: str,
    parts: Sequence[Part],
    *,
    network: Network,
) -> Textures:
    """The files that `write_textures` writes for the object named ``owner``; ``obj`` is that, or its copy."""
    place, all_tiles, is_linear = final.object(owner), "<UDIM>" if obj.tiles else "", _is_float(obj)
    network = possible_network(obj, network)
    own = _needs_copy(obj, data) and network != "preview"
    base = None
    if own:
        base = anchored(place / final.base_texture(owner), layer_folder)
    elif isinstance(obj.base, TextureFile):
        base = anchored(obj.base.resolved_path, layer_folder)
    baked = None
    if network != "mtlx":
        baked = anchored(place / final.baked_texture(owner, all_tiles, linear=is_linear), layer_folder)
    offsets = tuple(
        Offset(anchored(part.file(all_tiles), layer_folder), part.dial, part.strength, part.mixed)
        for part in parts
    )
    return Textures(offsets, base, baked, is_linear, data.transfer, base_is_copy=own)


def _stored(
    tiles: Sequence[str], texture: StyleTexture | Part | None, parts: Sequence[Part]
) -> Iterator[list[tuple[NDArray[np.float32], float]]]:
    """For each tile, what a viewer will read of each part's T_S, and its strength.

    The files hold half floats, and the bake is made from those.
    """
    for number, tile in enumerate(tiles):
        if isinstance(texture, StyleTexture):
            yield [(as_half(texture.images[number]).astype(np.float32), part.strength) for part in parts]
        else:
            yield [(_read_style((texture or part).file(tile)), part.strength) for part in parts]


def _keep(file: Path, place: Path) -> None:
    """Let ``place`` be the same file, or a copy where it cannot be. Raises TextureError where it is lost."""
    try:
        try:
            os.link(file, place)
        except FileNotFoundError:
            raise
        except OSError:  # another user's file, or a file system without links
            shutil.copyfile(file, place)
    except FileNotFoundError as problem:
        raise TextureError(f"{file} is lost; stylise its object anew with --force.") from problem


def _read_style(file: Path) -> NDArray[np.float32]:
    image = read_image(str(file))
    if not np.isfinite(image).all():
        raise TextureError(f"{file} holds NaN or infinite values; stylise its object anew with --force.")
    return image


def possible_network(obj: StageObject, asked: Network) -> Network:
    """Storm drops a prim whose MaterialX network reads a UDIM set, so that gets the bake alone."""
    return "preview" if obj.tiles else asked


def _needs_copy(obj: StageObject, data: ObjectData) -> bool:
    """Whether the live network reads our own copy of T's values, as no file of the source gives them.

    For a MaterialX surface it needs none: it takes the output of the source's own graph.
    """
    if obj.surface == "mtlx":
        return False
    if isinstance(obj.base, TextureFile):
        return obj.base.needs_copy or bool(data.repaired)
    return isinstance(obj.base, DisplayColor)


def _with_alpha(obj: StageObject, base: NDArray[np.float32]) -> NDArray[np.float32]:
    """T's values with the alpha of its file, (H, W, 3 or 4): the source's opacity may read it."""
    alpha = read_alpha(obj.base.resolved_path) if isinstance(obj.base, TextureFile) else None
    return base if alpha is None else np.concatenate([base, alpha[..., None]], axis=-1)


def _is_float(obj: StageObject) -> bool:
    return isinstance(obj.base, TextureFile | GraphColor) and obj.base.bit_depth in ("half", "float")
