"""Verifying: what a written result must satisfy, read from disk."""

from usdstylize.usd.verify.guards import is_on_stage
from usdstylize.usd.verify.reread import Source, object_at
from usdstylize.usd.verify.result import verify

__all__ = ["Source", "is_on_stage", "object_at", "verify"]
