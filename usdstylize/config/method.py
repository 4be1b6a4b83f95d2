"""Every value that an object is made with, in groups, so that a function takes the group that it needs."""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "EngineName",
    "LossMethod",
    "Method",
    "PerformanceMethod",
    "Precision",
    "RenderMethod",
    "ScheduleMethod",
    "StyleLoss",
    "TextureMethod",
    "ViewpointMethod",
    "Views",
]

StyleLoss = Literal["nnfm", "gram", "embedding"]
EngineName = Literal["auto", "embree", "z-buffer", "nvdiffrast"]
Views = Literal["object", "scene"]
_LARGEST_GRAPH = 2048
Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class LossMethod:
    """Which networks and losses compare an object with the style, and what each term weighs."""

    encoder: str
    """Network whose features carry the style, by its name in `encoders.ENCODERS`, or timm:NAME."""
    style_loss: StyleLoss
    """How its features are compared with the style's: by nearest neighbours (the method), or by one of the
    paper's baselines, Gram matrices or CLIP's embedding of the whole picture."""
    content_encoder: str
    """Network whose features keep the content: the partner that `encoders.ENCODERS` gives ``encoder``."""
    bn_relu: bool
    """CLIP: features after batch norm and ReLU, instead of the convolution's raw output."""
    nnfm_weight: float
    """λ of the style term, whichever loss it is."""
    content_weight: float
    """λ of the content term, a mean over the content network's maps."""
    palette_weight: tuple[float, float]
    """λ of the palette term: at the first and the last iteration, exponential between."""
    palette_squared: bool
    """Squared distance to the nearest palette colour; the paper has the plain distance."""
    palette_everywhere: bool
    """The palette loss reads every texel of T + T_S, as in Eq. 3; else those that UVs cover, at the
    mip level that the cameras see."""
    style_colors: float
    """0..1. 1: the result has the style's colours. 0: the original's, of which T_S changes light and dark
    alone; the losses then compare nothing else."""
    palette_clusters: int
    """Q, the number of k-means colours."""
    keep_detail: float
    """0..1: how much of the original's fine drawing stays, such as letters; see `imaging.drawing`."""
    variety: float
    """0..1: the highest price of a match with what is used more than the style has of it; 0: none. In units
    of how much features of the style differ, see `losses.prices`."""
    object_only: bool
    """Style and content are means over the object's feature positions; over all in the paper (Eq. 2)."""
    content_on_background: bool
    """The content term compares renders before the style image, as the style term does, instead of
    before grey; where both use one network, one encoder pass serves both."""
    style_keys: int
    """Style feature vectors per layer, of all images together, to match against; 0 keeps all."""


@dataclass(frozen=True)
class ViewpointMethod:
    """Where cameras and lights are drawn."""

    pattern_width: float
    """Metres that the shorter side of a style image spans on every surface; cameras stand where that is so,
    and `optimize.framing` replaces what depends on it. 0: the paper's way, each object as a whole from
    ``camera_distance``."""
    camera_distance: tuple[float, float]
    """Range, in radii of the object's bounding sphere."""
    field_of_view: float
    """Degrees, vertical and horizontal."""
    window: float
    """Width of what a camera sees of a surface that is too large to be seen as a whole, in radii of the
    object's bounding sphere; every batch then covers the surface. 0: the whole object is in view."""
    views: Views
    """Whether an object is seen alone, or with its neighbours, which are optimised together with it."""
    camera_windows: int
    """Windows of a batch that are seen from the stage's own cameras."""
    light_distance: tuple[float, float]
    """Range, in radii of the object's bounding sphere; upper hemisphere."""


@dataclass(frozen=True)
class RenderMethod:
    """How a view is rendered: resolution, visibility, and the Phong model."""

    resolution: int
    """Width and height of a render, in pixels. The shorter side of a style image has as many, unless
    `optimize.framing` gives an object renders of another size."""
    border: int
    """Pixels at a render's edge whose features do not count where cameras stand by the pattern width, since
    they feel the edge."""
    visibility: EngineName
    """Engine that finds the triangle in each pixel; `resolve` leaves no `auto`."""
    light_power: float
    ambient: float
    specular: float
    phong_exponent: float


@dataclass(frozen=True)
class TextureMethod:
    """The style texture T_S."""

    texture_resolution: int
    """Width and height of T_S, in texels."""
    texture_limit: int
    """The most texels on a side that T_S gets where its size follows from the pattern width; 0:
    ``texture_resolution``, exactly."""
    start_field: float
    """T_S begins as a field of the style's colours, which deviates from T so many times as much as they do
    from their mean, where cameras stand by the pattern width; else at 0."""
    color_start: float
    """0..1. Above 0, T_S begins with the style's colours, each of which serves at most 1 / ``color_start``
    times as often as the style uses it; see `imaging.transport`. 0: with T's."""
    keep_light: float | None
    """0..1: how much of its luma a colour keeps at that start; None: all in styles of two tones, such as ink
    on paper, else nothing."""
    smooth: bool
    """T_S is blurred by a texel, so that no single one stands out."""
    texture_hierarchy: tuple[int, ...]
    """Resolutions of T_S before the final one, coarse to fine; every resolution gets equally many
    iterations. Those that are not below `texture_resolution` are left out. Empty: the final one alone."""
    direct_texture: bool
    """The losses see the flat texture T + T_S instead of renders of the object."""
    field: bool
    """A field over the surface is optimised, which makes T_S, instead of its texels."""
    strength: float
    """Initial value of the dial on each new material; the bakes are made with it."""

    @property
    def graph_resolution(self) -> int:
        """Texels on a side at least of a T that a graph computes. T_S has no more of them, since no filter
        between texels does what a graph does there."""
        return min(self.texture_limit, _LARGEST_GRAPH) or self.texture_resolution


@dataclass(frozen=True)
class ScheduleMethod:
    """What each iteration sees, and how many there are."""

    batch: int
    """Views per iteration."""
    iterations: int
    """Optimisation steps."""
    covering_iterations: int
    """The same for an object whose batches each cover its whole surface by windows."""
    plateau: bool
    """End when the loss of validation views no longer falls, at ``iterations`` at the latest."""
    view_pool: int
    """Number of (camera, light) pairs drawn once and reused; 0 draws new ones every iteration."""
    learning_rate: tuple[float, float]
    """Adam's: at the first and the last iteration, exponential between."""
    seed: int
    """Seed of cameras, lights and k-means."""


@dataclass(frozen=True)
class PerformanceMethod:
    """What trades time for memory or precision."""

    objects_at_once: int
    """On a CPU: objects optimised side by side, sharing the cores; memory grows with it."""
    precision: Precision
    """Number format of the networks; losses, T_S and Adam are always float32."""


@dataclass(frozen=True)
class Method(PerformanceMethod, RenderMethod, ViewpointMethod, ScheduleMethod, TextureMethod, LossMethod):
    """One complete set of values for an object: a preset's, replaced where the user gave another.

    Its fields stand in the reverse order of its bases: networks and losses first.
    """
