"""From two windows to a drift decision: split, calibrate, measure, decide."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np

from marquee.monitoring.calibration import Null, fit_null, largest_window
from marquee.monitoring.decision import Decision, QualityFacts, WindowFacts, decide_on
from marquee.monitoring.drift_config import DriftConfig
from marquee.monitoring.drift_policy import DriftState
from marquee.monitoring.signals import Measured, Reference
from marquee.monitoring.window import Window

_SALT: Final = "marquee drift"


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A reference, split in two: for many windows."""

    reference: Reference
    held_out: Window
    config: DriftConfig
    seed: int
    _nulls: dict[int, Null | None] = field(default_factory=dict)

    @cached_property
    def _pool(self) -> Measured:
        return self.reference.measure(self.held_out)

    def units_of(self, window: Window) -> int:
        """How many units of a window are measured: at most a fifth of the held-out ones."""
        return min(len(window), largest_window(len(self.held_out)))

    def null(self, n: int) -> Null | None:
        """What windows of `n` ordinary units measure; None where `n` is too small to be tested."""
        if n not in self._nulls:
            rng = np.random.default_rng(self.seed)
            testable = n >= self.config.policy.users_to_test and len(self.reference.window) > 0
            self._nulls[n] = fit_null(self._pool, n, rng=rng, draws=self.config.draws) if testable else None
        return self._nulls[n]


def calibrate(reference: Window, *, config: DriftConfig | None = None, seed: int = 0) -> Calibrated:
    """Split a reference by its users: those to compare with, and those that calibrate.

    Args:
        reference: units of the past.
        config: how.
        seed: of the split and the draws.
    """
    config = config or DriftConfig()
    compared, held_out = reference.split(config.held_out_share, salt=f"{_SALT} {seed}")
    return Calibrated(Reference.of(compared, held_out), held_out, config, seed)


def judge_window(
    calibrated: Calibrated,
    current: Window,
    facts: WindowFacts,
    *,
    state: DriftState,
    quality: QualityFacts | None = None,
    notes: tuple[str, ...] = (),
) -> Decision:
    """Measure a window and decide.

    Args:
        calibrated: what it is held against.
        current: the window's units.
        facts: its record; the numbers of units are filled in.
        state: of the windows before.
        quality: what the data gate said of it.
        notes: for the record.
    """
    n = calibrated.units_of(current)
    null = calibrated.null(n)
    sampled = current.sampled(n, rng=np.random.default_rng(calibrated.seed))
    counted = facts.model_copy(
        update={
            "users": len(sampled),
            "users_in_window": len(current),
            "reference_users": len(calibrated.reference.window),
            "pool": len(calibrated.held_out),
            "seed": calibrated.seed,
        }
    )
    raw = distance = None
    if null is not None:
        measured = calibrated.reference.measure(sampled)
        raw = measured.raw()
        everybody = np.arange(len(sampled))
        distance = measured.source_distance(everybody) if measured.source_distance else None
    return decide_on(
        counted, raw=raw, null=null, source_distance=distance, quality=quality,
        state=state, policy=calibrated.config.policy, notes=notes,
    )  # fmt: skip
