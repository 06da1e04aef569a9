"""The ranker's training rows: what the first stage proposed, labelled by what was then consumed.

Negatives are candidates of the serving generator that the user passed over, never random items:
a ranker that has only learned to tell movies from noise is useless on a list of good candidates.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from marquee.data.histories import LabelledQueries, Queries
from marquee.errors import NotEnoughDataError
from marquee.ranking.ranker import TrainingSet


class TrainingSetConfig(BaseModel):
    """Which past moments the ranker learns from.

    The windows end at the cut and follow one another backwards in time. For each, the first stage
    is fitted on everything before the window, so that the ranker sees the candidates and scores
    that it would have been given then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int = Field(default=10, ge=1)
    """How many windows at most; fewer are used once there are `max_queries`."""
    window_share: float = Field(default=0.07, gt=0, lt=1)
    """Share of the training events in one window."""
    history_shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    """Cut-points per user: the share of the window's events that joins the history."""
    newcomers: bool = True
    """Whether moments at which a user had hardly begun are learned from, too."""
    min_events: int = Field(default=4, ge=2)
    """A user makes queries from a window only with at least this many events in it."""
    max_queries: int = Field(default=4_000, ge=1)
    """Queries in all; more are sampled down."""
    max_passed_over: int | None = Field(default=100, ge=1)
    """Candidates of a query that were passed over and are learned from, drawn at random; None for all."""


class Proposals(Protocol):
    """Candidates of a block of queries: query `i` owns rows `offsets[i]:offsets[i + 1]`."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """`(n_queries + 1,)`."""
        ...

    @property
    def item_index(self) -> NDArray[np.int32]:
        """`(n_rows,)`."""
        ...


Propose = Callable[[Queries], tuple[Proposals, NDArray[np.float32]]]
"""The first stage and the features of one block of queries."""


def label_block(
    labelled: LabelledQueries,
    propose: Propose,
    *,
    feature_names: tuple[str, ...],
    rng: np.random.Generator,
    max_passed_over: int | None = None,
) -> TrainingSet:
    """Training rows of one block of queries; queries of which no target was proposed teach nothing.

    Rows are shuffled within their query, since LambdaRank breaks equal scores by position and the
    candidates' order by item index would otherwise teach that low ids are good. Of the candidates that
    were passed over at most `max_passed_over` a query remain, the first ones after shuffling.
    """
    proposals, features = propose(labelled.queries)
    sizes = np.diff(proposals.offsets)
    query = np.repeat(np.arange(len(labelled)), sizes)
    labels = labelled.targets.holds(query, proposals.item_index).astype(np.int8)
    hits = np.bincount(query, labels, minlength=len(labelled))
    kept = np.flatnonzero((hits > 0)[query])
    order = kept[np.lexsort((rng.random(len(kept)), query[kept]))]
    if max_passed_over is not None:
        order = order[_is_among_first(query[order], labels[order] == 0, max_passed_over)]
    group_sizes = np.bincount(query[order], minlength=len(labelled))[hits > 0].astype(np.int32)
    return TrainingSet(features[order], labels[order], group_sizes, feature_names)


def _is_among_first(query: NDArray[np.int64], is_counted: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """Whether a row is not counted, or among the first `n` counted ones of its query; `query` ascends."""
    counted = np.cumsum(is_counted)
    starts = np.searchsorted(query, query)
    before_query: NDArray[np.int64] = counted[starts] - is_counted[starts]
    return np.asarray(~is_counted | (counted - before_query <= n))


def join_blocks(blocks: Sequence[TrainingSet]) -> TrainingSet:
    """One training set of several.

    Raises:
        NotEnoughDataError: if they hold no row.
    """
    filled = [block for block in blocks if len(block.labels)]
    if not filled:
        raise NotEnoughDataError(
            "no past query has a candidate that was then consumed, so that the ranker has nothing to learn.",
            remedy="Bring more events, or raise union.depth or lower training_set.min_events.",
        )
    return TrainingSet(
        features=np.concatenate([block.features for block in filled]),
        labels=np.concatenate([block.labels for block in filled]),
        group_sizes=np.concatenate([block.group_sizes for block in filled]),
        feature_names=filled[0].feature_names,
    )
