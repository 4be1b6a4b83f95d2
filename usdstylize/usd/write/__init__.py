"""Writing: the layers, materials, variants and bakes of a result."""

from usdstylize.usd.write.package import write_package
from usdstylize.usd.write.plan import OutputPlan, existing_heroes, existing_styles, plan
from usdstylize.usd.write.select import select
from usdstylize.usd.write.session import hide_in_session, session_folder, show_in_session
from usdstylize.usd.write.writer import Writer

__all__ = [
    "OutputPlan",
    "Writer",
    "existing_heroes",
    "existing_styles",
    "hide_in_session",
    "plan",
    "select",
    "session_folder",
    "show_in_session",
    "write_package",
]
