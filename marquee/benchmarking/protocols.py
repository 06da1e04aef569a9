"""Three ways to a table: the temporal protocol, the literature's random split, files of one's own."""

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from marquee.benchmarking.holdouts import Order, order_of, timeless
from marquee.benchmarking.measure import TWO_STAGE, UNION, Question, SeedResult, measure_models, summarise
from marquee.benchmarking.seed import BenchmarkConfig, measure_seed, model_names
from marquee.data.dataset import Dataset
from marquee.data.given_split import read_given_split, read_negatives
from marquee.data.literature_split import RandomSplit, stratified_split
from marquee.data.splits import consumed
from marquee.features.movie_states import read_movie_states
from marquee.features.reader import StateReader
from marquee.features.state import SideTables
from marquee.observing import Observer, peak_rss_mb
from marquee.training import train

Protocol = Literal["temporal", "literature"]


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A whole table, in plain values ready for JSON."""

    protocol: str
    data: str
    config: BenchmarkConfig
    results: tuple[SeedResult, ...]
    n_queries: int  # of the last seed
    notes: tuple[str, ...]
    peak_memory_mib: float = field(default_factory=lambda: round(peak_rss_mb(), 1))
    """The most that the process had held when the table was made, in MiB."""

    def to_dict(self) -> dict[str, Any]:
        """Means, intervals and times of each model; what each seed chose; notes."""
        summary = summarise(
            self.results, ks=self.config.ks, bootstrap=self.config.bootstrap, seed=self.config.seeds[0]
        )
        return {
            "protocol": self.protocol,
            "data": self.data,
            "ks": list(self.config.ks),
            "seeds": list(self.config.seeds),
            "n_queries": self.n_queries,
            "notes": list(self.notes),
            **summary,
            "chosen": [
                {"seed": each.seed, "second_stage": each.chosen, "validation": dict(each.choices)}
                | ({"knobs": dict(each.knobs)} if each.knobs else {})
                for each in self.results
            ],
            "peak_memory_mib": self.peak_memory_mib,
        }


def temporal_benchmark(
    dataset: Dataset, config: BenchmarkConfig, state: StateReader, *, observer: Observer | None = None
) -> Benchmark:
    """The headline protocol: trained on the past, asked about the future, by the recipe of `train`.

    Raises:
        NotEnoughDataError: as `marquee.training.train`.
        RequestError: a model is asked for that there is not.
    """
    events = consumed(dataset.interactions)
    results, n_queries = [], 0
    for seed in config.seeds:
        recipe = config.training.model_copy(update={"seed": seed})
        trained = train(dataset, recipe, state, observer=observer)
        states = read_movie_states(state, trained.evaluated.items, trained.test.queries.time_us)
        asked = trained.evaluated.with_states(states)
        names = model_names(config, tuple(asked.routes))
        seconds: dict[str, float] = {}
        for name in asked.routes:
            start = perf_counter()
            recipe.routes.knobs_of(name).fit(trained.split.train, seed=seed)
            seconds[name] = perf_counter() - start
        seconds[UNION] = sum(seconds.values())
        stages = ("training set", "ranker", "candidates")
        seconds[TWO_STAGE] = sum(trained.seconds[stage] for stage in stages)
        with threadpool_limits(1, "blas"):
            measured = measure_models(
                asked,
                asked.routes,
                Question(trained.test),
                ks=config.ks,
                names=names,
                fit_seconds=seconds,
            )
        n_queries = len(trained.test)
        results.append(SeedResult(seed, measured, asked.ranker.name if asked.ranker else ""))
    notes = (f"{len(events)} events; nothing after the 80 % time quantile trains a model.",)
    return Benchmark(
        "temporal", dataset.name, config, tuple(results), n_queries, notes, round(peak_rss_mb(), 1)
    )


def literature_benchmark(
    dataset: Dataset, config: BenchmarkConfig, *, observer: Observer | None = None
) -> Benchmark:
    """The published random split, a new one for each seed; every event a positive, no model reads times.

    Raises:
        NotEnoughDataError: too few events to split or to hide.
        RequestError: a model is asked for that there is not.
    """
    events = timeless(consumed(dataset.interactions))
    tables = SideTables(dataset.users, dataset.movies, None)
    ratio = config.literature.train_ratio
    notes = [
        f"Random split stratified by item: round({ratio:g} × count) of each item's {len(events)} events"
        " train; every event is a positive; no model reads times.",
        UNKNOWN_NOTE,
    ]
    results, n_queries = [], 0
    for seed in config.seeds:
        split = stratified_split(events, config.literature, seed=seed)
        result, n_queries = measure_seed(
            split, config, order="random", seed=seed, tables=tables, observer=observer
        )
        results.append(result)
    return Benchmark("literature", dataset.name, config, tuple(results), n_queries, tuple(notes))


UNKNOWN_NOTE: Final = (
    "Test users without a training event are not asked, as in the published tables; test items without"
    " one stay relevant, so that they count as missed."
)


def given_benchmark(
    train_file: Path,
    test_file: Path,
    config: BenchmarkConfig,
    *,
    negatives: Path | None = None,
    observer: Observer | None = None,
) -> Benchmark:
    """A split of the user's own, asked by nothing but the two files (and given candidates).

    Raises:
        SourceError: a file can't be read as a split.
        NotEnoughDataError: nothing to learn from, to hide or to ask about.
        RequestError: a model is asked for that there is not.
    """
    given = read_given_split(train_file, test_file)
    split = given.split
    order: Order = order_of(split) if given.has_times else "random"
    if order == "random":
        split = RandomSplit(timeless(split.train), timeless(split.test))
    kept = None
    if negatives is not None:
        kept = read_negatives(negatives, split.train.users, split.train.items)
    results, n_queries = [], 0
    for seed in config.seeds:
        result, n_queries = measure_seed(
            split, config, order=order, seed=seed, negatives=kept, observer=observer
        )
        results.append(result)
    n_cold = len(np.setdiff1d(split.test.user_index, split.train.user_index))
    cold_items = len(np.setdiff1d(split.test.item_index, split.train.item_index))
    read_as = (
        "Test events come after their user's training events: order counts, hold-outs are the last events."
        if order == "time"
        else "No order of events is read: hold-outs are drawn at random."
    )
    notes = [*given.notes, read_as, UNKNOWN_NOTE]
    notes.append(f"{n_cold} test users and {cold_items} test items have no training event.")
    if negatives is not None:
        notes.append("Only the given candidates and the test items of each user are ranked.")
    data = f"{train_file.name}, {test_file.name}"
    return Benchmark("given", data, config, tuple(results), n_queries, tuple(notes))
