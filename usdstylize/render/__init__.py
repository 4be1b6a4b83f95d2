"""The differentiable renderer: cameras, visibility, texture sampling and shading."""

from usdstylize.render.cameras import Camera, draw_cameras, look_at
from usdstylize.render.flat import Window, draw_windows, flat_view
from usdstylize.render.scenes import added_area, draw_scene
from usdstylize.render.shading import decode_srgb, encode_base, encode_srgb, phong, shade
from usdstylize.render.sheets import Assembly, Sheet, assemble, normalize, one_sheet
from usdstylize.render.texture import Taps, find_taps, level_rows, level_sizes, mip_table, sample
from usdstylize.render.views import Subject, View, Views, in_slot, join, paint, trace_views
from usdstylize.render.visibility import (
    EmbreeVisibility,
    Hits,
    NvdiffrastVisibility,
    Visibility,
    ZBufferVisibility,
    available_cores,
    check_visibility,
    choose_visibility,
)
from usdstylize.render.windows import draw_coverings

__all__ = [
    "Assembly",
    "Camera",
    "EmbreeVisibility",
    "Hits",
    "NvdiffrastVisibility",
    "Sheet",
    "Subject",
    "Taps",
    "View",
    "Views",
    "Visibility",
    "Window",
    "ZBufferVisibility",
    "added_area",
    "assemble",
    "available_cores",
    "check_visibility",
    "choose_visibility",
    "decode_srgb",
    "draw_cameras",
    "draw_coverings",
    "draw_scene",
    "draw_windows",
    "encode_base",
    "encode_srgb",
    "find_taps",
    "flat_view",
    "in_slot",
    "join",
    "level_rows",
    "level_sizes",
    "look_at",
    "mip_table",
    "normalize",
    "one_sheet",
    "paint",
    "phong",
    "sample",
    "shade",
    "trace_views",
]
