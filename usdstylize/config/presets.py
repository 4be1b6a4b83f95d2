"""The presets, and how a run's options make a method of one.

`Options` is what a user sets, where ``None`` means "as the preset says". `Method` is every value
that an object is made with; `PRESETS` holds one per preset, and `resolve` joins the two.
"""

from dataclasses import fields, replace
from typing import Any

from usdstylize.config.method import Method, StyleLoss
from usdstylize.config.options import MethodName, Options, PerformanceOptions, PresetName
from usdstylize.encoders.registry import find
from usdstylize.errors import OptionsError
from usdstylize.model.objects import PatternWidth

__all__ = ["PRESETS", "preset_name", "resolve"]


def _encoder_fields(encoder: str, *, literal: bool = False) -> dict[str, Any]:
    """The fields of a `Method` that depend on its encoder. literal: as the preset `paper` has them."""
    spec = find(encoder)
    balance = spec.paper_balance if literal else spec.balance
    content_encoder = spec.content_encoder or encoder
    border = max(spec.reach, find(content_encoder).reach)
    return {"encoder": encoder, "content_encoder": content_encoder, "border": border, **vars(balance)}


_STANDARD = Method(
    **_encoder_fields("clip-rn50"),
    style_loss="nnfm",
    resolution=512,
    batch=8,
    iterations=400,
    covering_iterations=200,
    plateau=True,
    texture_resolution=1024,
    texture_limit=4096,
    start_field=0.25,
    color_start=0.3,
    keep_light=None,
    smooth=False,
    visibility="auto",
    texture_hierarchy=(),
    direct_texture=False,
    field=False,
    view_pool=256,
    objects_at_once=1,
    learning_rate=(3e-2, 1.5e-3),
    palette_weight=(600.0, 600.0),
    palette_squared=True,
    palette_everywhere=False,
    palette_clusters=8,
    keep_detail=1.0,
    variety=0.5,
    style_colors=1.0,
    object_only=True,
    style_keys=0,
    precision="auto",
    bn_relu=False,
    pattern_width=0.0,
    window=0.0,
    views="object",
    camera_windows=0,
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
        **_encoder_fields("draft"),
        resolution=256,
        batch=1,  # more cost as much again and gain little that the judge sees (docs/draft.md)
        iterations=150,
        covering_iterations=24,
        start_field=0.18,
        plateau=False,
        texture_resolution=512,
        texture_limit=1024,
        view_pool=48,
        objects_at_once=4,
        learning_rate=(4e-2, 1.5e-3),
        palette_weight=(1300.0, 1300.0),  # few views and few pixels leave specks of colour
        style_keys=128,
    ),
    "paper": replace(
        _STANDARD,
        **_encoder_fields("clip-rn50", literal=True),
        iterations=3000,
        plateau=False,
        view_pool=0,
        learning_rate=(1e-2, 1e-2),
        palette_weight=(2000.0, 200.0),
        palette_squared=False,
        palette_everywhere=True,
        keep_detail=0.0,
        variety=0.0,
        color_start=0.0,
        object_only=False,
        camera_distance=(2.0, 4.0),
        ambient=0.0,
    ),
}

_NOWHERE = PatternWidth()

_METHODS: dict[MethodName, tuple[str, StyleLoss]] = {
    "clip-nnfm": ("clip-rn50", "nnfm"),
    "vgg-nnfm": ("vgg16", "nnfm"),
    "clip-gram": ("clip-rn50", "gram"),
    "vgg-gram": ("vgg16", "gram"),
    "clip-embedding": ("clip-rn50", "embedding"),
}


def resolve(options: Options, *, cuda: bool, stage: PatternWidth = _NOWHERE) -> Method:
    """The preset's values, replaced where the user gave another.

    cuda: whether a CUDA GPU will compute; see `preset_name`. stage: the pattern width that suits the stage.
    Raises OptionsError where scene views are asked for without a pattern width.
    """
    name = preset_name(options, cuda=cuda)
    method = PRESETS[name]
    encoder, style_loss = options.encoder or method.encoder, method.style_loss
    if options.method is not None:
        encoder, style_loss = _METHODS[options.method]
    if encoder != method.encoder:
        method = replace(method, **_encoder_fields(encoder, literal=name == "paper"))
    if style_loss != "nnfm":
        weight = find(encoder).style_weights[style_loss]
        method = replace(
            method, style_loss=style_loss, nnfm_weight=weight, keep_detail=0.0, variety=0.0, color_start=0.0
        )
    own: dict[str, Any] = {
        f.name: getattr(options, f.name)
        for f in fields(Method)
        if getattr(options, f.name, None) not in (None, ()) and f.name not in ("encoder", "pattern_width")
    }
    own["pattern_width"] = _pattern_width(options, method, name, stage)
    if options.texture_resolution is not None or options.texture_hierarchy:
        own["texture_limit"] = 0
    if options.iterations is not None:
        own["covering_iterations"] = options.iterations
    if options.iterations is not None or options.texture_hierarchy:  # each size gets its equal share
        own["plateau"] = False
    if options.palette_weight is not None:
        first, last = method.palette_weight
        own["palette_weight"] = (options.palette_weight, options.palette_weight * last / first)
    if options.texture_hierarchy:
        own["texture_resolution"] = options.texture_hierarchy[-1]
    method = replace(method, **own)
    if options.keep_light is not None and not method.color_start:
        raise OptionsError(
            "--keep-light is of the colours that --color-start begins with, and here it begins with none; "
            "give --color-start 0.3, or leave --keep-light out."
        )
    if method.views == "scene" and not method.pattern_width:
        raise OptionsError(
            "--views scene needs a pattern width, which --preset paper, the paper's other style losses and a "
            "stage without extent have not; give --pattern-width, or leave --views out."
        )
    if method.visibility == "auto":
        method = replace(method, visibility="z-buffer" if cuda else "embree")
    return method


def _pattern_width(options: Options, method: Method, preset: PresetName, stage: PatternWidth) -> float:
    """Metres; 0 where each object is seen as a whole."""
    if options.pattern_width is not None:
        return options.pattern_width * stage.meters_per_unit
    whole = options.framing == "object" or options.camera_distance is not None or options.direct_texture
    as_in_paper = method.style_loss != "nnfm" or preset == "paper"
    return 0.0 if whole or (as_in_paper and options.framing is None) else stage.metres


def preset_name(options: PerformanceOptions, *, cuda: bool) -> PresetName:
    """The preset that `resolve` uses: where none is given, `standard` with a CUDA GPU, else `draft`."""
    if options.preset != "auto":
        return options.preset
    return "standard" if cuda else "draft"
