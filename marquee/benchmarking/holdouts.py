"""Questions out of the training part: some events are hidden, the rest is known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.data.interactions import Interactions
from marquee.data.literature_split import RandomSplit

Order = Literal["random", "time"]
"""How the test part was drawn: at random, or as the last events of each user."""

LEAST_SHARE: Final = 0.01
MOST_SHARE: Final = 0.5


class HoldoutConfig(BaseModel):
    """How the training part is divided again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int = Field(default=4, ge=2)
    """Hold-outs at most; the ranker's rows come from each, and the last one chooses between rankers."""
    max_queries: int = Field(default=4_000, ge=1)
    """Questions over all hold-outs; more users are sampled down."""
    max_choice_queries: int = Field(default=3_000, ge=1)
    """Users that knobs of routes and rankers are compared on."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """Events that are known, and the hidden ones that a model is asked about."""

    known: Interactions
    hidden: Interactions
    known_share: float  # of all training events


def hidden_share(split: RandomSplit) -> float:
    """The share of events to hide: what the test part hides of the users that it asks about."""
    asked = np.zeros(len(split.train.users), bool)
    asked[split.test.user_index] = True
    n_known = np.count_nonzero(asked[split.train.user_index])
    n_asked = np.count_nonzero(np.isin(split.test.user_index, split.train.user_index))
    share = float(n_asked) / max(1, int(n_asked + n_known))
    return min(max(share, LEAST_SHARE), MOST_SHARE)


def order_of(split: RandomSplit) -> Order:
    """`time` where nearly all test events come after their user's last training event, else `random`.

    Where the events carry no times, all are at moment 0, which says nothing of their order.
    """
    last = np.full(len(split.train.users), np.iinfo(np.int64).min)
    np.maximum.at(last, split.train.user_index, split.train.timestamp_us)
    has_past = np.isin(split.test.user_index, split.train.user_index)
    if not has_past.any() or not np.ptp(split.train.timestamp_us):
        return "random"
    later = split.test.timestamp_us[has_past] >= last[split.test.user_index[has_past]]
    return "time" if later.mean() > 0.95 else "random"


def timeless(interactions: Interactions) -> Interactions:
    """The events all at moment 0, so that no model reads an order into them."""
    return replace(interactions, timestamp_us=np.zeros(len(interactions), np.int64))


def holdouts(
    train: Interactions, order: Order, *, share: float, config: HoldoutConfig, seed: int
) -> Iterator[Holdout]:
    """Hold-outs of about `share` of each user's events, each with other events hidden.

    Where the order is random, every event is drawn into one of 1 ÷ share parts and each hold-out hides
    one of them. Where it is time, the first hides the last events of each user, at least one; the
    second knows nothing of those and hides the ones before, and so on: nobody learns from a later
    event of the same user.
    """
    part_of = _random_parts if order == "random" else _parts_from_the_end
    part = part_of(train, share, np.random.default_rng(seed))
    n_folds = min(config.folds, int(part.max()) + 1) if len(train) else 0
    for fold in range(n_folds):
        hidden = part == fold
        is_known = ~hidden if order == "random" else part > fold
        has_past = np.isin(train.user_index, train.user_index[is_known])
        if (hidden & has_past).any():
            yield Holdout(train.take(is_known), train.take(hidden & has_past), float(is_known.mean()))


def _random_parts(train: Interactions, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    n_parts = max(2, round(1 / share))
    parts: NDArray[np.int64] = rng.permutation(np.arange(len(train)) % n_parts)
    return parts


def _parts_from_the_end(train: Interactions, share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """0 for the last share of each user's events, 1 for the share before; ties of time at random."""
    tie = rng.random(len(train))
    order = np.lexsort((tie, train.timestamp_us, train.user_index))
    user = train.user_index[order]
    counts = np.bincount(user, minlength=len(train.users))
    from_end = np.cumsum(counts)[user] - 1 - np.arange(len(user))
    width = np.maximum(1, np.round(share * counts)).astype(np.int64)[user]
    part = np.empty(len(train), np.int64)
    part[order] = from_end // width
    return part
