"""What a user may set, in groups, so that a function takes the group that it needs.

Each field's docstring is its text in ``--help``; each group checks its own values.
"""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from usdstylize.config.method import EngineName, Precision, Views
from usdstylize.encoders.registry import find
from usdstylize.errors import OptionsError

__all__ = [
    "DIAL_RANGE",
    "WEIGHTS",
    "FarmOptions",
    "Framing",
    "LookOptions",
    "MethodName",
    "Network",
    "Options",
    "OutputOptions",
    "PerformanceOptions",
    "PresetName",
    "StageOptions",
    "StyleOptions",
    "Unit",
    "is_weight",
]

PresetName = Literal["auto", "draft", "standard", "paper"]
MethodName = Literal["clip-nnfm", "vgg-nnfm", "clip-gram", "vgg-gram", "clip-embedding"]
Network = Literal["both", "preview", "mtlx"]
Unit = Literal["object", "model"]
Framing = Literal["world", "object"]
DIAL_RANGE = (0.0, 2.0)
"""Of every strength: the hard limits of the dials."""
WEIGHTS = "0, or 0.001 to 1000"
"""What `is_weight` holds of, for messages."""


def is_weight(weight: float) -> bool:
    """Whether a style image can have this weight: another is a slip of the pen, and makes sums overflow or
    shares vanish.
    """
    return weight == 0 or 1e-3 <= weight <= 1e3


@dataclass(frozen=True)
class _Group:
    """Base of every group."""

    def __post_init__(self) -> None:
        """Turn paths that are text into `Path`. Each group calls the next one's before its own checks."""
        for name in ("output", "ocio", "weights", "mask_image"):
            if isinstance(text := getattr(self, name, None), str):
                object.__setattr__(self, name, Path(text))


@dataclass(frozen=True)
class StageOptions(_Group):
    """Which prims of a stage become objects, and how they are read."""

    mask: tuple[str, ...] = ()
    """Only what lies at or under these prim paths."""
    purposes: tuple[str, ...] = ("default", "render")
    """Imageable purposes to include, of default, render, proxy; guides never are."""
    frame: float | None = None
    """Time code to read at, with skinned meshes posed; else the stage's start, in the bind pose."""
    refine: int = 0
    """Levels by which subdivision surfaces are refined, 0 to 3; 0 takes the cage, as usdview shows it at
    low complexity."""
    by: Unit = "object"
    """Optimise each object alone, or all meshes of a component model together."""
    views: Views = "object"
    """scene: optimise neighbours together, in pictures of them all, some of them from the stage's cameras."""
    share_materials: bool = False
    """Optimise all objects of one material together, into one texture; else each gets its own."""
    unique: bool = False
    """Give every copy of an object a texture of its own; else copies (the same mesh, UVs, texture and
    material) are stylised once."""
    per_instance: tuple[str, ...] = ()
    """Instances, by prim path, that get textures of their own; all others share theirs."""
    mask_image: Path | None = None
    """Image in the objects' UVs that says where they are stylised: white is style, black stays as it is."""
    mask_primvar: str | None = None
    """The same by a float primvar of each mesh, 0 to 1."""
    ocio: Path | None = None
    """OCIO configuration for textures in colour spaces that USD does not know; else $OCIO."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_several("mask", self.mask)
        _check_several("purposes", self.purposes)
        _check_several("per_instance", self.per_instance)
        unknown = set(self.purposes) - {"default", "render", "proxy"}
        if unknown or not self.purposes:
            named = ", ".join(sorted(unknown)) or "nothing"
            raise OptionsError(f"--purposes names {named}; choose from default, render, proxy.")
        if self.frame is not None and not math.isfinite(self.frame):
            raise OptionsError(f"--frame {self.frame} is no time code; give a number.")
        _check_range("refine", self.refine, 0, 3)
        if self.mask_image is not None and self.mask_primvar is not None:
            raise OptionsError("--mask-image and --mask-primvar contradict each other; give one of them.")
        if self.mask_primvar == "":
            raise OptionsError("--mask-primvar has no name; give that of a float primvar.")


@dataclass(frozen=True)
class StyleOptions(_Group):
    """The concept art that is used, the network that carries its style, and the weights of the losses."""

    primary_image: str | None = None
    """File name of the style image that gives palette and background; else the first by name."""
    style_weight: tuple[str, ...] = ()
    """How much style images count, such as sun.png=2,moon.png=0.5; those not named count 1, and 0 leaves one
    out. With it all images give the palette."""
    palette: str | None = None
    """Colours such as "#112233,#aabbcc", or a text file of them; else k-means of the primary image."""
    encoder: str | None = None
    """Network that carries the style, by its name in `encoders.ENCODERS`, or timm:NAME."""
    nnfm_weight: float | None = None
    """λ of the style loss; more brings the style nearer at the cost of the rest."""
    content_weight: float | None = None
    """λ of the content loss; more keeps more of the original, such as eyes."""
    palette_weight: float | None = None
    """λ of the palette loss at the start; where the preset lets it fall, it falls in proportion."""
    method: MethodName | None = None
    """A method of the paper's comparison, network and style loss in one: clip-nnfm and vgg-nnfm are
    --encoder clip-rn50 and vgg16; the others are those that NNFM improves on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("nnfm_weight", "content_weight", "palette_weight"):
            weight = getattr(self, name)
            if weight is not None and not 0 <= weight < math.inf:
                raise OptionsError(f"{_flag(name)} {weight} is out of range; give 0 or more.")
        _check_several("style_weight", self.style_weight)
        _ = self.style_weights
        if self.encoder is not None:
            find(self.encoder)
        if self.method is not None and self.encoder is not None:
            raise OptionsError(
                f"--method {self.method} names a network already; leave --encoder {self.encoder} out."
            )

    @property
    def style_weights(self) -> dict[str, float]:
        """``style_weight`` by file name. Raises OptionsError where one is out of range or named twice."""
        found: dict[str, float] = {}
        for text in self.style_weight:
            name, _, number = text.rpartition("=")
            try:
                weight = float(number)
            except ValueError:
                weight = math.nan
            if not name or not is_weight(weight):
                raise OptionsError(f'--style-weight "{text}" is no weight; give IMAGE=NUMBER, {WEIGHTS}.')
            if name in found:
                raise OptionsError(f"--style-weight names {name} twice; give each image one weight.")
            found[name] = weight
        return found


@dataclass(frozen=True)
class LookOptions(_Group):
    """What the style textures look like."""

    strength: float | None = None
    """Initial value of the strength dial on each material, 0 to 2; else 1."""
    keep_detail: float | None = None
    """How much letters, eyes and other fine drawing of the original stay as they were, 0 to 1; else 1, and 0
    in the preset paper and with other losses than nearest neighbours."""
    style_colors: float | None = None
    """How much of the style's colours to take, 0 to 1; 0 keeps those of the original and brings strokes of
    light and dark alone. Else 1."""
    color_start: float | None = None
    """Begin with the style's colours, 0 to 1: little takes those near the original's, 1 all of them in the
    style's own shares; 0 begins with the original's."""
    keep_light: float | None = None
    """How much light and dark of the original those colours keep, 0 to 1; else all where the style has only
    two tones, such as ink on paper, and nothing in other styles."""
    variety: float | None = None
    """Use all of the style's features as often as it does, and not the nearest ones alone, 0 to 1; 0 is plain
    nearest-neighbour matching."""
    pattern_width: float | None = None
    """Stage units that the shorter side of a style image spans on every surface; else two thirds of the
    height that the stage's cameras see, or the median diameter of its meshes."""
    framing: Framing | None = None
    """world gives patterns one width on all objects of a stage; object, as the paper does it and the preset
    paper, sees each object as a whole, so that patterns are as large as it is."""
    camera_distance: tuple[float, float] | None = None
    """Nearest and farthest camera, in bounding radii, for --framing object; farther makes larger patterns."""
    texture_resolution: int | None = None
    """Width and height of every style texture, in texels; else as the pattern width asks for."""
    texture_hierarchy: tuple[int, ...] = ()
    """Optimise the style texture coarse to fine, such as 128,256,512,1024; the last is its resolution."""
    seed: int | None = None
    """The same seed on the same device gives the same texture; else 0."""
    direct_texture: bool = False
    """Optimise the flat texture instead of renders: the paper's counter-example, with visible seams."""
    field: bool = False
    """Optimise a field over the surface instead of texels: no seams, whatever the UVs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength is not None and not DIAL_RANGE[0] <= self.strength <= DIAL_RANGE[1]:
            raise OptionsError(f"--strength {self.strength} is out of range; give 0 to 2.")
        for name in ("keep_detail", "style_colors", "color_start", "keep_light", "variety"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise OptionsError(f"{_flag(name)} {share} is out of range; give 0 to 1.")
        if self.pattern_width is not None:
            if not 0 < self.pattern_width < math.inf:
                raise OptionsError(
                    f"--pattern-width {self.pattern_width} is out of range; give stage units, more than 0."
                )
            if self.framing == "object" or self.camera_distance is not None or self.direct_texture:
                raise OptionsError(
                    "--pattern-width needs cameras that stand by it; leave --framing object, "
                    "--camera-distance and --direct-texture out."
                )
        method = getattr(self, "method", None)  # of StyleOptions
        if method == "clip-embedding" and (self.pattern_width is not None or self.framing == "world"):
            raise OptionsError(
                "--method clip-embedding describes whole pictures of one size; leave --pattern-width and "
                "--framing world out."
            )
        if getattr(self, "views", "object") == "scene":  # of StageOptions
            self._check_scene_views()
        if self.camera_distance is not None and self.framing == "world":
            raise OptionsError(
                "--camera-distance is for --framing object; give --pattern-width instead, or leave "
                "--framing out."
            )
        if self.camera_distance is not None:
            near, far = self.camera_distance
            if not 1.0 <= near <= far < math.inf:
                raise OptionsError(
                    f"--camera-distance {near} {far} is out of range; give nearest and farthest, "
                    "both at least 1 bounding radius, the nearest first."
                )
        _check_range("texture_resolution", self.texture_resolution, 16, 16384)
        self._check_hierarchy()
        if self.field and (self.texture_hierarchy or self.direct_texture):
            other = "texture_hierarchy" if self.texture_hierarchy else "direct_texture"
            raise OptionsError(f"--field and {_flag(other)} contradict each other; give one of them.")
        _check_range("seed", self.seed, 0, 2**32 - 1)

    def _check_scene_views(self) -> None:
        others = ("camera_distance", "direct_texture", "field", "texture_hierarchy")
        given = ["--framing object"] if self.framing == "object" else []
        given += [_flag(name) for name in others if getattr(self, name)]
        if given:
            raise OptionsError(f"--views scene and {given[0]} contradict each other; give one of them.")

    def _check_hierarchy(self) -> None:
        sizes = self.texture_hierarchy
        if not sizes:
            return
        text = ",".join(map(str, sizes))
        rising = all(a < b for a, b in itertools.pairwise(sizes))
        if not rising or not sizes[0] >= 16 or not sizes[-1] <= 16384:
            raise OptionsError(
                f"--texture-hierarchy {text} is out of order or range; give rising sizes of 16 to 16384."
            )
        if self.texture_resolution not in (None, sizes[-1]):
            raise OptionsError(
                f"--texture-hierarchy {text} ends at another size than --texture-resolution "
                f"{self.texture_resolution}; leave the latter out."
            )


@dataclass(frozen=True)
class PerformanceOptions(_Group):
    """What is computed where, and how much of it."""

    preset: PresetName = "auto"
    """standard with a CUDA GPU, draft without; paper for the paper's literal values."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    iterations: int | None = None
    """Optimisation steps per object, exactly so many; else as many as the preset needs."""
    batch: int | None = None
    """Views per iteration; torchrun's processes share them."""
    precision: Precision | None = None
    """Number format of the networks: bfloat16 where the device has it natively (auto), or float32
    (convolutions on a GPU then in TF32)."""
    visibility: EngineName = "auto"
    """Engine that finds the visible surfaces: embree (CPU), z-buffer (the GPU's default), or nvdiffrast if
    installed, whose licence forbids commercial use."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations is not None and self.iterations < 1:
            raise OptionsError(f"--iterations {self.iterations} is out of range; give 1 or more.")
        _check_range("batch", self.batch, 1, 1024)


@dataclass(frozen=True)
class OutputOptions(_Group):
    """Where the result is written, and what it contains."""

    output: Path | None = None
    """Folder or .usda file of the result; else beside the stage."""
    force: bool = False
    """Replace a style that the output already has."""
    resume: bool = False
    """Keep the objects that already have this style in the output, and do only the missing ones."""
    package: bool = False
    """Write the result as one .usdz as well, beside its root layer."""
    in_session: bool = False
    """Write a session layer in the user's cache, or at --output, instead of layers beside the stage."""
    network: Network = "both"
    """Which networks to write: live MaterialX, baked preview, or both."""
    block_contexts: tuple[str, ...] = ()
    """Switch off surfaces for one renderer alone, such as ri,arnold; all for every one."""
    creator: str | None = None
    """Person or studio that the result's AuthorshipAPI names as its creator."""
    usage_terms: str | None = None
    """Licence or terms of use that it names."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.force and self.resume:
            raise OptionsError("--force and --resume contradict each other; give one of them.")
        _check_several("block_contexts", self.block_contexts)
        for context in self.block_contexts:
            if not context.replace(":", "_").isidentifier():
                raise OptionsError(
                    f'--block-contexts names "{context}", which is no render context; give ri, arnold or all.'
                )
        if "mtlx" in self.block_contexts and self.network != "preview":
            raise OptionsError(
                "--block-contexts mtlx would switch off the live network; give --network preview instead."
            )


@dataclass(frozen=True)
class FarmOptions(_Group):
    """What a run takes of a machine, and where the machine has its files."""

    gpus: int | None = None
    """GPUs that optimise objects side by side, a process each (on the CPU: processes); else all that are
    the same as the first."""
    memory_limit: float | None = None
    """GiB that each process may take on its GPU (on the CPU: for its optimisation); else what is free."""
    weights: Path | None = None
    """Folder searched first for network weights (also: USDSTYLIZE_WEIGHTS); or the weight file of
    --encoder timm:NAME."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range("gpus", self.gpus, 1, 1024)
        if self.memory_limit is not None and not 0 < self.memory_limit < math.inf:
            raise OptionsError(f"--memory-limit {self.memory_limit} is out of range; give some GiB.")


@dataclass(frozen=True)
class Options(FarmOptions, OutputOptions, PerformanceOptions, LookOptions, StyleOptions, StageOptions):
    """All that a user may set. ``None`` and empty mean: as the preset or the stage says.

    A path may be given as a str, too.
    Raises OptionsError where a value is out of range, or two contradict each other.
    """


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _check_range(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise OptionsError(f"{_flag(name)} {value} is out of range; give {least} to {most}.")


def _check_several(name: str, value: tuple[str, ...]) -> None:
    if isinstance(value, str):  # a tuple of its letters otherwise
        raise OptionsError(f"{_flag(name)} {value} is one word instead of several; give a tuple of them.")
