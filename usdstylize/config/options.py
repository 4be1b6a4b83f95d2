"""Every parameter of the product, its default, and the presets. Nothing else defines one.

`Options` is what an artist sets; ``None`` there means "as the preset says". `Method` is the
full list of values that an object is made with; `PRESETS` holds one per preset; `resolve` joins the two.
"""

import itertools
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from usdstylize.encoders.registry import find
from usdstylize.errors import OptionsError

__all__ = ["PRESETS", "Method", "Options", "resolve"]

StyleLoss = Literal["nnfm", "gram", "embedding"]
MethodName = Literal["clip-nnfm", "vgg-nnfm", "clip-gram", "vgg-gram", "clip-embedding"]
PresetName = Literal["auto", "draft", "standard", "paper"]
EngineName = Literal["auto", "embree", "z-buffer", "nvdiffrast"]
Network = Literal["both", "preview", "mtlx"]
Unit = Literal["object", "model"]
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Method:
    """One complete set of values for an object (design and calibration say why)."""

    encoder: str
    """Network whose features carry the style, by its name in `encoders.ENCODERS`."""
    style_loss: StyleLoss
    """How they are compared with the style's: by nearest neighbours (the method), or by what the
    paper compares that with, Gram matrices or CLIP's embedding of the whole picture."""
    content_encoder: str
    """Network whose features hold the content: what `encoders.ENCODERS` gives ``encoder`` as its partner."""
    resolution: int
    """Width and height of a render, in pixels."""
    batch: int
    """Views per iteration."""
    iterations: int
    plateau: bool
    """End when views that no batch holds get no better, at ``iterations`` at the latest."""
    texture_resolution: int
    """Width and height of T_S, in texels."""
    visibility: EngineName
    """What tells which triangle each pixel sees; `resolve` leaves no `auto`."""
    texture_hierarchy: tuple[int, ...]
    """Resolutions that T_S has first, coarse to fine, each for as many iterations as the last;
    those not below `texture_resolution` are passed over. Empty: that one alone."""
    direct_texture: bool
    """The losses look at the flat texture T + T_S instead of renders of the object."""
    view_pool: int
    """Number of (camera, light) pairs drawn once and reused; 0 draws new ones every iteration."""
    objects_at_once: int
    """On a CPU: objects optimised side by side, sharing the cores; memory grows with it."""
    learning_rate: tuple[float, float]
    """Adam's, first and last iteration, exponential between."""
    nnfm_weight: float
    """Of the style term, by whichever loss."""
    content_weight: float
    """Of the mean over the content network's maps, as the style term is one over its own."""
    palette_weight: tuple[float, float]
    """First and last iteration, exponential between."""
    palette_squared: bool
    """Squared distance to the nearest palette colour; the paper's own is the plain distance."""
    palette_everywhere: bool
    """The palette loss looks at every texel of T + T_S, as Eq. 3 has it; else at those that UVs cover, of
    the mip level that the cameras see."""
    palette_clusters: int
    """Q, the number of k-means colours."""
    object_only: bool
    """NNFM and content are means over the object's feature positions; over all in the paper (Eq. 2)."""
    content_on_background: bool
    """One encoder pass: content is compared with the style image behind, too."""
    style_keys: int
    """Style feature vectors per layer, of all images together, to match against; 0 keeps all."""
    precision: Precision
    """In which the networks compute; losses, T_S and Adam are float32 always."""
    bn_relu: bool
    """CLIP: features after batch norm and ReLU, instead of the convolution's raw output."""
    camera_distance: tuple[float, float]
    """Range, in radii of the object's bounding sphere."""
    field_of_view: float
    """Degrees, vertical and horizontal."""
    light_distance: tuple[float, float]
    """Range, in radii of the object's bounding sphere; upper hemisphere."""
    light_power: float
    ambient: float
    specular: float
    phong_exponent: float
    strength: float
    """Initial value of the dial on each new material; the bakes are made with it."""
    seed: int


def _brought_by(encoder: str, *, literal: bool = False) -> dict[str, Any]:
    """The fields of a `Method` that follow its encoder. literal: as the preset `paper` has them."""
    spec = find(encoder)
    balance = spec.paper_balance if literal else spec.balance
    return {"encoder": encoder, "content_encoder": spec.content_encoder or encoder, **vars(balance)}


_STANDARD = Method(
    **_brought_by("clip-rn50"),
    style_loss="nnfm",
    resolution=512,
    batch=8,
    iterations=400,
    plateau=True,
    texture_resolution=1024,
    visibility="auto",
    texture_hierarchy=(),
    direct_texture=False,
    view_pool=256,
    objects_at_once=1,
    learning_rate=(3e-2, 1.5e-3),
    palette_weight=(600.0, 600.0),
    palette_squared=True,
    palette_everywhere=False,
    palette_clusters=8,
    object_only=True,
    style_keys=0,
    precision="auto",
    bn_relu=False,
    camera_distance=(2.5, 2.5),
    field_of_view=45.0,
    light_distance=(3.0, 5.0),
    light_power=2.0,
    ambient=0.4,
    specular=0.08,
    phong_exponent=2.0,
    strength=1.0,
    seed=0,
)

PRESETS: dict[PresetName, Method] = {
    "standard": _STANDARD,
    "draft": replace(
        _STANDARD,
        **_brought_by("draft"),
        resolution=256,
        batch=1,  # more cost as much again and gain little that the judge sees (docs/draft.md)
        iterations=150,
        plateau=False,
        texture_resolution=512,
        view_pool=48,
        objects_at_once=4,
        learning_rate=(4e-2, 1.5e-3),
        palette_weight=(1300.0, 1300.0),  # few views and few pixels leave specks of colour
        style_keys=128,
    ),
    "paper": replace(
        _STANDARD,
        **_brought_by("clip-rn50", literal=True),
        iterations=3000,
        plateau=False,
        view_pool=0,
        learning_rate=(1e-2, 1e-2),
        palette_weight=(2000.0, 200.0),
        palette_squared=False,
        palette_everywhere=True,
        object_only=False,
        camera_distance=(2.0, 4.0),
        ambient=0.0,
    ),
}

_METHODS: dict[MethodName, tuple[str, StyleLoss]] = {
    "clip-nnfm": ("clip-rn50", "nnfm"),
    "vgg-nnfm": ("vgg16", "nnfm"),
    "clip-gram": ("clip-rn50", "gram"),
    "vgg-gram": ("vgg16", "gram"),
    "clip-embedding": ("clip-rn50", "embedding"),
}


@dataclass(frozen=True)
class Options:
    """What an artist or a TD may set. ``None`` means: as the preset says."""

    output: Path | None = None
    """Folder or .usda file of the result; beside the stage when not given."""
    preset: PresetName = "auto"
    """`standard` with a CUDA GPU, `draft` without; `paper` for the paper's literal values."""
    mask: tuple[str, ...] = ()
    """Stylise only what lies at or under these prim paths."""
    per_instance: tuple[str, ...] = ()
    """Instances, by prim path, that get textures of their own; the others go on sharing theirs."""
    purposes: tuple[str, ...] = ("default", "render")
    """Imageable purposes to stylise, of default, render, proxy; guides are never touched."""
    by: Unit = "object"
    """Optimise each object alone, or all meshes of a component model together, with one budget."""
    share_materials: bool = False
    """Optimise all objects of one material together into one texture; else each gets its own."""
    frame: float | None = None
    """Time code at which geometry and values are read, skinned meshes posed; the stage's start and the
    bind pose when not given."""
    refine: int = 0
    """Levels by which subdivision surfaces are refined before they are looked at, 0 to 3; at 0 it is
    the cage, which usdview shows at low complexity."""
    palette: str | None = None
    """Colours such as "#112233,#aabbcc", or a text file of them, instead of k-means."""
    primary_image: str | None = None
    """File name of the style image that gives palette and background; first by name."""
    strength: float | None = None
    """Initial value of the `strength` dial on each material, 0 to 1 or beyond; 1 when not given."""
    encoder: str | None = None
    """Network that carries the style, by its name in `encoders.ENCODERS`."""
    method: MethodName | None = None
    """A method of the paper's comparison, network and style loss in one: clip-nnfm and vgg-nnfm are
    --encoder clip-rn50 and vgg16; the others show what NNFM is better than."""
    nnfm_weight: float | None = None
    """λ of the style loss; more brings the style nearer at the cost of the rest."""
    content_weight: float | None = None
    """λ of the content loss: how much of the original must stay; more keeps features such as eyes."""
    palette_weight: float | None = None
    """λ of the palette loss at the start; where the preset lets it fall, it falls in proportion."""
    camera_distance: tuple[float, float] | None = None
    """Nearest and farthest camera, in bounding radii; farther makes larger patterns."""
    texture_resolution: int | None = None
    """Width and height of the style texture, in texels."""
    texture_hierarchy: tuple[int, ...] = ()
    """Optimise the style texture coarse to fine, such as 128,256,512,1024; the last is its resolution."""
    direct_texture: bool = False
    """Look at the flat texture instead of renders: the paper's counter-example, whose seams show."""
    batch: int | None = None
    """Views per iteration; torchrun's processes share them."""
    iterations: int | None = None
    """Optimisation steps per object, exactly so many; else as many as the preset needs."""
    precision: Precision | None = None
    """In which the networks compute: bfloat16 where the device has it natively (auto), or float32
    (convolutions on a GPU then in TF32)."""
    seed: int | None = None
    """The same seed on the same device gives the same texture; 0 when not given."""
    ocio: Path | None = None
    """OCIO configuration for textures in colour spaces that USD does not know; else $OCIO."""
    network: Network = "both"
    """Which networks to write: live MaterialX, baked preview, or both."""
    block_contexts: tuple[str, ...] = ()
    """Switch off surfaces for one renderer alone, such as ri,arnold; all for every one."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute."""
    gpus: int | None = None
    """GPUs that optimise objects side by side, a process each (on the CPU: processes); all that are the
    same as the first when not given."""
    memory_limit: float | None = None
    """GiB that each process may take on its GPU (on the CPU: for its optimisation); what is free when not
    given."""
    visibility: EngineName = "auto"
    """What finds the visible surfaces: embree (CPU), z-buffer (the GPU's default), or nvdiffrast if
    installed, whose licence forbids commercial use."""
    weights: Path | None = None
    """Folder searched first for network weights (also: USDSTYLIZE_WEIGHTS)."""
    package: bool = False
    """Write the result as one .usdz as well, beside its root layer."""
    in_session: bool = False
    """Write nothing beside the stage: a session layer in the user's cache, or at --output."""
    force: bool = False
    """Replace a style that the output already holds."""
    resume: bool = False
    """Keep the objects that the output already holds for this style, do the missing ones."""

    def __post_init__(self) -> None:
        _check(self)


def _check(options: Options) -> None:
    """Raises OptionsError, naming the option and its range."""
    if options.force and options.resume:
        raise OptionsError("--force and --resume contradict each other; give one of them.")
    if options.texture_resolution is not None and not 16 <= options.texture_resolution <= 16384:
        raise OptionsError(
            f"--texture-resolution {options.texture_resolution} is out of range; give 16 to 16384."
        )
    if options.iterations is not None and options.iterations < 1:
        raise OptionsError(f"--iterations {options.iterations} is out of range; give 1 or more.")
    if options.batch is not None and not 1 <= options.batch <= 1024:
        raise OptionsError(f"--batch {options.batch} is out of range; give 1 to 1024.")
    if options.gpus is not None and not 1 <= options.gpus <= 1024:
        raise OptionsError(f"--gpus {options.gpus} is out of range; give 1 to 1024.")
    if options.memory_limit is not None and not 0 < options.memory_limit < math.inf:
        raise OptionsError(f"--memory-limit {options.memory_limit} is out of range; give some GiB.")
    if options.seed is not None and not 0 <= options.seed < 2**32:
        raise OptionsError(f"--seed {options.seed} is out of range; give 0 to {2**32 - 1}.")
    if options.strength is not None and not math.isfinite(options.strength):
        raise OptionsError(f"--strength {options.strength} is no number; give 0 to 1, or somewhat more.")
    for term in ("nnfm", "content", "palette"):
        weight = getattr(options, f"{term}_weight")
        if weight is not None and not 0 <= weight < math.inf:
            raise OptionsError(f"--{term}-weight {weight} is out of range; give 0 or more.")
    if options.encoder is not None:
        find(options.encoder)
    if options.method is not None and options.encoder is not None:
        raise OptionsError(
            f"--method {options.method} names a network already; leave --encoder {options.encoder} out."
        )
    _check_hierarchy(options)
    if not 0 <= options.refine <= 3:
        raise OptionsError(f"--refine {options.refine} is out of range; give 0 to 3.")
    if options.frame is not None and not math.isfinite(options.frame):
        raise OptionsError(f"--frame {options.frame} is no time code; give a number.")
    if options.camera_distance is not None:
        near, far = options.camera_distance
        if not 1.0 <= near <= far < math.inf:
            raise OptionsError(
                f"--camera-distance {near} {far} is out of range; give nearest and farthest, "
                "both at least 1 bounding radius, the nearest first."
            )
    for name in ("mask", "per_instance", "purposes", "block_contexts"):
        value = getattr(options, name)
        if isinstance(value, str):  # a tuple of its letters otherwise
            option = f"--{name.replace('_', '-')}"
            raise OptionsError(f"{option} {value} is one word where several may stand; give a tuple of them.")
    unknown = set(options.purposes) - {"default", "render", "proxy"}
    if unknown or not options.purposes:
        named = ", ".join(sorted(unknown)) or "nothing"
        raise OptionsError(f"--purposes names {named}; choose from default, render, proxy.")
    for context in options.block_contexts:
        if not context.replace(":", "_").isidentifier():
            raise OptionsError(
                f'--block-contexts names "{context}", which is no render context; give ri, arnold or all.'
            )
    if "mtlx" in options.block_contexts and options.network != "preview":
        raise OptionsError(
            "--block-contexts mtlx would switch off the live network; give --network preview instead."
        )


def _check_hierarchy(options: Options) -> None:
    sizes = options.texture_hierarchy
    if not sizes:
        return
    text = ",".join(map(str, sizes))
    rising = all(a < b for a, b in itertools.pairwise(sizes))
    if not rising or not sizes[0] >= 16 or not sizes[-1] <= 16384:
        raise OptionsError(
            f"--texture-hierarchy {text} is out of order or range; give rising sizes of 16 to 16384."
        )
    if options.texture_resolution not in (None, sizes[-1]):
        raise OptionsError(
            f"--texture-hierarchy {text} ends at another size than --texture-resolution "
            f"{options.texture_resolution}; leave the latter out."
        )


def resolve(options: Options, *, cuda: bool) -> Method:
    """The preset's values with the artist's own put over them.

    ``cuda`` says whether a CUDA GPU will compute: without `--preset` it chooses `standard`,
    and `draft` otherwise.
    """
    name = preset_name(options, cuda=cuda)
    method = PRESETS[name]
    encoder, style_loss = options.encoder or method.encoder, method.style_loss
    if options.method is not None:
        encoder, style_loss = _METHODS[options.method]
    if encoder != method.encoder:
        method = replace(method, **_brought_by(encoder, literal=name == "paper"))
    if style_loss != "nnfm":
        weight = find(encoder).style_weights[style_loss]
        method = replace(method, style_loss=style_loss, nnfm_weight=weight)
    own: dict[str, Any] = {
        f.name: getattr(options, f.name)
        for f in fields(Method)
        if getattr(options, f.name, None) not in (None, ()) and f.name != "encoder"
    }
    if options.iterations is not None or options.texture_hierarchy:  # each size gets as many
        own["plateau"] = False
    if options.palette_weight is not None:
        first, last = method.palette_weight
        own["palette_weight"] = (options.palette_weight, options.palette_weight * last / first)
    if options.texture_hierarchy:
        own["texture_resolution"] = options.texture_hierarchy[-1]
    method = replace(method, **own)
    if method.visibility == "auto":
        method = replace(method, visibility="z-buffer" if cuda else "embree")
    return method


def preset_name(options: Options, *, cuda: bool) -> PresetName:
    """The preset that `resolve` uses, for the one line that announces it."""
    if options.preset != "auto":
        return options.preset
    return "standard" if cuda else "draft"
