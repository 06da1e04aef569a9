"""The published random split, for tables only: no time, so no before and after."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.data.interactions import Interactions
from marquee.errors import NotEnoughDataError


class LiteratureConfig(BaseModel):
    """The split that recommenders-team publishes its table with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_ratio: float = Field(default=0.75, gt=0, lt=1)
    """Share of each item's events that trains."""


@dataclass(frozen=True, eq=False)
class RandomSplit:
    """Events to learn from and events to be asked about."""

    train: Interactions
    test: Interactions


def stratified_split(interactions: Interactions, config: LiteratureConfig, *, seed: int) -> RandomSplit:
    """Draw round(ratio × count) of each item's events to train, the others to test.

    Every event is a positive, whatever its value. Half a row is rounded to the even number, so that an
    item with one event trains and one with two trains with both.
    Source: `python_stratified_split` of recommenders-team/recommenders 1.2 with ratio .75, min_rating 1,
    filter_by item. The draws are numpy's PCG64, not its legacy generator: the same law, other rows.

    Raises:
        NotEnoughDataError: nothing is left to ask about.
    """
    is_train = drawn_per_item(interactions, config.train_ratio, seed=seed)
    if is_train.all():
        raise NotEnoughDataError(
            f"none of {len(interactions)} events is left to ask about at train_ratio {config.train_ratio:g}.",
            remedy="Bring more events per item, or lower the ratio.",
        )
    return RandomSplit(interactions.take(is_train), interactions.take(~is_train))


def drawn_per_item(interactions: Interactions, ratio: float, *, seed: int) -> NDArray[np.bool_]:
    """Which events are among the round(ratio × count) drawn of their item, `(n_events,) bool`."""
    item = interactions.item_index
    draw = np.random.default_rng(seed).random(len(item))
    order = np.lexsort((draw, item))
    ordered = item[order]
    rank = np.arange(len(item)) - np.searchsorted(ordered, ordered) + 1
    counts = np.bincount(item)[ordered] if len(item) else np.empty(0, np.int64)
    drawn = np.empty(len(item), bool)
    drawn[order] = rank <= np.round(ratio * counts)
    return drawn
