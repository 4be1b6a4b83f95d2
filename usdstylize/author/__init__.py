"""Writing: the layers, materials, variants and bakes of a result. Only this room and stage/ import pxr."""

from usdstylize.author.plan import OutputPlan, existing_styles, plan
from usdstylize.author.writer import Writer

__all__ = ["OutputPlan", "Writer", "existing_styles", "plan"]
