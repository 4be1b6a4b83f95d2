"""What passes between the rooms: NumPy arrays in small frozen dataclasses.

Conventions that hold for every array in the package:

- *sRGB-encoded* values are those of an 8-bit sRGB image divided by 255; *linear* is linear
  Rec.709. A name without either word is not a colour.
- Images are float32 of shape ``(height, width, 3)``; row 0 is the **top** of the picture.
- UVs are USD's: ``(0, 0)`` is the **bottom left** corner of the texture.
- Points are metres, world space at the chosen frame, turned so that **+Y is up** whatever
  the stage's ``upAxis``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from usdstylize.model.affine_uvs import UVTransform
from usdstylize.model.base_colors import (
    PLAIN,
    BaseColor,
    ConstantColor,
    GraphColor,
    TextureFile,
    Transfer,
    Wrap,
)

__all__ = [
    "FileHash",
    "Framed",
    "Losses",
    "Mesh",
    "NewUVs",
    "ObjectData",
    "ObjectSettings",
    "PatternWidth",
    "Prototype",
    "Skipped",
    "StageCamera",
    "StageContents",
    "StageObject",
    "StyleImage",
    "StyleSet",
    "StyleTexture",
    "Surface",
]

Surface = Literal["preview", "mtlx", "mdl", "none"]
"""What a source surface is: a UsdPreviewSurface, a MaterialX or an MDL shader, or nothing but
displayColor."""

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles of one object, ready to render.

    points: (V, 3) float32, metres, world space, +Y up.
    triangles: (F, 3) int32 indices into ``points``, counter-clockwise seen from outside.
    normals: (F, 3, 3) float32, a unit normal per triangle corner, same space as ``points``.
    uvs: (F, 3, 2) float32, per triangle corner, in the texture's space: any UsdTransform2d
        is already applied; (0, 0) is the bottom left; values outside 0..1 are kept.
    """

    points: Float32
    triangles: Int32
    normals: Float32
    uvs: Float32


@dataclass(frozen=True)
class ObjectSettings:
    """An object's own settings on the stage (StylizeAPI; those of the nearest ancestor win).

    None and empty mean: the run's. Options that the user gives override all of them; those of masks
    are here already.
    """

    style_images: tuple[Path, ...] = ()
    """Concept art of its own, resolved; the first is the primary image."""
    style_weights: tuple[float, ...] = ()
    """How much each of ``style_images`` counts, at least one more than 0."""
    palette: tuple[tuple[float, float, float], ...] = ()
    """sRGB-encoded 0..1."""
    strength: float | None = None
    pattern_width: float | None = None
    """Metres that the shorter side of a style image spans on the surface."""
    pattern_scale: float | None = None
    """Multiplies the pattern width, or the camera distance: 2 makes patterns twice as large."""
    texture_resolution: int | None = None
    seed: int | None = None
    mask_image: Path | None = None
    """Where the object is stylised: an image in its UVs, resolved; ``<UDIM>`` in it stands for a tile."""
    mask_primvar: str = ""
    """The same by a float primvar, without ``primvars:``; one of the two at most."""


@dataclass(frozen=True)
class StageObject:
    """One thing to stylise: a mesh, or one material subset of it, with its material.

    It has no arrays: `usd.read.load` reads them when the object is optimised, so that a stage of
    hundreds of objects is never in memory at once.
    """

    path: str
    """The prim that gets the new binding: a Mesh, or a GeomSubset."""
    mesh_path: str
    name: str
    """Unique in the stage, made from ``path`` alone, safe as a prim name and a folder name."""
    material_path: str | None
    """The material bound today for the first purpose in use; None where there is none."""
    surface: Surface
    surface_path: str | None
    """The surface shader prim whose base colour was traced."""
    base: BaseColor
    uv_primvar: str
    """Primvar name without ``primvars:``."""
    uv_transform: UVTransform | None
    """From the primvar to the texture's coordinates; a chain where it has a ``then``."""
    triangle_count: int
    notes: tuple[str, ...] = ()
    """Remarks for ``inspect``, one sentence each."""
    group: str = ""
    """A name that all objects share which are rendered and optimised together; empty where the object is
    optimised alone."""
    look: str = ""
    """Name of the object, of the same group, whose style texture and new material this one uses;
    empty or its own name where it has its own."""
    stands_in: bool = False
    """It is a proxy of the object ``look``, uses its style texture, and is not rendered with it."""
    copy_of: str = ""
    """Name of the object, of the same group, whose texture files this one shares: it has a material of its
    own (or that of its ``look``) and is not rendered; empty where its style texture is optimised."""
    instances: tuple[str, ...] = ()
    """The outermost instance prims, in stage order, that share the prototype of this object; ``path``
    is in the first of them. Empty outside of instances."""
    prototype: str = ""
    """`Prototype.name` of the innermost prototype that contains it; empty outside of instances."""
    settings: ObjectSettings = ObjectSettings()
    is_emitted: bool = False
    """T is what its surface emits, in place of a base colour that is black."""
    unwrapped: bool = False
    """The mesh has no UVs: ``uv_primvar`` is a new primvar, which the style layer authors with the values
    of ``ObjectData.new_uvs``."""
    uv_asked: str = ""
    """The primvar that the material reads and the mesh lacks, in whose place its only UVs ``uv_primvar`` are
    read; empty where the material reads ``uv_primvar`` itself, or none."""

    @property
    def wrap(self) -> tuple[Wrap, Wrap]:
        """How T, and so T_S, continues beyond 0..1 in s and t; repeat where T is no file."""
        if isinstance(self.base, TextureFile | GraphColor):
            return self.base.wrap_s, self.base.wrap_t
        return "repeat", "repeat"

    @property
    def divisor(self) -> float:
        """The surface has this many times T; more than 1 only where it emits brighter light."""
        return self.base.divisor if isinstance(self.base, ConstantColor | GraphColor) else 1.0

    @property
    def wears_another_look(self) -> bool:
        """Whether it uses another object's style texture and material."""
        return bool(self.look) and self.look != self.name

    @property
    def tiles(self) -> tuple[int, ...]:
        """The UDIM tiles of T; empty where it is no UDIM set."""
        return self.base.tiles if isinstance(self.base, TextureFile) else ()


@dataclass(frozen=True, eq=False)
class NewUVs:
    """A faceVarying primvar for a mesh that has no UVs.

    values: (N, 2) float32, 0..1, (0, 0) is the bottom left. indices: (C,) int32, a value for
    every face corner of the whole mesh, face by face.
    """

    values: Float32
    indices: Int32


@dataclass(frozen=True, eq=False)
class ObjectData:
    """The arrays of one StageObject.

    bases: the original texture's values as viewers filter them, each (H, W, 3) float32, row 0 is
        the top: code values, or linear Rec.709. One per UDIM tile, in the order of
        ``TextureFile.tiles``; else a single one. 1 × 1 for a constant.
    transfer: turns filtered values of ``bases`` into T, sRGB-encoded.
    masks: where the object is stylised, each (H, W) float32, 0 (not at all) to 1, row 0 is the top, NaN
        where no triangle gives a value; one for each of ``bases``, or empty: everywhere.
    """

    mesh: Mesh
    bases: tuple[Float32, ...]
    transfer: Transfer = PLAIN
    masks: tuple[Float32, ...] = ()
    new_uvs: NewUVs | None = None
    """Where ``StageObject.unwrapped``: the UVs that the style layer must author."""
    repaired: tuple[str, ...] = ()
    """What was repaired in the texture, one sentence each; viewers then need a copy of it."""


@dataclass(frozen=True)
class Skipped:
    """A prim that is not stylised, and why, in one sentence."""

    path: str
    reason: str
    broken: bool = False
    """The asset is at fault (no UVs, NaN points, a lost texture), so the run exits with 1; False
    for what is merely out of scope (inactive, invisible, another purpose, not a mesh)."""


@dataclass(frozen=True)
class Prototype:
    """Scene-graph instances with the same meshes and materials: opinions are written once for all of them.

    Where bindings above the instances give one USD prototype different materials, it becomes several of
    these, one for each set of materials.
    """

    name: str
    """The name of the class prim with its opinions; prototypes of different stages have different names."""
    path: str
    """The first instance, to which the paths of its objects belong; an instance proxy where that is
    inside another prototype."""
    instances: tuple[str, ...]
    """Every instance, ``path`` first: prims of the stage, or instance proxies under the ``path`` of the
    prototype that contains them."""


@dataclass(frozen=True)
class FileHash:
    """A file the result depends on. ``sha256`` is hexadecimal, of the file's bytes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class PatternWidth:
    """What the shorter side of a style image should span on every surface of a stage."""

    metres: float = 0.0
    """0 where the stage has no extent."""
    reason: str = ""
    """Why so many, as words that follow a comma."""
    meters_per_unit: float = 1.0

    @property
    def units(self) -> float:
        """In stage units."""
        return self.metres / self.meters_per_unit


@dataclass(frozen=True, eq=False)
class StageCamera:
    """A perspective camera of the stage, at the time that is read.

    eye: (3,) float64, metres, +Y up, as in `Mesh`. axes: (3, 3) float64, rows are the camera's right, up
    and backward unit vectors. tangents: of half the horizontal and half the vertical field of view.
    """

    eye: NDArray[np.float64]
    axes: NDArray[np.float64]
    tangents: tuple[float, float]


@dataclass(frozen=True)
class StageContents:
    """What was found on a stage: objects to stylise, prims left out with the reason, source files."""

    path: Path
    """The root layer, absolute."""
    frame: float | None
    objects: tuple[StageObject, ...]
    skipped: tuple[Skipped, ...]
    sources: tuple[FileHash, ...]
    """Every layer and texture file that the composed stage and the objects read."""
    prototypes: tuple[Prototype, ...] = ()
    """All that were searched, outer ones before those that they contain."""
    heroes: tuple[str, ...] = ()
    """Instances with textures of their own, outermost first: the result clears their `instanceable`."""
    posed: bool = False
    """Skinned meshes are read as posed at ``frame``, not in their bind pose."""
    ocio: str = ""
    """The absolute path of ``Options.ocio``; empty where none was given."""
    refine: int = 0
    """Levels by which Catmull-Clark surfaces are refined; 0 reads their cages."""
    pattern_width: PatternWidth = PatternWidth()
    """By the stage's cameras, else by its meshes."""
    cameras: tuple[StageCamera, ...] = ()
    """That of the render settings, or all of them."""

    @property
    def groups(self) -> tuple[tuple[StageObject, ...], ...]:
        """The objects by group, in stage order of each group's first."""
        found: dict[str, list[StageObject]] = {}
        for obj in self.objects:
            found.setdefault(obj.group or obj.name, []).append(obj)
        return tuple(map(tuple, found.values()))


@dataclass(frozen=True, eq=False)
class StyleImage:
    """pixels: (H, W, 3) float32, sRGB-encoded 0..1, row 0 is the top."""

    path: Path
    pixels: Float32
    sha256: str


@dataclass(frozen=True, eq=False)
class StyleSet:
    """The concept art of one style. ``images[0]`` is the primary image.

    palette: (Q, 3) float32, sRGB-encoded 0..1, most frequent colour first.
    """

    name: str
    """A valid USD identifier, made from the folder's name; the variant's name."""
    images: tuple[StyleImage, ...]
    palette: Float32
    palette_is_given: bool = False
    """By the user, instead of being that of the images."""
    weights: tuple[float, ...] = ()
    """How much each image counts, positive; empty where all count by their size and the primary one alone
    gives the palette."""

    @property
    def primary(self) -> StyleImage:
        """The background of NNFM renders, and the source of the palette."""
        return self.images[0]

    @property
    def color_images(self) -> tuple[tuple[StyleImage, float], ...]:
        """The images that give a palette which nobody gave by hand, and how much each counts."""
        if not self.weights:
            return ((self.primary, 1.0),)
        return tuple(zip(self.images, self.weights, strict=True))

    @property
    def colors(self) -> tuple[tuple[Float32, float], ...]:
        """Colours (N, 3), sRGB-encoded 0..1, as often as the style has them, and how much they count.

        Every pixel of each image that gives the palette, or a palette that was given by hand.
        """
        if self.palette_is_given:
            return ((self.palette, 1.0),)
        return tuple((image.pixels.reshape(-1, 3), weight) for image, weight in self.color_images)


@dataclass(frozen=True)
class Losses(Mapping[str, float]):
    """One iteration's loss terms, by name and unweighted, and their weighted sum (paper, Eq. 1)."""

    terms: Mapping[str, float]
    total: float

    def __getitem__(self, name: str) -> float:
        return self.terms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def to_dict(self) -> dict[str, float]:
        """The terms, and ``total`` beside them."""
        return {**self.terms, "total": self.total}


@dataclass(frozen=True)
class Framed:
    """How an object was seen, and how large its style texture therefore is."""

    texture_resolution: int
    """Width and height of T_S, in texels."""
    pixel: float
    """Metres that a pixel of the networks' pictures spans on the surface."""
    windows: int = 0
    """Pictures that together cover the surface, in every iteration; 0 where each shows the whole object."""


@dataclass(frozen=True, eq=False)
class StyleTexture:
    """The optimised T_S of one object.

    images: each (H, W, 3) float32, signed offsets to be added to sRGB-encoded T; row 0 is the
        top; gutters are filled. One per UDIM tile as in ``ObjectData.bases``, else a single one.
    """

    images: tuple[Float32, ...]
    coverage: float
    """Share of the object's own texels (those its UVs cover) that some camera saw, 0..1."""
    iterations: int
    seed: int
    seconds: float
    losses: Losses
    """The means over the last iterations."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds spent in visibility, shading, encoder, matching, backward, …"""
    remarks: tuple[str, ...] = ()
    """Remarks on how it was made, one sentence each."""
    framed: Framed | None = None
