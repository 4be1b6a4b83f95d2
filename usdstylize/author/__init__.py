"""Writing: the layers, materials, variants and bakes of a result. Only this room and stage/ import pxr."""

from usdstylize.author.checks import Check, VerifyReport
from usdstylize.author.package import write_package
from usdstylize.author.plan import OutputPlan, existing_heroes, existing_styles, plan
from usdstylize.author.select import select
from usdstylize.author.session import hide_in_session, session_folder, show_in_session
from usdstylize.author.verify import verify
from usdstylize.author.writer import Writer

__all__ = [
    "Check",
    "OutputPlan",
    "VerifyReport",
    "Writer",
    "existing_heroes",
    "existing_styles",
    "hide_in_session",
    "plan",
    "select",
    "session_folder",
    "show_in_session",
    "verify",
    "write_package",
]
