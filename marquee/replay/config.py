"""How a data set is replayed."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from marquee.config import TrainingConfig
from marquee.data.datasets.synthetic.load import SYNTHETIC
from marquee.evaluation.significance import BootstrapConfig

QUICK: Final[dict[str, Any]] = {
    "routes": {"enabled": ["ease", "sequential", "popular"]},
    "training_set": {"windows": 3, "max_queries": 600},
    "ranker": {"second_stage": "trees and blend", "lightgbm": {"n_estimators": 80}},
    "evaluation": {"bootstrap": {"resamples": 1_000}},
    # A hundred queries or two tell little of a single rank, and leave ±.025 of a difference to chance: at the
    # usual tolerance of .01 it would refuse most challengers.
    "gate": {
        "cuts": [{"k": 12, "tolerance": 0.05}],
        "bootstrap": {"resamples": 1_000},
    },
}
"""A training of some seconds: differences from the defaults."""


DENSE: Final[dict[str, Any]] = {
    "dataset": {"synthetic": {"n_events": 600_000, "n_users": 700, "n_items": 500}}
}
"""Size of the generator's data: of the usual one a user chooses two movies a week, which shows nothing."""


def quick_recipe(dataset: str = "", *, seed: int) -> TrainingConfig:
    """The training that a replay repeats, where none is given, and the size of a data set that has none.

    Args:
        dataset: its name.
        seed: of everything.
    """
    size = DENSE if dataset == SYNTHETIC else {}
    return TrainingConfig.from_values({**QUICK, **size, "seed": seed}, where="the replay's recipe")


class ReplayConfig(BaseModel):
    """How a data set is replayed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    warm_up_share: float = Field(default=0.35, gt=0, lt=1)
    """Of the data set's time, which the first model learns from; there the reference begins, too."""
    window_days: int = Field(default=7, ge=1)
    min_users: int = Field(default=60, ge=2)
    """A window with fewer goes on for another `window_days`."""
    n: int = Field(default=10, ge=1, le=100)
    """Length of a list, and the cut of NDCG."""
    request_shares: tuple[float, ...] = (0.0, 0.5)
    """When a user asks: so far through their events of the window; 0 is before the first."""
    min_events: int = Field(default=4, ge=2)
    """Of a user in the window, so that something is left to be met."""
    max_users: int = Field(default=200, ge=10)
    """More are sampled, seeded."""
    bootstrap: BootstrapConfig = BootstrapConfig(resamples=2_000)
