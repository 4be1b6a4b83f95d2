"""The measure: how near a stylised object has come to its style, and what it has kept.

Five gates must hold together, since each alone is passed by something that is no style
transfer at all: a recolour keeps everything, noise has no seams, the style laid on by UV
looks like the style. `README.md` here says what each number means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.judge_network import FeatureNetwork
from benchmarks.measures import palette_difference, pearson, seam_ratio
from usdstylize import render
from usdstylize.config.presets import PRESETS
from usdstylize.imaging import uv_raster
from usdstylize.losses.objective import cover_crop
from usdstylize.model.base_colors import Wrap
from usdstylize.model.objects import Mesh, ObjectData, StyleSet
from usdstylize.usd.write.bake import combine

__all__ = [
    "GATES",
    "Scores",
    "judge",
    "judge_all",
    "judge_cameras",
    "judged_pictures",
    "match_distance",
    "quality",
    "style_rows",
]

Float32 = NDArray[np.float32]

LEAST_QUALITY = 0.80
LEAST_HALF_QUALITY = 0.70
"""Faint noise against the judge itself comes to 0.65 at most, VGG NNFM to 0.76 at least (docs/paper.md)."""
LEAST_CORRELATION = 0.7
MOST_DIFFERENCE = 12.0
MOST_SEAM = 1.8

GATES = {
    "quality": f"Q ≥ {LEAST_QUALITY}",
    "half_quality": f"Q½ ≥ {LEAST_HALF_QUALITY}",
    "correlation": f"albcorr ≥ {LEAST_CORRELATION}",
    "difference": f"ΔE76 ≤ {MOST_DIFFERENCE:g}",
    "seam": f"seam ≤ {MOST_SEAM}",
}
"""What a table says of each gate."""

_METHOD = replace(
    PRESETS["standard"],
    resolution=512,
    field_of_view=45.0,
    light_power=2.0,
    ambient=0.4,
    specular=0.08,
    phong_exponent=2.0,
)
"""Pinned here: a preset that changes must not change the measure."""
_VIEWS, _VIEW_SEED = 24, 999
_CAMERA_DISTANCE, _LIGHT_DISTANCE = 2.5, 4.0
_BACKGROUND = 0.5
_POSITIONS, _POSITION_SEED = 6000, 2
_POOL = 8
_INSIDE = 0.99
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Scores:
    """What the judge says of one textured object."""

    quality: float
    """Q: 0 is as far from the style as the original, 1 as near as one half of it is to the other."""
    half_quality: float
    """Q½: the same of pictures at half the size. A style is still there; noise that is made for the
    network, and crops that are too small to show a stroke, are not."""
    correlation: float | None
    """albcorr: of unlit luma with the original's; None where the original is one flat colour."""
    difference: float
    """Mean ΔE76 of seen texels to the palette."""
    seam: float
    """Jump that the style adds across UV seams over what it adds across other edges."""
    render_to_style: float
    """nnP: mean least cosine distance of the render's features to the style's."""
    style_to_render: float
    """nnR: the reverse; it catches a style that has collapsed into one stroke."""

    @property
    def gates(self) -> dict[str, bool]:
        """Whether each of the five gates holds."""
        return {
            "quality": self.quality >= LEAST_QUALITY,
            "half_quality": self.half_quality >= LEAST_HALF_QUALITY,
            "correlation": self.correlation is None or self.correlation >= LEAST_CORRELATION,
            "difference": self.difference <= MOST_DIFFERENCE,
            "seam": self.seam <= MOST_SEAM,
        }

    @property
    def passed(self) -> bool:
        """All five gates hold."""
        return all(self.gates.values())


def judge(
    data: ObjectData,
    style_texture: Float32,
    style: StyleSet,
    network: FeatureNetwork,
    *,
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat"),
    cameras: Sequence[render.Camera] | None = None,
) -> Scores:
    """The scores of one object with T + T_S.

    style_texture: T_S (H, W, 3) float32, signed, to be added to sRGB-encoded T. wrap: how both
    textures continue beyond 0..1. cameras: the 24 fixed unseen ones unless given.
    """
    return judge_all(data, {"": style_texture}, style, network, wrap=wrap, cameras=cameras)[""]


def judge_all(
    data: ObjectData,
    style_textures: Mapping[str, Float32],
    style: StyleSet,
    network: FeatureNetwork,
    *,
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat"),
    cameras: Sequence[render.Camera] | None = None,
) -> dict[str, Scores]:
    """`judge` for several T_S of one object; what they share is computed once."""
    cameras = judge_cameras() if cameras is None else cameras
    wanted = [style_rows(style, network, halvings) for halvings in (0, 1)]
    mesh = render.normalize(data.mesh)
    visibility = render.choose_visibility("auto", mesh.points, mesh.triangles, network.device)
    hits = visibility.trace(cameras, _METHOD.resolution)

    original_distances: list[float] = []
    original_luma: Float32 | None = None
    scores = {}
    for name, style_texture in style_textures.items():
        size = (style_texture.shape[0], style_texture.shape[1])
        sheet = render.one_sheet(mesh, data.bases[0], wrap, data.transfer)
        subject = render.Subject(sheet, size, network.device)
        views = [view for view in subject.views(cameras, hits, _METHOD) if len(view.pixels)]
        if original_luma is None:
            original_distances = [sum(found) / 2 for found in _distances(views, None, network, wanted)]
            original_luma = _unlit_luma(views, None)
        texture = torch.from_numpy(np.ascontiguousarray(style_texture, np.float32)).to(network.device)
        table = render.mip_table(texture)
        found = _distances(views, table, network, wanted)
        qualities = [
            quality(sum(both) / 2, original, floor)
            for both, original, (_, floor) in zip(found, original_distances, wanted, strict=True)
        ]
        texels = (subject.base_at(0, subject.style_size) + texture).clamp(0, 1).cpu().numpy()
        shown, plain = (
            combine(data.bases[0], [(style_texture, strength)], wrap, data.transfer)
            for strength in (1.0, 0.0)
        )
        scores[name] = Scores(
            quality=qualities[0],
            half_quality=qualities[1],
            correlation=pearson(_unlit_luma(views, table), original_luma),
            difference=palette_difference(
                texels[_seen(views, size) & _covered(mesh, wrap, size)], style.palette
            ),
            seam=seam_ratio(data.mesh, shown, plain, wrap, texel=1.0 / max(size)),
            render_to_style=found[0][0],
            style_to_render=found[0][1],
        )
    return scores


def judged_pictures(
    data: ObjectData,
    style_texture: Float32 | None,
    device: str,
    *,
    lit: bool,
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat"),
    cameras: Sequence[render.Camera] | None = None,
) -> tuple[Tensor, Tensor]:
    """What `judge` compares: renders (V, 3, 512, 512), sRGB-encoded, on grey, and where the object is.

    style_texture: as for `judge`; None renders the original. lit: else the surface's own colours. The second
    is (V, 1, 512, 512), 0 or 1. Views that do not show the object are left out.
    """
    mesh = render.normalize(data.mesh)
    visibility = render.choose_visibility("auto", mesh.points, mesh.triangles, device)
    texture = np.zeros((1, 1, 3), np.float32) if style_texture is None else style_texture
    sheet = render.one_sheet(mesh, data.bases[0], wrap, data.transfer)
    subject = render.Subject(sheet, (texture.shape[0], texture.shape[1]), device)
    cameras = judge_cameras() if cameras is None else cameras
    hits = visibility.trace(cameras, _METHOD.resolution)
    views = [view for view in subject.views(cameras, hits, _METHOD) if len(view.pixels)]
    table = render.mip_table(torch.from_numpy(np.ascontiguousarray(texture, np.float32)).to(device))
    images, masks = zip(*_images(views if lit else _unlit(views), table), strict=True)
    return torch.cat(images), torch.cat(masks)


def judge_cameras(count: int = _VIEWS) -> list[render.Camera]:
    """The fixed views: eyes over the whole sphere, lights over the upper hemisphere.

    Those of the calibration, drawn as it drew them; no optimisation's seed leads to them.
    """
    generator = torch.Generator().manual_seed(_VIEW_SEED)
    eyes = F.normalize(torch.randn(_VIEWS, 3, generator=generator), dim=1)
    lights = F.normalize(torch.randn(_VIEWS, 3, generator=generator), dim=1)
    lights[:, 1] = lights[:, 1].abs()
    pairs = zip((eyes * _CAMERA_DISTANCE).numpy(), (lights * _LIGHT_DISTANCE).numpy(), strict=True)
    return [render.look_at(eye, light, _METHOD.field_of_view) for eye, light in pairs][:count]


def quality(distance: float, original_distance: float, floor: float) -> float:
    """Q: how much of the way from the original to the style itself a result has gone."""
    return (original_distance - distance) / (original_distance - floor)


def style_rows(style: StyleSet, network: FeatureNetwork, halvings: int = 0) -> tuple[Tensor, float]:
    """The style's features (M, C), all images together, and N of their left against right halves.

    halvings: how often the pictures are halved in size first.
    """
    features = [_style_map(image.pixels, network, halvings) for image in style.images]
    middle = features[0].shape[3] // 2
    left = torch.cat([_rows(found[..., :middle]) for found in features])
    right = torch.cat([_rows(found[..., middle:]) for found in features])
    return torch.cat([_rows(found) for found in features]), sum(match_distance(left, right)) / 2


def match_distance(render_features: Tensor, style_features: Tensor) -> tuple[float, float]:
    """nnP and nnR: mean least cosine distance of rows (M, C) to rows (N, C), and the reverse.

    At most 6000 rows of either, drawn with a fixed seed. N is the mean of the two.
    """
    generator = torch.Generator().manual_seed(_POSITION_SEED)
    few = []
    for rows in (render_features, style_features):
        chosen = torch.randperm(len(rows), generator=generator)[:_POSITIONS]
        few.append(F.normalize(rows[chosen.to(rows.device)], dim=1))
    cosine = few[0] @ few[1].T
    return float(1 - cosine.amax(1).mean()), float(1 - cosine.amax(0).mean())


def _style_map(pixels: Float32, network: FeatureNetwork, halvings: int) -> Tensor:
    """(1, C, h, w) of an image (H, W, 3), cropped as the optimiser crops it."""
    image = torch.from_numpy(cover_crop(pixels, _METHOD.resolution)).permute(2, 0, 1)[None]
    return network(_halved(image, halvings))


def _halved(images: Tensor, times: int) -> Tensor:
    return F.avg_pool2d(images, 2**times) if times else images


def _distances(
    views: Sequence[render.View],
    style_table: Tensor | None,
    network: FeatureNetwork,
    wanted: Sequence[tuple[Tensor, float]],
) -> list[tuple[float, float]]:
    """nnP and nnR to the style's features, at each size of `style_rows`, the largest first."""
    return [
        match_distance(_render_rows(views, style_table, network, halvings), rows)
        for halvings, (rows, _) in enumerate(wanted)
    ]


def _render_rows(
    views: Sequence[render.View], style_table: Tensor | None, network: FeatureNetwork, halvings: int
) -> Tensor:
    """Features (M, C) of lit renders on grey, at positions well inside the object."""
    found = []
    for images, mask in _images(views, style_table):
        features = network(_halved(images, halvings))
        share = F.adaptive_avg_pool2d(mask, (features.shape[2], features.shape[3]))
        eroded = -F.max_pool2d(-share, 3, 1, 1)
        found.append(_rows(features)[eroded.reshape(-1) > _INSIDE])
    return torch.cat(found)


def _unlit_luma(views: Sequence[render.View], style_table: Tensor | None) -> Float32:
    """Luma of the unlit surface, pooled 8 × 8, where the object fills the whole cell; (M,)."""
    found = []
    for images, mask in _images(_unlit(views), style_table):
        weights = torch.tensor(_LUMA, device=images.device).view(1, 3, 1, 1)
        luma = F.avg_pool2d((images * weights).sum(1, keepdim=True), _POOL)
        found.append(luma[F.avg_pool2d(mask, _POOL) > _INSIDE])
    pooled: Float32 = torch.cat(found).cpu().numpy()
    return pooled


def _unlit(views: Sequence[render.View]) -> list[render.View]:
    return [
        replace(view, diffuse=torch.ones_like(view.diffuse), specular=torch.zeros_like(view.specular))
        for view in views
    ]


def _images(views: Sequence[render.View], style_table: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """A few views at a time: renders on grey (B, 3, R, R), and where the object is (B, 1, R, R)."""
    size = _METHOD.resolution
    for start in range(0, len(views), 4):
        part = views[start : start + 4]
        grey = torch.full((3, size, size), _BACKGROUND, device=part[0].base.device)
        yield (
            render.paint(render.join(part), style_table, grey),
            torch.stack([view.mask() for view in part])[:, None],
        )


def _seen(views: Sequence[render.View], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Texels (H, W) that some view samples, at their own mip level or as part of a coarser one."""
    sizes = render.level_sizes(*size)
    rows = torch.zeros(sum(height * width for height, width in sizes), device=views[0].base.device)
    for view in views:
        rows[view.style.rows[view.style.weights > 0].long()] = 1
    levels = torch.split(rows, [height * width for height, width in sizes])
    result = torch.zeros(1, 1, 1, 1, device=rows.device)
    for level, shape in zip(reversed(levels), reversed(sizes), strict=True):
        result = torch.maximum(F.interpolate(result, shape, mode="nearest"), level.view(1, 1, *shape))
    seen: NDArray[np.bool_] = (result[0, 0] > 0).cpu().numpy()
    return seen


def _covered(mesh: Mesh, wrap: tuple[Wrap, Wrap], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Texels (H, W) that the UVs cover: a pixel at a grazing angle reads far into the gutters."""
    side = max(size)
    rows, columns = (np.arange(length) * side // length for length in size)
    return uv_raster.covered_texels(mesh.uvs, wrap, side)[np.ix_(rows, columns)]


def _rows(features: Tensor) -> Tensor:
    """(B, C, h, w) to (B·h·w, C)."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
