"""The search for a ranker on one data set: learn before a moment, be asked after it, never about the test.

The training part of the temporal split is divided again. Everything up to the inner cut makes the
ranker's training set; the newest events of the training part ask the questions. The events after the
outer cut, which `marquee train` measures on, take no part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits

from marquee.candidates.union import Candidates
from marquee.config import HEADLINE_K, TrainingConfig
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledQueries
from marquee.data.interactions import UNKNOWN_INDEX, Interactions, Ragged
from marquee.data.splits import consumed, cut_moments, sample_moments, temporal_split, time_quantile
from marquee.errors import NotEnoughDataError
from marquee.evaluation.ranking_metrics import ndcg
from marquee.evaluation.relevance import judge
from marquee.features.reader import StateReader
from marquee.observing import StageClock
from marquee.ranking.search import Search, SearchConfig, SearchResult, Validation
from marquee.ranking.search_space import SearchSpace
from marquee.recommend import Lists, Recommender
from marquee.studies import subject
from marquee.training import FirstStage, collect_training_set


class ValidationConfig(BaseModel):
    """Which questions the trials are compared on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_share: float = Field(default=0.2, gt=0, lt=1)
    """The newest share of the training events asks; the ranker learns from those before."""
    history_shares: tuple[float, ...] = (0.25, 0.5, 0.75)
    """Questions per user: the share of the window's events that joins the history."""
    min_events: int = Field(default=10, ge=2)
    """A user is asked only with at least this many events in the window."""
    max_queries: int = Field(default=2_000, ge=1)
    """Questions in all; more are sampled down."""


@dataclass(frozen=True, eq=False)
class WholeLists:
    """NDCG of whole lists: the candidates of many queries, put in order by a score each.

    What the first stage did not propose counts as missed, as it does when a model is measured.
    """

    parts: Sequence[tuple[slice, Candidates]]
    targets: Ragged

    def __call__(self, scores: NDArray[np.float64]) -> float:
        """Mean NDCG at the headline's cut for scores of all candidates, `(n_rows,)`."""
        n = len(self.targets)
        lists = Lists(
            np.full((n, HEADLINE_K), UNKNOWN_INDEX, np.int32), np.full((n, HEADLINE_K), np.nan, np.float32)
        )
        start = 0
        for rows, candidates in self.parts:
            stop = start + len(candidates.item_index)
            Recommender.fill(lists, rows, candidates, scores[start:stop].astype(np.float32))
            start = stop
        return float(ndcg(judge(lists.item_index, self.targets), HEADLINE_K).mean())

    @classmethod
    def of(cls, recommender: Recommender, asked: LabelledQueries) -> tuple[Self, NDArray[np.float32]]:
        """The lists to be made for queries, and the features of their candidates, `(n_rows, n_features)`."""
        parts, features = [], []
        for rows in recommender.blocks(asked.queries):
            block = asked.queries.block(rows)
            candidates, values = recommender.propose(block)
            parts.append((rows, candidates))
            features.append(values)
        return cls(parts, asked.targets), np.concatenate(features)


def tune(
    dataset: Dataset,
    config: TrainingConfig,
    state: StateReader,
    *,
    space: SearchSpace,
    search: SearchConfig,
    study: Path,
    clock: StageClock,
    validation: ValidationConfig | None = None,
) -> SearchResult:
    """Search for the ranker that makes the best lists in the newest part of the training events.

    Args:
        dataset: the snapshot.
        config: the recipe that the ranker is chosen for; its own ranker is where the search starts.
        state: what was known of users and movies when.
        space: what may vary.
        search: the budget.
        study: file that keeps the trials; a search of the same identity goes on from it.
        clock: hears the stages.
        validation: the questions; those of `ValidationConfig` by default.

    Raises:
        NotEnoughDataError: too few events to split, to learn from or to ask about.
        ConfigError: the study's file is none, or that of another search.
    """
    validation = validation or ValidationConfig()
    with clock.stage("split"):
        train = temporal_split(consumed(dataset.interactions), config.temporal, seed=config.seed).train
        first_stage = FirstStage.of(dataset, config, state)
        cut_us = time_quantile(train, 1 - validation.window_share)
    with clock.stage("training set") as report:
        past = train.take(train.timestamp_us <= cut_us)
        training = collect_training_set(past, first_stage, on_progress=report)
    with clock.stage("validation"):
        lists, features = _validation(train, first_stage, cut_us, validation)
    with clock.stage("search") as report:
        identity = {
            **subject(dataset.snapshot_id, config),
            "validation": validation.model_dump(mode="json"),
        }
        return Search(training, Validation(features, lists), space, config.ranker, search, config.seed).run(
            study, identity=identity, on_trial=_progress(search, report)
        )


def _validation(
    train: Interactions, first_stage: FirstStage, cut_us: int, config: ValidationConfig
) -> tuple[WholeLists, NDArray[np.float32]]:
    """The questions after the inner cut, asked of a first stage that knows nothing after it."""
    moments = cut_moments(train, after_us=cut_us, shares=config.history_shares, min_events=config.min_events)
    if not len(moments):
        raise NotEnoughDataError(
            f"no user has {config.min_events} events at two or more moments in the newest "
            f"{config.window_share:.0%} of the training events, so that no ranker can be compared.",
            remedy="Bring more events.",
        )
    moments = sample_moments(moments, config.max_queries, seed=first_stage.config.seed)
    recommender = first_stage.fit(train, until_us=cut_us)
    recommender, asked = first_stage.ask(recommender, moments, train)
    with threadpool_limits(1, "blas"):  # other thread counts round otherwise: ties fall otherwise
        return WholeLists.of(recommender, asked)


def _progress(search: SearchConfig, report: Callable[[float, float], None]) -> Callable[[int, float], None]:
    """Trials and time as the share of their budget that is nearer to its end."""

    def on_trial(n_finished: int, seconds: float) -> None:
        report(min(1.0, max(n_finished / search.trials, seconds / search.seconds)), 1.0)

    return on_trial
