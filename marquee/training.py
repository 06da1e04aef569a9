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
from marquee.data.dataset import Dataset
from marquee.data.histories import LabelledMoments, LabelledQueries
from marquee.data.interactions import Interactions
from marquee.data.splits import (
    TemporalSplit,
    consumed,
    temporal_split,
)
from marquee.diagnosis import Questions
from marquee.features.context import Calendar
from marquee.features.cross import Catalogue
from marquee.features.movie_states import MovieStates
from marquee.features.profiles import MovieProfiles
from marquee.features.reader import StateReader
from marquee.observing import Observer, SilentObserver, StageClock
from marquee.ranking.ranker import TrainingSet
from marquee.ranking.ratings import RatingModel
from marquee.ranking.second_stage import SecondStageChoice, fit_second_stage
from marquee.ranking.training_set import join_blocks, label_block
from marquee.recommend import Recommender, training_window
from marquee.training_moments import midnight_after, past_windows


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
class Rival:
    """The champion as the gate meets it."""

    config: TrainingConfig
    """Its recipe."""
    measured: Callable[[str, int], Recommender | None] = lambda _snapshot, _cut_us: None
    """Its model as it was measured, if that learned from this very snapshot up to this cut; else None."""


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a run learned and how it measured."""

    recommender: Recommender  # first stage refitted on all events, under the ranker
    evaluated: Recommender  # the one that was measured: it knows nothing after the cut
    split: TemporalSplit
    test: LabelledQueries  # what it was asked, and the answers
    assessment: Assessment
    second_stage: SecondStageChoice
    seconds: dict[str, float]


def train(
    dataset: Dataset,
    config: TrainingConfig,
    state: StateReader,
    *,
    champion: Rival | None = None,
    observer: Observer | None = None,
) -> TrainingResult:
    """Train, measure, judge and refit on one snapshot.

    The champion takes part with the model that was measured when it won, where that has seen just
    the events before this cut. On other data it takes part by its recipe, trained again on this very
    split: its measured model is older, and the one that is live has been refitted on events that the
    challenger is asked about. A recipe equal to the challenger's is then not trained twice: training
    is deterministic, and the two are one model.

    Args:
        dataset: the snapshot.
        config: all knobs; with the snapshot it determines the result.
        state: what was known of users and movies when, built of this snapshot.
        champion: what the challenger must not be worse than.
        observer: hears the stages.

    Raises:
        NotEnoughDataError: too few events to split, to learn from or to ask about.
    """
    clock = StageClock(observer or SilentObserver())
    with clock.stage("split"):
        events = consumed(dataset.interactions)
        split = temporal_split(events, config.temporal, seed=config.seed)
        first_stage = FirstStage.of(dataset, config, state)
    evaluated, choice = learn(split, first_stage, clock)
    test, assessment = measure(
        evaluated, split, events, first_stage, snapshot=dataset.snapshot_id, champion=champion, clock=clock
    )
    with clock.stage("refit on all events"):
        final = refit(events, first_stage)
    served = final.with_ranker(choice.ranker)
    return TrainingResult(served, evaluated, split, test, assessment, choice, clock.seconds)


def measure(
    evaluated: Recommender,
    split: TemporalSplit,
    events: Interactions,
    first_stage: FirstStage,
    *,
    snapshot: str,
    champion: Rival | None,
    clock: StageClock,
    champion_fails: bool = False,
) -> tuple[LabelledQueries, Assessment]:
    """Ask the model that knows nothing after the cut, and judge it; the champion as `train` says.

    Args:
        evaluated: the model.
        split: what it learned from.
        events: all of them, later ones too.
        first_stage: with the configuration and the feature store.
        snapshot: id of the data.
        champion: what the challenger must not be worse than.
        clock: times the stages.
        champion_fails: as `evaluation.gate.decide`.

    Returns:
        What it was asked with the answers, and the verdict.
    """
    config = first_stage.config
    rival = None
    if champion is not None:
        rival = champion.measured(snapshot, split.cut_us)
        if rival is None:
            is_same = champion.config.recipe == config.recipe
            rival = evaluated if is_same else _champion(champion.config, split, first_stage, clock)
    with clock.stage("evaluate") as report:
        asked, test = first_stage.ask(evaluated, split.test, events)
        rival = rival and rival.with_states(asked.catalogue.states)
        cold = newcomers(evaluated, split, events, first_stage.state, config)
        assessment = assess(
            asked, split, test, config, champion=rival, champion_fails=champion_fails, cold=cold,
            on_progress=report,
        )  # fmt: skip
    return test, assessment


def refit(events: Interactions, first_stage: FirstStage) -> Recommender:
    """The first stage to serve: of all events, with the movies' state of the night after and an index."""
    config = first_stage.config
    last_us = int(events.timestamp_us[-1])
    final = first_stage.fit(events, until_us=last_us, as_of_us=midnight_after(events))
    return replace(final, similar_index=index_similar(final.routes, config.similar, seed=config.seed))


def _champion(
    config: TrainingConfig, split: TemporalSplit, first_stage: FirstStage, clock: StageClock
) -> Recommender:
    """The champion's recipe on the challenger's split."""
    return learn(split, replace(first_stage, config=config), clock, prefix="champion: ")[0]


def learn(
    split: TemporalSplit, first_stage: FirstStage, clock: StageClock, *, prefix: str = ""
) -> tuple[Recommender, SecondStageChoice]:
    """Both stages from the events before the cut, by the recipe of `first_stage.config`.

    Raises:
        NotEnoughDataError: as `collect_training_set`.
    """
    config = first_stage.config
    with clock.stage(f"{prefix}training set") as report:
        windows = collect_windows(split.train, first_stage, on_progress=report)
    with clock.stage(f"{prefix}ranker") as report:
        choice = fit_second_stage(
            windows,
            config.ranker,
            seed=config.seed,
            on_round=lambda done, _ranker: report(done, config.ranker.n_rounds),
        )
    with clock.stage(f"{prefix}candidates"):
        recommender = first_stage.fit(split.train, until_us=split.cut_us)
    return recommender.with_ranker(choice.ranker), choice


def collect_training_set(
    train: Interactions,
    first_stage: FirstStage,
    *,
    on_progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> TrainingSet:
    """The rows of `collect_windows` as one training set.

    Raises:
        NotEnoughDataError: no window yields a query whose answer the first stage proposed.
    """
    return join_blocks(collect_windows(train, first_stage, on_progress=on_progress))


def collect_windows(
    train: Interactions,
    first_stage: FirstStage,
    *,
    on_progress: Callable[[float, float], None] = lambda _done, _total: None,
) -> list[TrainingSet]:
    """The ranker's rows from past windows, the newest window first, until there are enough queries.

    For each window the first stage is fitted on the events before it; the queries of its users are
    labelled with what they consumed in it. A window whose queries teach nothing is left out.
    """
    config = first_stage.config.training_set
    rng = np.random.default_rng(first_stage.config.seed)
    found: list[TrainingSet] = []
    for number, (after_us, moments) in enumerate(past_windows(train, config, seed=first_stage.config.seed)):
        if len(moments):
            recommender = first_stage.fit(train, until_us=after_us)
            recommender, queries = first_stage.ask(recommender, moments, train)
            with threadpool_limits(1, "blas"):  # other thread counts round otherwise: other trees
                rows = labelled_rows(recommender, queries, rng, max_passed_over=config.max_passed_over)
                blocks = [block for block in rows if len(block.labels)]
            found += [join_blocks(blocks)] if blocks else []
        on_progress(number + 1, config.windows)
    on_progress(config.windows, config.windows)
    return found


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
