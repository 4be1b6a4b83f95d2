"""Writing: the layers, materials, variants and bakes of a result, and what `verify` must know of them."""

from usdstylize.usd.write.bake import bake_wrap, combine
from usdstylize.usd.write.binding import bound_purposes
from usdstylize.usd.write.instancing import classes_by_instance, heroes_of
from usdstylize.usd.write.layout import ResultLayout, StyleLayout
from usdstylize.usd.write.live import STYLE_IMAGE
from usdstylize.usd.write.master import DIAL, MASTER, has_opinion
from usdstylize.usd.write.material import ORIGINAL, VARIANT_SET
from usdstylize.usd.write.mixable import Mixable
from usdstylize.usd.write.mtlx import STYLIZED_GRAPH
from usdstylize.usd.write.output_plan import (
    OutputPlan,
    existing_heroes,
    existing_styles,
    finished_objects,
    plan,
    result_remark,
)
from usdstylize.usd.write.package import check_package, packed_facts, write_package
from usdstylize.usd.write.parts import MIX, Dialled, Facts, Mixed, Part
from usdstylize.usd.write.preview import BAKE
from usdstylize.usd.write.provenance import (
    Provenance,
    read_layer,
    read_provenance,
    read_run,
    write_provenance,
)
from usdstylize.usd.write.selection import find_style_layer, select, stylized_materials
from usdstylize.usd.write.session import hide_in_session, session_folder, show_in_session
from usdstylize.usd.write.sharing import users
from usdstylize.usd.write.surface import DIFFUSE_SHARE
from usdstylize.usd.write.unfinished import Finished
from usdstylize.usd.write.writer import Writer

__all__ = [
    "BAKE",
    "DIAL",
    "DIFFUSE_SHARE",
    "MASTER",
    "MIX",
    "ORIGINAL",
    "STYLE_IMAGE",
    "STYLIZED_GRAPH",
    "VARIANT_SET",
    "Dialled",
    "Facts",
    "Finished",
    "Mixable",
    "Mixed",
    "OutputPlan",
    "Part",
    "Provenance",
    "ResultLayout",
    "StyleLayout",
    "Writer",
    "bake_wrap",
    "bound_purposes",
    "check_package",
    "classes_by_instance",
    "combine",
    "existing_heroes",
    "existing_styles",
    "find_style_layer",
    "finished_objects",
    "has_opinion",
    "heroes_of",
    "hide_in_session",
    "packed_facts",
    "plan",
    "read_layer",
    "read_provenance",
    "read_run",
    "result_remark",
    "select",
    "session_folder",
    "show_in_session",
    "stylized_materials",
    "users",
    "write_package",
    "write_provenance",
]
