"""Drives canaries: the loop, and what it makes of the cluster that it finds."""

from marquee.canary_loop.loop import CanaryLoop
from marquee.canary_loop.reconcile import Act, reconcile

__all__ = ["Act", "CanaryLoop", "reconcile"]
