"""Which features somebody should look at, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from marquee.features.report.config import ReportConfig
from marquee.features.report.distribution import Feature
from marquee.features.report.drift import Drift
from marquee.features.report.measure import StateMeasure, ViewMeasure
from marquee.features.report.numbers import count, hours, moment, share

Severity = Literal["high", "moderate"]
_ORDER: Final[dict[Severity, int]] = {"high": 0, "moderate": 1}


@dataclass(frozen=True)
class Finding:
    """One thing to look at."""

    severity: Severity
    kind: str
    """stale, expired, keys, null, drift, constant, unknown or value."""
    view: str
    feature: str | None
    """None where it is about the whole view."""
    text: str


def findings(measure: StateMeasure, config: ReportConfig) -> list[Finding]:
    """All findings, the severe ones first, then in the order of views and features."""
    found = []
    for view in measure.views:
        found += list(_of_view(view, config))
        for feature in view.features:
            found += list(_of_feature(view, feature, config))
    return sorted(found, key=lambda finding: _ORDER[finding.severity])


def _of_view(view: ViewMeasure, config: ReportConfig) -> Iterator[Finding]:
    def finding(severity: Severity, kind: str, text: str) -> Finding:
        return Finding(severity, kind, view.name, None, text)

    if view.n_keys == 0:
        yield finding("moderate", "unknown", "There is no row of any key.")
    if view.is_late:
        behind = hours(view.age_hours)
        yield finding(
            "high",
            "stale",
            f"The newest row ({moment(view.newest)}) is {behind} older than the state;"
            f" {view.promise.slo_hours} h are promised.",
        )
    if view.n_keys and view.n_expired / view.n_keys > config.expired_share:
        expired = share(view.n_expired / view.n_keys)
        yield finding("high", "expired", f"{expired} of the keys have no row within the limit of age.")
    before = view.n_keys_before
    if before and before - view.n_keys > config.keys_lost_share * before:
        yield finding("high", "keys", f"{count(view.n_keys)} keys, after {count(before)} in the last build.")


def _of_feature(view: ViewMeasure, feature: Feature, config: ReportConfig) -> Iterator[Finding]:
    def finding(severity: Severity, kind: str, text: str) -> Finding:
        return Finding(severity, kind, view.name, feature.name, text)

    now, before = feature.null_share, feature.null_share_before
    if now is not None and before is not None and abs(now - before) > config.null_share_change:
        severity: Severity = "high" if now > before else "moderate"
        yield finding(severity, "null", f"{share(now)} are null, after {share(before)} in the last build.")
    outer = "Lengths" if feature.elements else "Values"
    for drift, what in ((feature.values.drift, outer), (_inside(feature), "Elements")):
        if drift is not None and drift.level != "none":
            text = f"{what} moved since the last build: stability index {drift.psi:.2f}."
            yield finding(drift.level, "drift", text)
    if feature.n_not_finite:
        yield finding("moderate", "value", f"{count(feature.n_not_finite)} values are NaN or infinite.")
    if feature.n_rows and feature.n_null == feature.n_rows:
        yield finding("moderate", "unknown", "Null for every key.")
    elif feature.values.n_distinct == 1 and feature.values.n > 1:
        yield finding("moderate", "constant", "Every known value is the same.")


def _inside(feature: Feature) -> Drift | None:
    return feature.elements.drift if feature.elements else None
