"""One seed of a split without moments: learned from the training part, asked about the test part."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from threadpoolctl import threadpool_limits

from marquee.benchmarking.holdouts import Order, hidden_share
from marquee.benchmarking.learn import LearnConfig, Learned, learn
from marquee.benchmarking.measure import TWO_STAGE, UNION, Question, SeedResult, measure_models
from marquee.benchmarking.route_search import start_routes, usable_routes
from marquee.benchmarking.stage import SplitStage
from marquee.candidates.ease import EaseConfig
from marquee.candidates.route import Route
from marquee.candidates.union import UnionConfig
from marquee.config import TrainingConfig
from marquee.data.interactions import Interactions
from marquee.data.literature_split import LiteratureConfig, RandomSplit
from marquee.errors import NotEnoughDataError, RequestError
from marquee.evaluation.significance import BootstrapConfig
from marquee.features.state import SideTables
from marquee.observing import Observer, SilentObserver

EASE_PLAIN: Final = "ease_plain"
"""EASE as published, λ = 400, untuned: the yardstick."""


MIN_DEPTH: Final = 60
"""Best items of each route that enter the union of a split without moments, or twice the longest list."""


class BenchmarkConfig(BaseModel):
    """What is compared, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ks: tuple[int, ...] = (10,)
    """Cuts; the first one decides between knobs and second stages."""
    seeds: tuple[int, ...] = (7, 11, 13)
    """Each draws splits and models anew; what is given stays."""
    models: tuple[str, ...] = ()
    """Routes, `union`, `two_stage`; all where empty."""
    training: TrainingConfig = TrainingConfig()
    """Of the temporal protocol."""
    learning: LearnConfig = LearnConfig()
    """Of splits without moments."""
    literature: LiteratureConfig = LiteratureConfig()
    """The random split."""
    bootstrap: BootstrapConfig = BootstrapConfig()
    """Of the intervals."""


def measure_seed(
    split: RandomSplit,
    config: BenchmarkConfig,
    *,
    order: Order,
    seed: int,
    tables: SideTables | None = None,
    negatives: Mapping[int, NDArray[np.int32]] | None = None,
    observer: Observer | None = None,
) -> tuple[SeedResult, int]:
    """Learn from the training part, ask about the test part."""
    watch = observer or SilentObserver()
    has_facts = tables is not None and tables.movies is not None
    usable = usable_routes(order, has_facts=has_facts)
    names = model_names(config, usable, extra=(EASE_PLAIN,))
    wanted = usable if {UNION, TWO_STAGE} & set(names) else tuple(n for n in usable if n in names)
    stage = SplitStage.of(
        split.train,
        routes=start_routes(wanted or ("popular",), order),
        union=UnionConfig(depth=max(MIN_DEPTH, 2 * max(config.ks))),
        seed=seed,
        tables=tables,
    )
    question = _question(split, stage, negatives)
    stage_name = f"seed {seed}: learn"
    watch.begin(stage_name)
    start = perf_counter()
    learned = learn(
        split.train, stage, order=order, share=hidden_share(split), k=config.ks[0], config=config.learning
    )
    learned_seconds = perf_counter() - start
    watch.finish(stage_name, learned_seconds)
    with threadpool_limits(1, "blas"):
        routes, seconds = _timed_routes(learned, split.train, plain=EASE_PLAIN in names)
        seconds |= {TWO_STAGE: learned_seconds}
        stage_name = f"seed {seed}: ask"
        watch.begin(stage_name)
        start = perf_counter()
        measured = measure_models(
            learned.recommender, routes, question, ks=config.ks, names=names, fit_seconds=seconds
        )
        watch.finish(stage_name, perf_counter() - start)
    chosen = learned.stage.routes
    knobs = {name: chosen.knobs_of(name).model_dump(mode="json") for name in chosen.enabled}
    result = SeedResult(seed, measured, learned.chosen, learned.choices, knobs)
    return result, len(question.labelled)


def _question(
    split: RandomSplit, stage: SplitStage, negatives: Mapping[int, NDArray[np.int32]] | None
) -> Question:
    users = np.intersect1d(split.test.user_index, split.train.user_index).astype(np.int32)
    if negatives is not None:
        users = users[np.isin(users, list(negatives))]
    if not len(users):
        raise NotEnoughDataError(
            "no user of the test part has a training event"
            + (" and candidates." if negatives is not None else "."),
            remedy="Put what is known of the test users into the training file: they are asked with it.",
        )
    labelled = stage.ask(split.train, split.test, users=users)
    if negatives is None:
        return Question(labelled)
    kept = [np.union1d(negatives[int(user)], labelled.targets[row]) for row, user in enumerate(users)]
    return Question(labelled, tuple(items.astype(np.int32) for items in kept))


def _timed_routes(
    learned: Learned, known: Interactions, *, plain: bool
) -> tuple[dict[str, Route], dict[str, float]]:
    """The routes of the model and plain EASE, and the seconds that each takes to fit with its knobs."""
    routes: dict[str, Route] = dict(learned.recommender.routes)
    seconds: dict[str, float] = {}
    marks: list[tuple[str, float]] = []
    learned.stage.fit(known, on_route=lambda name: marks.append((name, perf_counter())))
    marks.append(("", perf_counter()))
    for (name, start), (_, end) in pairwise(marks):
        seconds[name] = end - start
    seconds[UNION] = sum(seconds.values())
    if plain:
        start = perf_counter()
        routes[EASE_PLAIN] = EaseConfig(regularization=400.0, half_life_events=None).fit(known, seed=0)
        seconds[EASE_PLAIN] = perf_counter() - start
    return routes, seconds


def model_names(config: BenchmarkConfig, routes: Sequence[str], *, extra: Sequence[str] = ()) -> list[str]:
    """The models that are asked for, of all that there are.

    Raises:
        RequestError: one of them is none.
    """
    every = [TWO_STAGE, UNION, *routes, *extra]
    if unknown := sorted(set(config.models) - set(every)):
        raise RequestError(
            f"--models {', '.join(unknown)}: there is no such model here.",
            remedy=f"Choose from {', '.join(every)}, or give all.",
        )
    return [name for name in every if not config.models or name in config.models]
