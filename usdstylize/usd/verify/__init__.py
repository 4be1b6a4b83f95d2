"""Verifying: what a written result must satisfy, read from disk."""

from usdstylize.usd.verify.result import verify

__all__ = ["verify"]
