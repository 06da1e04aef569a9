"""The training run, step by step: split → training set → ranker → evaluate → gate → refit.

Each step is one function, so that an orchestrator can call the very same ones; `train` calls them
in order. Nothing here reads files or prints: the snapshot comes in, the result goes out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from marquee.assessment import Assessment, assess, newcomers
from marquee.candidates.movie_facts import MovieFacts, descriptions_of
from marquee.candidates.routes import fit_routes
from marquee.candidates.similar_index import index_similar
from marquee.config import TrainingConfig
from marquee.data.cold_moments import cold_moments
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledMoments, LabelledQueries
from marquee.data.interactions import Interactions
from marquee.data.splits import (
    TemporalConfig,
    TemporalSplit,
    consumed,
    cut_moments,
    sample_moments,
    temporal_split,
    time_quantile,
)
from marquee.diagnosis import Questions
from marquee.features.context import DAY_US, Calendar
from marquee.features.cross import Catalogue
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles
from marquee.features.reader import StateReader
from marquee.observing import Observer, SilentObserver, StageClock
from marquee.ranking.ranker import TrainingSet
from marquee.ranking.rankers import fit_ranker
from marquee.ranking.ratings import RatingModel
from marquee.ranking.training_set import TrainingSetConfig, join_blocks, label_block
from marquee.recommend import Recommender, training_window


@dataclass(frozen=True, eq=False)
class FirstStage:
    """Fits routes on the events up to a moment, and asks the feature store for everything else."""

    config: TrainingConfig
    state: StateReader
    calendar: Calendar
    movies: pl.DataFrame | None = None
    """For the descriptions: texts are no part of the state."""

    @classmethod
    def of(cls, dataset: Dataset, config: TrainingConfig, state: StateReader) -> "FirstStage":
        """For one data set and the state that was built of it."""
        return cls(config, state, Calendar.of(dataset.calendar), dataset.movies)

    def fit(self, interactions: Interactions, *, until_us: int, as_of_us: int | None = None) -> Recommender:
        """A recommender without a ranker that knows nothing after `until_us` (UTC microseconds).

        Args:
            interactions: consumed events, later ones too.
            until_us: the last moment to learn from.
            as_of_us: the movies' state is of this moment; of `until_us` by default.
        """
        past = training_window(interactions, until_us)
        moment_us = until_us if as_of_us is None else as_of_us
        items = past.items
        rows = self.state.movies(items.ids, np.full(len(items), moment_us, np.int64))
        catalogue = Catalogue(
            movies=MovieProfiles.of(rows),
            states=MovieStates.of_rows(rows, np.array([moment_us], np.int64)),
            calendar=self.calendar,
        )
        return Recommender(
            items=items,
            routes=fit_routes(
                past,
                self.config.routes,
                seed=self.config.seed,
                facts=MovieFacts.of(rows, descriptions_of(items, self.movies)),
            ),
            catalogue=catalogue,
            union=self.config.union,
            views_off=self.config.features.views_off,
            ratings=RatingModel.fit(past, self.config.ratings, seed=self.config.seed),
            policy=self.config.policy,
        )

    def ask(
        self, recommender: Recommender, moments: LabelledMoments, events: Interactions
    ) -> tuple[Recommender, LabelledQueries]:
        """`Questions.of` the state of this stage."""
        asked = Questions.of(recommender, moments, events, self.state)
        return asked.recommender, asked.labelled


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a run learned and how it measured."""

    recommender: Recommender  # first stage refitted on all events, under the ranker
    evaluated: Recommender  # the one that was measured: it knows nothing after the cut
    split: TemporalSplit
    test: LabelledQueries  # what it was asked, and the answers
    assessment: Assessment
    seconds: dict[str, float]


def train(
    dataset: Dataset,
    config: TrainingConfig,
    state: StateReader,
    *,
    champion: TrainingConfig | None = None,
    observer: Observer | None = None,
) -> TrainingResult:
    """Train, measure, judge and refit on one snapshot.

    The champion takes part by its recipe: it is trained again on this very split, since the bundle
    that is live has been refitted on events that the challenger is asked about. A recipe equal to
    the challenger's is not trained twice: training is deterministic, and the two are one model.

    Args:
        dataset: the snapshot.
        config: all knobs; with the snapshot it determines the result.
        state: what was known of users and movies when, built of this snapshot.
        champion: the recipe that the challenger must not be worse than.
        observer: hears the stages.

    Raises:
        NotEnoughDataError: too few events to split, to learn from or to ask about.
    """
    clock = StageClock(observer or SilentObserver())
    with clock.stage("split"):
        events = consumed(dataset.interactions)
        split = temporal_split(events, config.temporal, seed=config.seed)
        first_stage = FirstStage.of(dataset, config, state)
    evaluated = learn(split, first_stage, clock)
    rival = None
    if champion is not None:
        is_same = champion.recipe == config.recipe
        rival = evaluated if is_same else _champion(champion, split, first_stage, clock)
    with clock.stage("evaluate") as report:
        asked, test = first_stage.ask(evaluated, split.test, events)
        rival = rival and rival.with_states(asked.catalogue.states)
        cold = newcomers(evaluated, split, events, state, config)
        assessment = assess(asked, split, test, config, champion=rival, cold=cold, on_progress=report)
    with clock.stage("refit on all events"):
        last_us = int(events.timestamp_us[-1])
        # The state of the night after: all events are in it.
        midnight_us = (last_us // DAY_US + 1) * DAY_US
        final = first_stage.fit(events, until_us=last_us, as_of_us=midnight_us)
        index = index_similar(final.routes, config.similar, seed=config.seed)
    served = replace(final, ranker=evaluated.ranker, similar_index=index)
    return TrainingResult(served, evaluated, split, test, assessment, clock.seconds)


def _champion(
    config: TrainingConfig, split: TemporalSplit, first_stage: FirstStage, clock: StageClock
) -> Recommender:
    """The champion's recipe on the challenger's split."""
    return learn(split, replace(first_stage, config=config), clock, prefix="champion: ")


def learn(
    split: TemporalSplit, first_stage: FirstStage, clock: StageClock, *, prefix: str = ""
) -> Recommender:
    """Both stages from the events before the cut, by the recipe of `first_stage.config`.

    Raises:
        NotEnoughDataError: as `collect_training_set`.
    """
    config = first_stage.config
    with clock.stage(f"{prefix}training set") as report:
        training = collect_training_set(split.train, first_stage, on_progress=report)
    with clock.stage(f"{prefix}ranker") as report:
        ranker = fit_ranker(
            training,
            config.ranker,
            seed=config.seed,
            on_round=lambda done, _ranker: report(done, config.ranker.n_rounds),
        )
    with clock.stage(f"{prefix}candidates"):
        return first_stage.fit(split.train, until_us=split.cut_us).with_ranker(ranker)


def collect_training_set(
    train: Interactions,
    first_stage: FirstStage,
    *,
    on_progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> TrainingSet:
    """The ranker's rows from past windows, the newest window first, until there are enough queries.

    For each window the first stage is fitted on the events before it; the queries of its users are
    labelled with what they consumed in it.

    Raises:
        NotEnoughDataError: no window yields a query whose answer the first stage proposed.
    """
    config = first_stage.config.training_set
    rng = np.random.default_rng(first_stage.config.seed)
    blocks: list[TrainingSet] = []
    n_queries = 0
    for number, (after_us, until_us) in enumerate(_windows(train, config.windows, config.window_share)):
        moments = _window_moments(
            train, config, after_us=after_us, until_us=until_us, seed=first_stage.config.seed
        )
        moments = sample_moments(moments, config.max_queries - n_queries, seed=first_stage.config.seed)
        if len(moments):
            recommender = first_stage.fit(train, until_us=after_us)
            recommender, queries = first_stage.ask(recommender, moments, train)
            with threadpool_limits(1, "blas"):  # other thread counts round otherwise: other trees
                blocks += labelled_rows(recommender, queries, rng, max_passed_over=config.max_passed_over)
        n_queries += len(moments)
        on_progress(number + 1, config.windows)
        if n_queries >= config.max_queries:
            break
    on_progress(config.windows, config.windows)
    return join_blocks(blocks)


def _window_moments(
    train: Interactions, config: TrainingSetConfig, *, after_us: int, until_us: int, seed: int
) -> LabelledMoments:
    """The labelled moments of one window: users in the midst of it, and newcomers."""
    moments = cut_moments(
        train,
        after_us=after_us,
        until_us=until_us,
        shares=config.history_shares,
        min_events=config.min_events,
    )
    if not config.newcomers:
        return moments
    begun = cold_moments(
        train,
        after_us=after_us,
        until_us=until_us,
        config=TemporalConfig(min_events=config.min_events),
        seed=seed,
    )
    return LabelledMoments.joined([moments, begun])


def _windows(train: Interactions, n: int, share: float) -> Iterator[tuple[int, int]]:
    """Bounds (after, until] of at most `n` windows, newest first, each `share` of the events."""
    for number in range(n):
        start, end = 1 - (number + 1) * share, 1 - number * share
        if start <= 0:
            return
        yield time_quantile(train, start), time_quantile(train, end)


def labelled_rows(
    recommender: Recommender,
    labelled: LabelledQueries,
    rng: np.random.Generator,
    *,
    max_passed_over: int | None = None,
) -> Iterator[TrainingSet]:
    """The ranker's rows from labelled queries, block by block; `max_passed_over` as in `label_block`."""
    for rows in recommender.blocks(labelled.queries):
        yield label_block(
            labelled.block(rows),
            recommender.propose,
            feature_names=recommender.feature_names,
            rng=rng,
            max_passed_over=max_passed_over,
        )
