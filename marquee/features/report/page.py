"""The two pages as HTML: one file each, no script, nothing fetched; whatever comes from data is escaped."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment

from marquee.features.report.ablation import Ablation, interval_chart
from marquee.features.report.attention import Finding
from marquee.features.report.catalogue import Catalogue
from marquee.features.report.charts import BarChart, HistogramChart, bar_chart, histogram_chart
from marquee.features.report.config import ReportConfig
from marquee.features.report.distribution import Bars, Feature, Histogram, Summary, Values
from marquee.features.report.html import environment
from marquee.features.report.measure import StateMeasure, ViewMeasure
from marquee.features.report.notes import FEATURE_NOTES, MOMENTS
from marquee.features.report.numbers import (
    Format,
    count,
    date_format,
    hours,
    moment,
    number,
    share,
    span_format,
)

_TEMPLATES: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A chart with its caption and what a screen reader says."""

    caption: str
    alt: str
    histogram: HistogramChart | None
    bars: BarChart | None
    has_before: bool


@dataclass(frozen=True)
class Card:
    """One feature as its card shows it."""

    feature: Feature
    note: str
    pictures: tuple[Picture, ...]
    facts: tuple[tuple[str, str], ...]
    quantiles: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]


def render_report(
    measure: StateMeasure,
    findings: Sequence[Finding],
    *,
    now: datetime,
    config: ReportConfig,
    ablation: Ablation | None = None,
) -> str:
    """The feature report.

    Args:
        measure: of the state.
        findings: what asks for attention.
        now: when the page is made, UTC.
        config: that both were made with; the page names its thresholds.
        ablation: what each view adds to the ranking.
    """
    sections = [
        (view, [_card(view, feature, findings) for feature in view.features]) for view in measure.views
    ]
    return (
        _environment()
        .get_template("report.html")
        .render(
            measure=measure,
            sections=sections,
            findings=findings,
            now=now,
            age_hours=(now - measure.as_of).total_seconds() / 3600,
            config=config,
            ablation=ablation,
            intervals=interval_chart(ablation) if ablation and ablation.without else None,
        )
    )


def render_catalogue(catalogue: Catalogue) -> str:
    """The catalogue page; equal declarations give equal bytes."""
    return _environment().get_template("catalogue.html").render(catalogue=catalogue)


def _environment() -> Environment:
    pages = environment(_TEMPLATES)
    pages.filters |= {
        "count": count,
        "share": share,
        "moment": moment,
        "hours": hours,
        "number": number,
        "anchor": anchor,
        "words": lambda name: name.replace("_", " "),
        "limit": lambda seconds: "none" if seconds is None else hours(seconds / 3600),
    }
    return pages


def anchor(*names: str | None) -> str:
    """A fragment identifier of letters, digits and hyphens; unequal names give unequal ones."""
    return "-".join(
        re.sub(r"[^A-Za-z0-9_]", lambda found: f"-{ord(found[0]):x}-", name) for name in names if name
    )


def _card(view: ViewMeasure, feature: Feature, findings: Sequence[Finding]) -> Card:
    mine = [each for each in findings if (each.view, each.feature) == (view.name, feature.name)]
    return Card(
        feature=feature,
        note=FEATURE_NOTES.get(feature.name, ""),
        pictures=tuple(_pictures(feature)),
        facts=tuple(_facts(feature, is_static=view.promise.is_static)),
        quantiles=tuple(_quantiles(feature)),
        findings=tuple(mine),
    )


def _formats(feature: Feature, *, of_elements: bool) -> tuple[Format, Format]:
    """How values are shown, and how differences of them are."""
    unit = MOMENTS.get(feature.name)
    if unit is None or (feature.elements is not None and not of_elements):
        return number, number
    return date_format(unit), span_format(unit)


def _pictures(feature: Feature) -> Iterator[Picture]:
    parts: list[tuple[Values, bool]] = [(feature.values, False)]
    if feature.elements is not None:
        parts.append((feature.elements, True))
    for values, is_inside in parts:
        if values.picture is not None:
            yield _picture(feature, values, is_inside=is_inside)


def _picture(feature: Feature, values: Values, *, is_inside: bool) -> Picture:
    picture = values.picture
    what = "Elements" if is_inside else "Values"
    if isinstance(picture, Histogram):
        if picture.of:
            what = "Number of characters" if values.kind == "text" else "Elements in a list"
        show, _ = _formats(feature, of_elements=is_inside) if not picture.of else (number, number)
        chart = histogram_chart(picture, show)
        suffix = ", axis by magnitude" if chart.is_magnitude else ""
        low, high = show(float(picture.bins.edges[0])), show(float(picture.bins.edges[-1]))
        alt = f"Histogram of {feature.name}: {count(values.n)} values from {low} to {high}"
        has_before = picture.before is not None
        return Picture(what + suffix, alt, chart, None, has_before)
    assert isinstance(picture, Bars)  # noqa: S101 - the other picture there is
    leaders = ", ".join(
        f"{label} {share(n / values.n)}"
        for label, n in list(zip(picture.labels, picture.counts, strict=False))[:3]
    )
    alt = f"Bars of {feature.name}: {count(values.n_distinct)} texts, most frequent {leaders}"
    return Picture(f"{what}, most frequent", alt, None, bar_chart(picture), picture.before is not None)


def _facts(feature: Feature, *, is_static: bool) -> Iterator[tuple[str, str]]:
    values, elements = feature.values, feature.elements
    yield "known", f"{count(feature.n_rows - feature.n_null)} of {count(feature.n_rows)}"
    change = ""
    if feature.null_share_before is not None:
        change = f" (was {share(feature.null_share_before)})"
    yield "null", f"{share(feature.null_share)}{change}"
    zero = {"number": "zero", "text": "empty", "list": "empty lists"}[values.kind]
    if values.n:
        yield zero, share(values.n_zero / values.n)
    if feature.n_not_finite:
        yield "NaN or infinite", count(feature.n_not_finite)
    yield ("distinct lengths" if elements else "distinct"), count(values.n_distinct)
    if elements:
        yield "elements", f"{count(elements.n)}, {count(elements.n_distinct)} distinct"
    yield from _moments(
        values.summary, *_formats(feature, of_elements=False), what="length " if elements else ""
    )
    if elements:
        yield from _moments(elements.summary, *_formats(feature, of_elements=True), what="element ")
    if not is_static:
        yield "newest row", moment(feature.newest)
    yield from _drift_facts(feature)


def _moments(
    summary: Summary | None, show: Format, spread: Format, *, what: str
) -> Iterator[tuple[str, str]]:
    if summary is not None:
        yield f"{what}mean", show(summary.mean)
        yield f"{what}std", spread(summary.std)


def _drift_facts(feature: Feature) -> Iterator[tuple[str, str]]:
    if feature.is_new:
        yield "drift", "new since the last build"
    for values, what in ((feature.values, "drift"), (feature.elements, "element drift")):
        if values is not None and values.drift is not None:
            yield what, f"{values.drift.psi:.3f} (chance alone: up to {values.drift.noise:.3f})"


def _quantiles(feature: Feature) -> Iterator[tuple[str, str]]:
    summary = feature.values.summary
    if summary is None:
        return
    show, _ = _formats(feature, of_elements=False)
    names = ("1 %", "25 %", "median", "75 %", "99 %")
    yield "min", show(summary.low)
    for name, value in zip(names, summary.quantiles, strict=True):
        yield name, show(value)
    yield "max", show(summary.high)
