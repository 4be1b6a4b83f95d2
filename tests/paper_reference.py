"""The paper's loss and its optimisation once more, naively and in float64, on a tiny scene.

Written from the paper (Mishra & Granskog 2022) and its supplement, and not from the package, of which it
imports nothing: the two agree where both are right. Nothing here is clever. Every ray meets every
triangle, every feature every key. Where the paper is silent, or where we depart from it on purpose, a line
that begins with "Ours:" says so.

Tensors are float64. Textures are (H, W, 3), row 0 the top; uv (0, 0) is the bottom left corner. Pictures are
(3, R, R), sRGB-encoded 0..1, row 0 the top. An encoder makes a list of maps (B, C, h, w) of (B, 3, H, W).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F

Tensor = torch.Tensor
Encoder = Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Preset:
    """literal: as in the paper, NNFM and content are means over the whole picture, and the palette loss
    is the plain distance at every texel. The λs are of Eq. 1; pairs are first and last iteration's."""

    literal: bool
    nnfm: float
    content: float
    content_on_style: bool
    palette: tuple[float, float]
    rate: tuple[float, float]
    ambient: float


def preset(name: str, encoder: str) -> Preset:
    """The supplement's §1 for `paper`; our own numbers for the others."""
    if name == "paper":
        # Ours: the palette's λ "was reduced": to a tenth. The paper knows no draft encoder.
        nnfm, content = (1e4, 22.0) if encoder == "clip-rn50" else (200.0, 1.0)
        return Preset(True, nnfm, content, False, (2000.0, 200.0), (1e-2, 1e-2), 0.0)
    balance = {"clip-rn50": (1e4, 18.0, False), "vgg16": (600.0, 0.3, True), "draft": (600.0, 0.15, True)}
    palette, rate = (1300.0, 4e-2) if name == "draft" else (600.0, 3e-2)
    return Preset(False, *balance[encoder], (palette, palette), (rate, 1.5e-3), 0.4)


# The scene


@dataclass(frozen=True, eq=False)
class Scene:
    """corners, normals: (F, 3, 3); uvs: (F, 3, 2). texture: the file's values; they are linear light, which
    ``scale`` and ``bias`` (3,) change, or sRGB-encoded. wrap: repeat, mirror or clamp, in s and in t."""

    corners: Tensor
    normals: Tensor
    uvs: Tensor
    texture: Tensor
    wrap: tuple[str, str]
    linear: bool = False
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Camera:
    """eye, light: (3,), in radii of the object's bounding sphere, whose centre is the origin; +Y is up."""

    eye: Tensor
    light: Tensor


def normalized(corners: Tensor) -> Tensor:
    """Moved and scaled into the unit sphere about the middle of the bounding box."""
    points = corners.reshape(-1, 3)
    middle = (points.amin(0) + points.amax(0)) / 2
    return (corners - middle) / (points - middle).norm(dim=1).max()


def cross(one: Tensor, other: Tensor) -> Tensor:
    return torch.linalg.cross(*torch.broadcast_tensors(one, other))


def directions(eye: Tensor, x: Tensor, y: Tensor, resolution: int) -> Tensor:
    """Of rays through places (x, y) of the picture, in pixels; (0, 0) is the upper left corner."""
    half = math.tan(math.radians(45) / 2)  # Ours: a field of view of 45 degrees.
    backward = F.normalize(eye, dim=0)
    right = F.normalize(cross(torch.tensor([0.0, 1.0, 0.0]).double(), backward), dim=0)
    up = cross(backward, right)
    across, upward = (2 * x / resolution - 1) * half, (1 - 2 * y / resolution) * half
    return across[..., None] * right + upward[..., None] * up - backward


def meet(corners: Tensor, eye: Tensor, ways: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays cut the planes of triangles: distance, and weights of the second and third corner."""
    first, second, third = corners.unbind(-2)
    one, two = second - first, third - first
    normal = cross(one, two)
    distance = ((first - eye) * normal).sum(-1) / (ways * normal).sum(-1)
    place = eye + distance[..., None] * ways - first
    area = normal.square().sum(-1)
    return (
        distance,
        (cross(place, two) * normal).sum(-1) / area,
        (cross(one, place) * normal).sum(-1) / area,
    )


@dataclass(frozen=True)
class Surface:
    """What a camera sees. covered: (R, R) bool. Of its P pixels: points, normals (P, 3), uvs (P, 2) and
    steps (P, 2, 2), the change of uv from one pixel to the next in x and in y."""

    covered: Tensor
    points: Tensor
    normals: Tensor
    uvs: Tensor
    steps: Tensor


@cache
def trace(scene: Scene, camera: Camera, resolution: int, slack: float = 0.0) -> Surface:
    """The nearest triangle behind every pixel's centre. slack: by how much triangles are larger."""
    centers = torch.arange(resolution).double() + 0.5
    y, x = torch.meshgrid(centers, centers, indexing="ij")
    distance, second, third = meet(
        scene.corners, camera.eye, directions(camera.eye, x, y, resolution)[:, :, None]
    )
    hit = (torch.stack([second, third, 1 - second - third]).amin(0) >= -slack) & (distance > 0)
    covered = hit.any(2)
    nearest = torch.where(hit, distance, math.inf).argmin(2)[covered]
    x, y = x[covered], y[covered]

    def at(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Of each pixel's own triangle, continued as a plane."""
        ways = directions(camera.eye, x, y, resolution)
        _, second, third = meet(scene.corners[nearest], camera.eye, ways)
        weights = torch.stack([1 - second - third, second, third], -1)
        return (weights[..., None] * values[nearest]).sum(-2)

    h = 1e-4
    steps = [
        (at(scene.uvs, x + h * right, y + h * down) - at(scene.uvs, x - h * right, y - h * down)) / (2 * h)
        for right, down in ((1, 0), (0, 1))
    ]
    return Surface(
        covered,
        at(scene.corners, x, y),
        F.normalize(at(scene.normals, x, y), dim=1),
        at(scene.uvs, x, y),
        torch.stack(steps, 1),
    )


# Textures


def wrapped(index: Tensor, size: int, wrap: str) -> Tensor:
    """Indices of texels beyond the border as indices of texels."""
    if wrap == "repeat":
        return index % size
    if wrap == "mirror":
        return torch.minimum(index % (2 * size), 2 * size - 1 - index % (2 * size))
    return index.clamp(0, size - 1)


def box_mips(texture: Tensor) -> list[Tensor]:
    """Down to 1 × 1, each level the means of blocks of the one before: T as viewers filter it."""

    def half(level: Tensor) -> Tensor:
        size = len(level)
        count = max(1, size // 2)
        return torch.stack(
            [level[i * size // count : -(-(i + 1) * size // count)].mean(0) for i in range(count)]
        )

    levels = [texture]
    while levels[-1].shape[:2] != (1, 1):
        levels.append(half(half(levels[-1]).transpose(0, 1)).transpose(0, 1))
    return levels


def tent_mips(texture: Tensor, wrap: tuple[str, str]) -> list[Tensor]:
    """Ours: T_S is halved by 1 3 3 1 eighths, so that no gradient has the edges of a block."""

    def half(level: Tensor, wrap: str) -> Tensor:
        size = len(level)
        if size == 1:
            return level
        first = 2 * torch.arange(size // 2)
        shares = zip((-1, 0, 1, 2), (0.125, 0.375, 0.375, 0.125), strict=True)
        return torch.stack([share * level[wrapped(first + step, size, wrap)] for step, share in shares]).sum(
            0
        )

    levels = [texture]
    while levels[-1].shape[:2] != (1, 1):
        levels.append(half(half(levels[-1], wrap[1]).transpose(0, 1), wrap[0]).transpose(0, 1))
    return levels


def levels_of(steps: Tensor, height: int, width: int) -> Tensor:
    """The mip level (P,) at which a pixel is as long as a texel, by the longer of its two steps."""
    texels = (steps * torch.tensor([width, height])).norm(dim=2).amax(1)
    return texels.log2().clamp_min(0)


def sample(levels: Sequence[Tensor], surface: Surface, wrap: tuple[str, str]) -> Tensor:
    """Trilinear: bilinear in each level, and linear from level to level."""
    height, width = levels[0].shape[:2]
    wanted = levels_of(surface.steps, height, width).clamp_max(len(levels) - 1)
    total = torch.zeros(len(wanted), 3).double()
    for number, level in enumerate(levels):
        height, width = level.shape[:2]
        x, y = surface.uvs[:, 0] * width - 0.5, (1 - surface.uvs[:, 1]) * height - 0.5
        for column in (x.floor(), x.floor() + 1):
            for row in (y.floor(), y.floor() + 1):
                share = (
                    (1 - (x - column).abs())
                    * (1 - (y - row).abs())
                    * (1 - (wanted - number).abs()).clamp_min(0)
                )
                texels = level[wrapped(row, height, wrap[1]).long(), wrapped(column, width, wrap[0]).long()]
                total = total + share[:, None] * texels
    return total


def decode(encoded: Tensor) -> Tensor:
    return torch.where(
        encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0.04) + 0.055) / 1.055) ** 2.4
    )


def encode(linear: Tensor) -> Tensor:
    return torch.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(0.003) ** (1 / 2.4) - 0.055
    )


def original(scene: Scene, filtered: Tensor) -> Tensor:
    """T, sRGB-encoded, of the file's values. Ours: they are filtered as the file holds them, as USD does."""
    scale, bias = torch.tensor(scene.scale).double(), torch.tensor(scene.bias).double()
    return encode((filtered * scale + bias).clamp_min(0)) if scene.linear else filtered


# Pictures


def render(
    scene: Scene, camera: Camera, style: Tensor | None, background: Tensor, ambient: float
) -> tuple[Tensor, Surface]:
    """The object with clamp(T + T_S), or with T alone, before a background."""
    surface = trace(scene, camera, background.shape[1])
    color = original(scene, sample(box_mips(scene.texture), surface, scene.wrap))
    if style is not None:
        color = color + sample(tent_mips(style, scene.wrap), surface, scene.wrap)
    # Ours: textures add in sRGB-encoded values; light is linear, a surface shows both of its sides, the
    # light's power is divided by π and does not fall with the distance, and a highlight has a share of 0.08.
    to_eye = F.normalize(camera.eye - surface.points, dim=1)
    to_light = F.normalize(camera.light - surface.points, dim=1)
    normal = surface.normals * (surface.normals * to_eye).sum(1, keepdim=True).sign()
    cosine = (normal * to_light).sum(1, keepdim=True)
    mirrored = 2 * cosine * normal - to_light
    power = 2 / math.pi
    diffuse = ambient + power * cosine.clamp_min(0)
    specular = 0.08 * power * (mirrored * to_eye).sum(1, keepdim=True).clamp_min(0) ** 2 * (cosine > 0)
    lit = encode((decode(color.clamp(0, 1)) * diffuse + specular).clamp(0, 1))
    picture = background.permute(1, 2, 0).clone()
    picture[surface.covered] = lit
    return picture.permute(2, 0, 1), surface


def scaled(image: Tensor, height: int, width: int) -> Tensor:
    """A style image (3, H, W), bicubic; Ours: PyTorch's, antialiased."""
    return F.interpolate(image[None], (height, width), mode="bicubic", antialias=True)[0].clamp(0, 1)


def cropped(image: Tensor, size: int) -> Tensor:
    """The background. Ours: scaled until it covers the picture, and cropped at the centre."""
    factor = size / min(image.shape[1:])
    whole = scaled(image, *(round(side * factor) for side in image.shape[1:]))
    top, left = ((side - size) // 2 for side in whole.shape[1:])
    return whole[:, top : top + size, left : left + size]


def for_keys(image: Tensor, size: int) -> Tensor:
    """Ours: all of a style image, its shorter side that of a render, both rounded to multiples of 32."""
    factor = size / min(image.shape[1:])
    return scaled(image, *(max(32, 32 * round(side * factor / 32)) for side in image.shape[1:]))


# The three terms


def vectors(maps: Sequence[Tensor]) -> list[Tensor]:
    """Maps (B, C, h, w) as feature vectors (B · h · w, C)."""
    return [m.permute(0, 2, 3, 1).reshape(-1, m.shape[1]) for m in maps]


def over_positions(values: Tensor, covered: Tensor, map_: Tensor, literal: bool) -> Tensor:
    """Mean of a value per position of a map. Ours, where not literal: by the object's share of each."""
    side = covered.shape[1] // map_.shape[2]
    shares = F.avg_pool2d(covered.double()[:, None], side).reshape(-1)
    return values.mean() if literal else (values * shares).sum() / shares.sum()


def distances(features: Tensor, keys: Tensor, smooth: bool) -> Tensor:
    """Cosine distance of every feature vector to every key; of CLIP's after a softmax over the channels."""
    if smooth:
        features, keys = features.softmax(1), keys.softmax(1)
    return 1 - F.normalize(features, dim=1, eps=0) @ F.normalize(keys, dim=1, eps=0).T


def nnfm(
    maps: Sequence[Tensor], keys: Sequence[Tensor], covered: Tensor, smooth: bool, literal: bool
) -> Tensor:
    """Eq. 2. Ours: of several maps the mean."""
    found = [distances(own, key, smooth).min(1).values for own, key in zip(vectors(maps), keys, strict=True)]
    means = [over_positions(f, covered, m, literal) for f, m in zip(found, maps, strict=True)]
    return torch.stack(means).mean()


def content(maps: Sequence[Tensor], targets: Sequence[Tensor], covered: Tensor, literal: bool) -> Tensor:
    """§3. Ours: L2 is the mean of squares, and of several maps the mean, as with NNFM."""
    found = [(one - other).square().mean(1).reshape(-1) for one, other in zip(maps, targets, strict=True)]
    means = [over_positions(f, covered, m, literal) for f, m in zip(found, maps, strict=True)]
    return torch.stack(means).mean()


def palette_distances(colors: Tensor, palette: Tensor) -> Tensor:
    """Squared distance of every colour to every one of the palette."""
    return (colors[:, None] - palette).square().sum(2)


def palette_loss(colors: Tensor, palette: Tensor, literal: bool) -> Tensor:
    """Eq. 3, of colours that are not clamped. Ours, where not literal: the squared distance."""
    least = palette_distances(colors, palette).min(1).values
    return (least.sqrt() if literal else least).mean()


def resized(texture: Tensor, height: int, width: int) -> Tensor:
    """T's values at other texels. Ours: a triangle filter, cut off at the border."""

    def along(values: Tensor, count: int) -> Tensor:
        scale = len(values) / count
        at, centers = (torch.arange(count).double() + 0.5) * scale, torch.arange(len(values)) + 0.5
        shares = (1 - (at[:, None] - centers).abs() / max(scale, 1)).clamp_min(0)
        return torch.einsum("ab,bcd->acd", shares / shares.sum(1, keepdim=True), values)

    return along(along(texture, height).transpose(0, 1), width).transpose(0, 1)


@cache
def covered_texels(scene: Scene, size: int) -> Tensor:
    """(size, size) bool: texels that the interior of a triangle reaches into, by the separating axes."""
    uvs, wrap = scene.uvs, scene.wrap
    low, high = uvs.amin((0, 1)).floor().int().tolist(), uvs.amax((0, 1)).ceil().int().tolist()
    columns = torch.arange(low[0] * size, high[0] * size)
    rows = torch.arange((1 - high[1]) * size, (1 - low[1]) * size)
    y, x = torch.meshgrid(rows + 0.5, columns + 0.5, indexing="ij")
    centers = torch.stack([x, y], -1).double()[:, :, None]
    corners = torch.stack([uvs[..., 0] * size, (1 - uvs[..., 1]) * size], -1)
    edges = corners.roll(1, 1) - corners
    axes = torch.stack([edges[..., 1], -edges[..., 0]], -1)
    sides = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double().expand(len(uvs), 2, 2)
    apart = torch.zeros(*centers.shape[:2], len(uvs), dtype=torch.bool)
    for axis in torch.cat([axes, sides], 1).unbind(1):
        along = (corners * axis[:, None]).sum(2)
        middle, reach = (centers * axis).sum(3), axis.abs().sum(1) / 2
        apart |= (middle + reach <= along.amin(1)) | (middle - reach >= along.amax(1))
    found = torch.zeros(size, size, dtype=torch.bool)
    touched = ~apart.all(2)
    found[wrapped(y.long()[touched], size, wrap[1]), wrapped(x.long()[touched], size, wrap[0])] = True
    return found


# Eq. 1


@dataclass(frozen=True)
class Problem:
    """images: style images (3, H, W), the primary one first. palette: (Q, 3). smooth: whether NNFM smooths
    the encoder's features (CLIP's). resolution: of a render. keys: per map what is matched; None is all."""

    preset: Preset
    scene: Scene
    images: Sequence[Tensor]
    palette: Tensor
    encoder: Encoder
    content_encoder: Encoder
    smooth: bool
    resolution: int
    keys: Sequence[Tensor] | None = None


def all_keys(problem: Problem) -> list[list[Tensor]]:
    """Per style image the feature vectors of each map."""
    return [vectors(problem.encoder(for_keys(image, problem.resolution)[None])) for image in problem.images]


def view_level(problem: Problem, cameras: Sequence[Camera], size: int) -> float:
    """The mip level at which most of these cameras see a texture of size² texels."""
    seen = [
        levels_of(trace(problem.scene, c, problem.resolution).steps, size, size).median() for c in cameras
    ]
    return float(torch.stack(seen).quantile(0.5))


def summed_texels(problem: Problem, style: Tensor, level: float) -> Tensor:
    """T + T_S (N, 3) where the palette loss applies.

    The paper: everywhere. Ours, where not literal: the texels of the mip level that the cameras see, of which
    the UVs cover a half or more.
    """
    scene = problem.scene
    number = 0 if problem.preset.literal else int(level + 0.5)
    own = tent_mips(style, scene.wrap)[number]
    total = own + original(scene, resized(scene.texture, *own.shape[:2]))
    if problem.preset.literal:
        return total.reshape(-1, 3)
    covered = covered_texels(scene, len(style)).double()[..., None]
    return total[box_mips(covered)[number][..., 0] >= 0.5]


def terms(
    problem: Problem, cameras: Sequence[Camera], style: Tensor, level: float
) -> tuple[Tensor, Tensor, Tensor]:
    """NNFM, content and palette loss of a batch, unweighted. level: from `view_level`."""
    chosen, scene = problem.preset, problem.scene
    behind = cropped(problem.images[0], problem.resolution)
    # The paper renders the content without the style behind. Ours: before a grey of 0.5; and where the one
    # network serves both terms, before the style, too.
    plain = behind if chosen.content_on_style else torch.full_like(behind, 0.5)

    def pictures(texture: Tensor | None, background: Tensor) -> Tensor:
        return torch.stack([render(scene, c, texture, background, chosen.ambient)[0] for c in cameras])

    covered = torch.stack([trace(scene, c, problem.resolution).covered for c in cameras])
    keys = problem.keys
    if keys is None:
        keys = [torch.cat(layer) for layer in zip(*all_keys(problem), strict=True)]
    maps = problem.encoder(pictures(style, behind))
    with torch.no_grad():
        targets = problem.content_encoder(pictures(None, plain))
    return (
        nnfm(maps, keys, covered, problem.smooth, chosen.literal),
        content(problem.content_encoder(pictures(style, plain)), targets, covered, chosen.literal),
        palette_loss(summed_texels(problem, style, level), problem.palette, chosen.literal),
    )


def along(ends: tuple[float, float], number: int, count: int) -> float:
    """Iteration ``number`` of ``count``, from 0. Ours: an exponential from the first value to the last."""
    return ends[0] * (ends[1] / ends[0]) ** (number / max(1, count - 1))


def total(problem: Problem, cameras: Sequence[Camera], style: Tensor, level: float, palette: float) -> Tensor:
    """Eq. 1, with the palette's weight."""
    style_term, content_term, palette_term = terms(problem, cameras, style, level)
    chosen = problem.preset
    return chosen.nnfm * style_term + chosen.content * content_term + palette * palette_term


def optimize(problem: Problem, batches: Sequence[Sequence[Camera]], size: int) -> Tensor:
    """T_S (size, size, 3) after as many iterations as there are batches of cameras; at first it is zero."""
    style = torch.zeros(size, size, 3).double().requires_grad_()
    adam = torch.optim.Adam([style])
    level = view_level(problem, batches[0], size)
    for number, cameras in enumerate(batches):
        adam.param_groups[0]["lr"] = along(problem.preset.rate, number, len(batches))
        adam.zero_grad()
        weight = along(problem.preset.palette, number, len(batches))
        total(problem, cameras, style, level, weight).backward()
        adam.step()
    return style.detach()


# Networks, from images (B, 3, H, W) to maps


def standardized(images: Tensor, mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    return (images - torch.tensor(mean).double().view(3, 1, 1)) / torch.tensor(deviation).double().view(
        3, 1, 1
    )


def clip(visual: torch.nn.Module) -> Encoder:
    """open_clip's ModifiedResNet: what conv2 of each block of layer3 and layer4 gives."""
    caught: list[Tensor] = []
    for block in (*visual.layer3, *visual.layer4):
        # a copy, since what follows works in place
        block.conv2.register_forward_hook(lambda module, given, found: caught.append(found.clone()))

    def features(images: Tensor) -> list[Tensor]:
        caught.clear()
        mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
        x = visual.stem(standardized(images, mean, deviation))
        visual.layer4(visual.layer3(visual.layer2(visual.layer1(x))))
        return list(caught)

    return features


def vgg16(layers: torch.nn.Sequential) -> Encoder:
    """torchvision's ``vgg16().features``: layers 11, 13 and 15, which are relu3_1 to relu3_3."""

    def features(images: Tensor) -> list[Tensor]:
        x, found = standardized(images, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), []
        for number, layer in enumerate(layers[:16]):
            # not in place: the maps are handed out
            x = x.relu() if isinstance(layer, torch.nn.ReLU) else layer(x)
            if number in (11, 13, 15):
                found.append(x)
        return found

    return features


def draft(weights: dict[str, Tensor]) -> Encoder:
    """Ours: the embedded encoder. Two strides, then residual convolutions and a head for each map."""

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding=1).relu()

    def features(images: Tensor) -> list[Tensor]:
        x = convolved(convolved((images - 0.45) * 4, "stem", 2), "down", 2)
        found = []
        for number, scale in enumerate(weights["scale"]):
            block = 0
            while f"blocks.{number}.{block}.weight" in weights:
                x = x + convolved(x, f"blocks.{number}.{block}")
                block += 1
            head = weights[f"heads.{number}.weight"][:, :, None, None]
            found.append(F.conv2d(x, head * scale, weights[f"heads.{number}.bias"] * scale).relu())
        return found

    return features
