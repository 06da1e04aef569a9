"""Measure several models on the same queries."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from marquee.data.interactions import Ragged
from marquee.errors import NotEnoughDataError
from marquee.evaluation import ranking_metrics
from marquee.evaluation.list_metrics import LIST_METRICS, Catalogue
from marquee.evaluation.per_query import PerQuery
from marquee.evaluation.ranking_metrics import QueryValues
from marquee.evaluation.ratio import ratio
from marquee.evaluation.relevance import ItemLists, as_lists, judge
from marquee.evaluation.significance import (
    BootstrapConfig,
    Interval,
    bootstrap_means,
    difference_interval,
    interval_of,
    lift_interval,
    plain,
)

Recommend = Callable[[int], ItemLists]
"""Makes lists of (at most) the length asked for, for all queries in their order."""

_CHUNK_QUERIES = 4096
_Key = TypeVar("_Key", bound=Hashable)


class EvaluationConfig(BaseModel):
    """What is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ks: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 10, 12, 100), min_length=1)
    """Cuts of every metric; the highest is the length of list that models are asked for."""
    compared_metrics: tuple[str, ...] = ("ndcg",)
    """Accuracy metrics that models are compared by, at every cut."""
    bootstrap: BootstrapConfig = BootstrapConfig()

    @model_validator(mode="after")
    def _knows_its_metrics(self) -> Self:
        if unknown := set(self.compared_metrics) - set(ranking_metrics.METRICS):
            raise ValueError(
                f"compared_metrics {sorted(unknown)} are none of {sorted(ranking_metrics.METRICS)}"
            )
        return self

    @property
    def compared_labels(self) -> tuple[str, ...]:
        """Labels of the compared metrics, each at every cut."""
        return tuple(ranking_metrics.label(name, k) for name in self.compared_metrics for k in self.ks)


@dataclass(frozen=True)
class Comparison:
    """A model against a reference on the same queries: mean difference, and lift as a share."""

    difference: Interval
    lift: Interval

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """As plain values for JSON."""
        return {"difference": self.difference.to_dict(), "lift": self.lift.to_dict()}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured; every mapping is by model first, then by label (`ndcg@10`)."""

    n_queries: int
    means: Mapping[str, Mapping[str, float]]
    """Accuracy and list metrics; NaN where one is not defined."""
    per_query: Mapping[str, PerQuery]
    """Accuracy metrics query by query, for slices, comparisons and the gate."""
    intervals: Mapping[str, Mapping[str, Interval]]
    """Of the means of all accuracy metrics."""
    comparisons: Mapping[str, Mapping[str, Mapping[str, Comparison]]]
    """Model, reference, label."""

    def to_dict(self) -> dict[str, object]:
        """As plain values for JSON, per-query values left out; NaN becomes None."""
        return {
            "n_queries": self.n_queries,
            "models": {
                model: {label: plain(mean) for label, mean in means.items()}
                for model, means in self.means.items()
            },
            "intervals": {
                model: {label: interval.to_dict() for label, interval in by_label.items()}
                for model, by_label in self.intervals.items()
            },
            "comparisons": {
                model: {
                    reference: {label: found.to_dict() for label, found in by_label.items()}
                    for reference, by_label in by_reference.items()
                }
                for model, by_reference in self.comparisons.items()
            },
        }


def evaluate_lists(
    lists: Mapping[str, ItemLists | Recommend],
    targets: Ragged,
    *,
    config: EvaluationConfig,
    seed: int,
    query_keys: NDArray[np.int64] | None = None,
    catalogue: Catalogue | None = None,
    references: Sequence[str] = (),
) -> Evaluation:
    """Measure each model's lists against the items that were then consumed.

    Args:
        lists: by model, `(n_queries, n) int32` best first padded with -1, or a callable that makes
            them; callables are called one after the other, so that one model's lists are held at a time.
        targets: one row of unique relevant item indexes a query, at least one in each.
        config: cuts and intervals.
        seed: of the bootstrap; every interval is made from the same draws.
        query_keys: names of the queries, see `PerQuery`; row numbers where not given.
        catalogue: adds the list metrics.
        references: models that every other model is compared with.

    Raises:
        NotEnoughDataError: there is no query.
        ValueError: lists that don't fit the targets, or a reference that is none of the models.
    """
    keys = np.arange(len(targets)) if query_keys is None else query_keys
    _check(targets, keys, models=lists, references=references)
    means: dict[str, dict[str, float]] = {}
    per_query: dict[str, PerQuery] = {}
    for model, source in lists.items():
        recommended = source(max(config.ks)) if callable(source) else source
        values = ranking_metrics.score(judge(recommended, targets), config.ks)
        per_query[model] = PerQuery(model, keys, values)
        means[model] = {label: float(np.mean(column)) for label, column in values.items()}
        if catalogue is not None:
            means[model] |= measure_lists(recommended, catalogue, ks=config.ks)
    intervals = {
        model: _mean_intervals(found.values, seed=seed, config=config.bootstrap)
        for model, found in per_query.items()
    }
    comparisons = _compare_all(per_query, references, config=config, seed=seed)
    return Evaluation(len(targets), means, per_query, intervals, comparisons)


def measure_lists(recommended: ItemLists, catalogue: Catalogue, *, ks: Iterable[int]) -> dict[str, float]:
    """Each list metric at each cut, by label."""
    return {
        ranking_metrics.label(name, k): measure(recommended[:, :k], catalogue)
        for name, measure in LIST_METRICS.items()
        for k in ks
    }


def compare(
    model: PerQuery,
    reference: PerQuery,
    *,
    label: str,
    seed: int,
    config: BootstrapConfig | None = None,
) -> Comparison:
    """Compare two models by the metric called `label`.

    Raises:
        ValueError: they were measured on different queries.
    """
    if not model.is_aligned_with(reference):
        raise ValueError(f"{model.model} and {reference.model} were measured on different queries.")
    values, base = model.values[label], reference.values[label]
    return Comparison(
        difference_interval(values, base, seed=seed, config=config),
        lift_interval(values, base, seed=seed, config=config),
    )


def recall_ceiling(candidates: Ragged, targets: Ragged, *, ns: Iterable[int] = ()) -> dict[str, float]:
    """Mean recall of the candidates, `recall@all`, and of the first `n` of them: the ranker's ceiling.

    `candidates` has one row a query, best first, unique; a row may be empty.

    Raises:
        NotEnoughDataError: there is no query.
        ValueError: candidates that don't fit the targets.
    """
    if len(targets) == 0:
        raise NotEnoughDataError(
            "There is no query to measure candidates on.", remedy="Use more data or an earlier cut."
        )
    if len(candidates) != len(targets):
        raise ValueError(f"Candidates for {len(candidates)} queries, targets for {len(targets)}.")
    longest = max(1, int(candidates.lengths.max()))
    cuts = {"recall@all": longest, **{ranking_metrics.label("recall", n): n for n in ns}}
    totals = dict.fromkeys(cuts, 0.0)
    for first in range(0, len(targets), _CHUNK_QUERIES):
        chunk = slice(first, first + _CHUNK_QUERIES)
        judged = judge(as_lists(_rows(candidates, chunk), longest), _rows(targets, chunk))
        for label, k in cuts.items():
            totals[label] += float(ranking_metrics.recall(judged, k).sum())
    return {label: total / len(targets) for label, total in totals.items()}


def _check(
    targets: Ragged, keys: NDArray[np.int64], *, models: Iterable[str], references: Iterable[str]
) -> None:
    if len(targets) == 0:
        raise NotEnoughDataError(
            "There is no query to evaluate: no user has events on both sides of the cut.",
            remedy="Use more data, an earlier cut, or fewer required events per user.",
        )
    if len(keys) != len(targets):
        raise ValueError(f"There are {len(keys)} query keys but targets for {len(targets)} queries.")
    if unknown := set(references) - set(models):
        raise ValueError(f"The references {sorted(unknown)} are none of the models {sorted(models)}.")


def _compare_all(
    per_query: Mapping[str, PerQuery], references: Sequence[str], *, config: EvaluationConfig, seed: int
) -> dict[str, dict[str, dict[str, Comparison]]]:
    """As `compare` for each model, reference and label, with the draws made once a model."""
    labels = config.compared_labels
    of_references = {(name, label): per_query[name].values[label] for name in references for label in labels}
    drawn = _resampled(of_references, seed=seed, config=config.bootstrap) if of_references else {}
    found: dict[str, dict[str, dict[str, Comparison]]] = {}
    for model, own in per_query.items():
        others = [name for name in references if name != model]
        differences = {
            (name, label): own.values[label] - of_references[name, label]
            for name in others
            for label in labels
        }
        resampled = _resampled(differences, seed=seed, config=config.bootstrap) if differences else {}
        comparisons = {
            key: _comparison(values, resampled[key], of_references[key], drawn[key], config.bootstrap)
            for key, values in differences.items()
        }
        found[model] = {name: {label: comparisons[name, label] for label in labels} for name in others}
    return found


def _comparison(
    difference: QueryValues,
    resampled: QueryValues,
    reference: QueryValues,
    resampled_reference: QueryValues,
    config: BootstrapConfig,
) -> Comparison:
    mean, base = difference.mean(keepdims=True), reference.mean(keepdims=True)
    return Comparison(
        interval_of(float(mean[0]), resampled, config=config),
        interval_of(float(ratio(mean, base)[0]), ratio(resampled, resampled_reference), config=config),
    )


def _mean_intervals(
    values: Mapping[str, QueryValues], *, seed: int, config: BootstrapConfig
) -> dict[str, Interval]:
    resampled = _resampled(values, seed=seed, config=config)
    return {
        label: interval_of(float(np.mean(column)), resampled[label], config=config)
        for label, column in values.items()
    }


def _resampled(
    values: Mapping[_Key, QueryValues], *, seed: int, config: BootstrapConfig
) -> dict[_Key, QueryValues]:
    """The resampled means of each column, `(n_resamples,)`: one draw for all of them."""
    means = bootstrap_means(np.column_stack(list(values.values())), seed=seed, config=config)
    return dict(zip(values, means.T, strict=True))


def _rows(ragged: Ragged, rows: slice) -> Ragged:
    first, last, _ = rows.indices(len(ragged))
    offsets = ragged.offsets[first : last + 1]
    return Ragged(offsets - offsets[0], ragged.values[offsets[0] : offsets[-1]])
