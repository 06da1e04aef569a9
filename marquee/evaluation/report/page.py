"""The evaluation report as HTML: one file, no script, nothing fetched; what comes from data is escaped."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from marquee import schema
from marquee.evaluation.report import pictures
from marquee.evaluation.report.attention import NEWCOMERS, findings
from marquee.evaluation.report.measured import PARTS, Bounds, Measured, ModelSlice
from marquee.features import report as features_report
from marquee.features.report.html import environment

_TEMPLATES: Final = Path(__file__).with_name("templates")
_STYLE: Final = Path(features_report.__file__).with_name("templates")
"""The frame and the colours are those of the feature report."""

TABLE_METRICS: Final = ("ndcg", "precision", "mrr", "recall")
"""Accuracy metrics that the first table and its pictures show."""
LIST_METRICS: Final = ("coverage", "novelty", "intra_list_diversity", "popularity_bias", "gini")
FEATURES_SHOWN: Final = 30
FIRST_STAGE: Final = "first stage"


@dataclass(frozen=True)
class Cell:
    """A number and its interval as a table has them."""

    value: str
    interval: str
    is_best: bool = False


@dataclass(frozen=True)
class SlicePart:
    """One way to divide the queries."""

    title: str
    metric: str
    picture: pictures.Forest
    rows: tuple[ModelSlice, ...]


@dataclass(frozen=True)
class ViewShare:
    """How much of gain and contributions the features of one view have."""

    view: str
    n_features: int
    gain: float
    contribution: float


def render_evaluation(metrics: Mapping[str, Any], *, run: str, study: str | None = None) -> str:
    """The page of one run; what the run did not measure is left out, and named at the end.

    Args:
        metrics: what `metrics.json` holds.
        run: how the run is called.
        study: HTML of the search for its ranker, to be trusted: `study_section` makes it.
    """
    measured = Measured.of(metrics)
    labels = _labels(measured)
    return (
        _environment()
        .get_template("evaluation.html")
        .render(
            m=measured,
            run=run,
            study=Markup(study) if study else None,  # noqa: S704 - rendered and escaped by our own template
            findings=findings(measured),
            labels=labels,
            table=_model_table(measured, labels),
            forests=_forests(measured, labels),
            every_label=_every_label(measured),
            differences=_difference_picture(measured),
            slices=_slices(measured),
            series=_series(measured),
            curves=_curves(measured),
            cuts=_cuts(measured),
            gain=_feature_bars(measured.ranker.importance if measured.ranker else {}, as_share=True),
            contributions=_feature_bars(
                measured.ranker.contributions if measured.ranker else {}, as_share=False
            ),
            views=_views(measured),
            reliability=_reliability(measured),
            popularity=_popularity(measured),
            list_labels=[f"{name}@{measured.k}" for name in LIST_METRICS],
            stages=_stages(measured),
            n_features_shown=FEATURES_SHOWN,
            n_parts=len(PARTS),
        )
    )


@cache
def _environment() -> Environment:
    pages = environment(_TEMPLATES, _STYLE)
    pages.filters |= {
        "decimal": pictures.decimal,
        "signed": lambda value: pictures.decimal(value, sign=True),
        "range": pictures.interval,
        "signed_range": lambda bounds: pictures.interval(bounds, sign=True),
        "percent": _percent,
        "count": lambda value: f"{value:,}",
        "moment": _moment,
        "words": lambda name: name.replace("_", " "),
        "metric": _metric_name,
    }
    return pages


def _percent(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "–"
    return (f"{value:+.1%}" if sign else f"{value:.1%}").replace("-", "−").replace("%", " %")


def _moment(time_us: int | None) -> str:
    """A UTC time to the minute; as a number where no calendar reaches."""
    if time_us is None:
        return "–"
    try:
        return f"{datetime.fromtimestamp(time_us / 1e6, tz=UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{time_us} µs"


_NAMES: Final = {
    "ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "f1": "F1", "precision": "Precision", "recall": "Recall",
    "hit_rate": "Hit rate", "coverage": "Coverage", "novelty": "Novelty", "gini": "Gini",
    "intra_list_diversity": "Diversity in the list", "popularity_bias": "Popularity bias",
}  # fmt: skip


def _metric_name(label: str) -> str:
    name, at, k = label.partition("@")
    return f"{_NAMES.get(name, name)}{at}{k}"


def _labels(measured: Measured) -> list[str]:
    """Columns of the first table: each metric at the headline's cut and at the next."""
    every = {label for means in measured.models.values() for label in means}
    cuts = sorted({int(k) for label in every if (k := label.partition("@")[2]).isdecimal()})
    shown = [measured.k, *[k for k in cuts if k > measured.k][:1]]
    wanted = [
        f"{name}@{k}" for name in TABLE_METRICS for k in (shown if name in TABLE_METRICS[:2] else shown[:1])
    ]
    wanted += [f"recall@{cuts[-1]}"] if cuts and cuts[-1] not in shown else []
    return [label for label in wanted if label in every]


def _every_label(measured: Measured) -> list[str]:
    """All labels of all models, in the order of the file."""
    return list(dict.fromkeys(label for means in measured.models.values() for label in means))


def _model_table(measured: Measured, labels: list[str]) -> list[tuple[str, list[Cell]]]:
    best = {
        label: max((means[label] for means in measured.models.values() if label in means), default=None)
        for label in labels
    }
    return [
        (model, [_cell(measured.bounds(model, label), best[label]) for label in labels])
        for model in measured.ordered
    ]


def _cell(bounds: Bounds, best: float | None) -> Cell:
    is_best = bounds.estimate is not None and bounds.estimate == best
    return Cell(pictures.decimal(bounds.estimate), pictures.interval(bounds), is_best)


def _forests(measured: Measured, labels: list[str]) -> list[tuple[str, pictures.Forest]]:
    """A picture of all models for each label of the table that has intervals."""
    found = []
    for label in labels:
        bounds = {model: measured.bounds(model, label) for model in measured.ordered}
        if any(each.low is not None for each in bounds.values()):
            found.append((label, pictures.forest(bounds)))
    return found


def _difference_picture(measured: Measured) -> pictures.Forest | None:
    compared = {
        reference: by_label[measured.metric].difference
        for reference, by_label in measured.comparisons.get(measured.subject, {}).items()
        if measured.metric in by_label
    }
    return pictures.forest(compared, is_difference=True) if compared else None


def _series(measured: Measured) -> list[str]:
    """Models of the slices, the run's own first."""
    every = dict.fromkeys(name for row in measured.slices for name in row.models)
    return sorted(every, key=lambda name: name != measured.subject)


def _slices(measured: Measured) -> list[SlicePart]:
    series = _series(measured)
    parts: dict[tuple[str, str], list[ModelSlice]] = {}
    for row in sorted(measured.slices, key=lambda row: row.slicing not in NEWCOMERS):
        parts.setdefault((row.slicing, row.metric), []).append(row)
    return [
        SlicePart(slicing.replace("_", " "), metric, pictures.slice_forest(rows, series), tuple(rows))
        for (slicing, metric), rows in parts.items()
    ]


def _curves(measured: Measured) -> pictures.Curves | None:
    return pictures.recall_curves(measured.recall, first="union") if measured.recall else None


def _cuts(measured: Measured) -> list[str]:
    """Labels of the recall, the widest last."""
    return list(dict.fromkeys(label for found in measured.recall.values() for label in found))


def _feature_bars(values: Mapping[str, float], *, as_share: bool) -> pictures.Bars | None:
    """The first features by value; none where there is no value at all."""
    first = dict(sorted(values.items(), key=lambda entry: -entry[1])[:FEATURES_SHOWN])
    first = {name: value for name, value in first.items() if value > 0}
    texts = {name: _percent(value) if as_share else f"{value:.3g}" for name, value in first.items()}
    return pictures.bars(first, texts) if first else None


def view_of(feature: str) -> str:
    """The views that a feature is made of; those of routes come from the first stage."""
    return " × ".join(schema.FEATURE_SOURCES.get(feature, (FIRST_STAGE,)))


def _views(measured: Measured) -> list[ViewShare]:
    """Shares by view, the largest gain first."""
    if measured.ranker is None:
        return []
    gains, parts = measured.ranker.importance, measured.ranker.contributions
    totals = sum(gains.values()) or 1.0, sum(parts.values()) or 1.0
    views: dict[str, list[str]] = {}
    for name in dict.fromkeys([*gains, *parts]):
        views.setdefault(view_of(name), []).append(name)
    shares = [
        ViewShare(
            view,
            len(names),
            sum(gains.get(name, 0.0) for name in names) / totals[0],
            sum(parts.get(name, 0.0) for name in names) / totals[1],
        )
        for view, names in views.items()
    ]
    return sorted(shares, key=lambda share: -share.gain)


def _reliability(measured: Measured) -> pictures.Columns | None:
    bins = measured.ranker.reliability if measured.ranker else ()
    return pictures.reliability_columns(bins) if bins else None


def _popularity(measured: Measured) -> list[tuple[str, pictures.Columns]]:
    """One picture a model, all to one scale."""
    found = measured.popularity
    if found is None:
        return []
    every = [share for shares in (found.consumed, *found.models.values()) for share in shares if share]
    peak = max(every, default=1.0)
    order = sorted(found.models, key=lambda name: name != measured.subject)
    return [(name, pictures.share_columns(found.models[name], found.consumed, peak=peak)) for name in order]


def _stages(measured: Measured) -> pictures.Bars | None:
    if not measured.seconds:
        return None
    texts = {stage: f"{seconds:.1f} s" for stage, seconds in measured.seconds.items()}
    return pictures.bars(measured.seconds, texts, left=150.0)
