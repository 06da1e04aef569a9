"""How much an event counts by its value: a movie that was loved says more of a taste than one sat through."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from marquee.data.interactions import Interactions

LEAST: Final = 0.5
MOST: Final = 1.5


@dataclass(frozen=True)
class ValueWeights:
    """Weight of an event: 1 + strength × (value - mean) ÷ spread, within [LEAST, MOST]; 1 without a value."""

    strength: float = 0.0
    mean: float = 0.0  # of the values that were learned from
    spread: float = 1.0  # their standard deviation

    @classmethod
    def of(cls, interactions: Interactions, strength: float) -> Self:
        """Measure the values; where all are alike or there are none, every event weighs 1."""
        known = interactions.value[np.isfinite(interactions.value)].astype(np.float64)
        spread = float(known.std()) if len(known) else 0.0
        if strength == 0 or spread == 0:
            return cls()
        return cls(strength, float(known.mean()), spread)

    def weigh(self, value: NDArray[np.float32]) -> NDArray[np.float32]:
        """Weights of events, `(n_events,) float32`, from their values, NaN where there is none."""
        if self.strength == 0:
            return np.ones(len(value), np.float32)
        weight = 1 + self.strength * (value - np.float32(self.mean)) / np.float32(self.spread)
        weight = np.minimum(np.maximum(weight, LEAST), MOST)
        return np.where(np.isfinite(value), weight, np.float32(1))

    def to_array(self) -> NDArray[np.float64]:
        """As one array `(3,)` for a bundle."""
        return np.array([self.strength, self.mean, self.spread], np.float64)

    @classmethod
    def from_array(cls, values: NDArray[np.generic]) -> Self:
        """Of `to_array`."""
        return cls(*(float(value) for value in np.asarray(values, np.float64)))
