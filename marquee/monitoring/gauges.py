"""The gauges that jobs leave behind: names, sentences and labels in one place.

Dashboards and alerts are checked against `GAUGES`: `marquee.adapters.prometheus_text` writes nothing else.
A label's values are few and known: never a user, an item or a request, and not `job`, which is Prometheus'
own. Where a gauge tells which of several states holds, each state is written, and one of them is 1.
What the server counts by itself is in `serving.metrics`.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class Gauge:
    """One name of a metric."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def at(self, value: float | None, *labels: str) -> "Iterator[Reading]":
        """The gauge at a value; nothing where there is none, so that what is unknown is not drawn as 0.

        Args:
            value: NaN is none.
            labels: one for each of the gauge's.
        """
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not {labels}")
        if value is not None and not math.isnan(value):
            yield Reading(self, labels, float(value))

    def when(self, moment: datetime | None, *labels: str) -> "Iterator[Reading]":
        """The gauge at a moment with a zone, in seconds since 1970."""
        yield from self.at(None if moment is None else moment.timestamp(), *labels)

    def one_of(self, state: str, states: Iterable[str], *labels: str) -> "Iterator[Reading]":
        """1 for the state that holds and 0 for each other; the state is the last label."""
        for each in states:
            yield from self.at(float(each == state), *labels, each)


@dataclass(frozen=True, slots=True)
class Reading:
    """A gauge's value for one set of labels."""

    gauge: Gauge
    labels: tuple[str, ...]
    value: float


# --- all jobs -------------------------------------------------------------------------------------

LAST_SUCCESS: Final = Gauge(
    "marquee_last_success_timestamp_seconds",
    "When a job last ended well: online, drift, canary:DEPLOYMENT, experiment:NAME.",
    ("step",),
)

# --- data gate: marquee monitor drift -------------------------------------------------------------

DATA_GATE: Final = Gauge(
    "marquee_data_gate",
    "1 for the data gate's verdict on the newest window: pass, warn, block.",
    ("verdict",),
)
FAILED_CHECKS: Final = Gauge(
    "marquee_data_gate_failed_checks", "What the data gate found amiss in a source.", ("source",)
)
NULL_SHARE: Final = Gauge(
    "marquee_null_share", "Share of a column's rows that are null.", ("source", "column")
)
NEWEST_ROW: Final = Gauge(
    "marquee_newest_row_timestamp_seconds", "Time of a source's newest row: its freshness.", ("source",)
)
ROWS: Final = Gauge("marquee_window_rows", "Rows of a source in the newest window.", ("source",))

# --- drift: marquee monitor drift -----------------------------------------------------------------

DRIFT_Z: Final = Gauge(
    "marquee_drift_z", "How unusual a signal is, in calibrated standard deviations.", ("signal",)
)
DRIFT_THRESHOLD: Final = Gauge("marquee_drift_threshold", "The z above which a signal speaks.")
DRIFT_DECISION: Final = Gauge(
    "marquee_drift_decision",
    "1 for the tier that decided: 0 data gate, A quality, B input, C surge; all 0 where none did.",
    ("tier",),
)
DRIFT_VERDICT: Final = Gauge(
    "marquee_drift_verdict", "1 for the verdict on the newest window, such as retrain.", ("verdict",)
)
WINDOW_USERS: Final = Gauge("marquee_window_users", "Users that the drift check measured.")
CALIBRATION_USERS: Final = Gauge(
    "marquee_calibration_users", "Held-out users that calibrate the drift check."
)
COOLDOWN_UNTIL: Final = Gauge(
    "marquee_cooldown_until_timestamp_seconds", "Until when drift orders no training; 0 without a cooldown."
)
COOLDOWN_WINDOWS: Final = Gauge(
    "marquee_cooldown_windows", "For how many more windows drift orders no training."
)
RETRAINS: Final = Gauge("marquee_drift_retrains_of_week", "Trainings that drift ordered within seven days.")
DATA_GROWTH: Final = Gauge(
    "marquee_data_growth",
    "Events, or users if they are more, since the model learned, as a share of those that it learned from.",
)
REFRESH_GROWTH: Final = Gauge(
    "marquee_drift_refresh_growth", "The growth of the data from which on a model is refreshed."
)

# --- online metrics: marquee monitor online -------------------------------------------------------

_WHERE: Final = ("variant", "surface")
ONLINE_CTR: Final = Gauge("marquee_online_ctr", "Share of the shown items that were clicked.", _WHERE)
ONLINE_ENGAGEMENT: Final = Gauge(
    "marquee_online_engagement", "Share of the shown items with which anything was done.", _WHERE
)
ONLINE_WATCH_THROUGH: Final = Gauge(
    "marquee_online_watch_through", "Mean share watched of the shown items that were watched at all.", _WHERE
)
ONLINE_PRECISION: Final = Gauge(
    "marquee_online_precision", "Precision at the cut-off marquee_online_cutoff.", _WHERE
)
ONLINE_NDCG: Final = Gauge("marquee_online_ndcg", "NDCG at the cut-off marquee_online_cutoff.", _WHERE)
ONLINE_COVERAGE: Final = Gauge(
    "marquee_online_coverage", "Share of the catalogue that was shown at the cut-off.", _WHERE
)
ONLINE_NOVELTY: Final = Gauge(
    "marquee_online_novelty", "Mean surprise of the items shown at the cut-off, in bits.", _WHERE
)
ONLINE_DEGRADED: Final = Gauge(
    "marquee_online_degraded_share", "Share of the requests whose answer was less than it could be.", _WHERE
)
ONLINE_EMPTY: Final = Gauge(
    "marquee_online_empty_share", "Share of the requests that were answered with no item.", _WHERE
)
ONLINE_REQUESTS: Final = Gauge("marquee_online_requests", "Requests of the newest whole period.", _WHERE)
ONLINE_USERS: Final = Gauge("marquee_online_users", "Known users of the newest whole period.", _WHERE)
ONLINE_LOW: Final = Gauge(
    "marquee_online_low",
    "Lower end of the 95 % interval over users of ctr, watch_through, precision, ndcg and the others.",
    ("metric", *_WHERE),
)
ONLINE_HIGH: Final = Gauge(
    "marquee_online_high", "Upper end of marquee_online_low's interval.", ("metric", *_WHERE)
)
ONLINE_CUTOFF: Final = Gauge("marquee_online_cutoff", "k of precision, NDCG, coverage and novelty.")
ONLINE_PERIOD_END: Final = Gauge(
    "marquee_online_period_end_timestamp_seconds",
    "End of the period that the gauges speak of: outcome (all windows passed) or requests (whole).",
    ("kind",),
)
EVENTS_UNTIL: Final = Gauge(
    "marquee_online_events_until_timestamp_seconds", "Up to when events had been read."
)
LABEL_COVERAGE: Final = Gauge(
    "marquee_label_coverage",
    "Share whose outcome is final, of requests that are old enough by the newest one; below 1 events lag.",
)

# --- experiments: marquee experiment report -------------------------------------------------------

_COMPARISON: Final = ("experiment", "metric", "variant")
EXPERIMENT_LIFT: Final = Gauge(
    "marquee_experiment_lift", "Relative difference of a metric to the control.", _COMPARISON
)
EXPERIMENT_LOW: Final = Gauge(
    "marquee_experiment_low", "Lower end of the lift's always-valid interval.", _COMPARISON
)
EXPERIMENT_HIGH: Final = Gauge(
    "marquee_experiment_high", "Upper end of the lift's always-valid interval.", _COMPARISON
)
EXPERIMENT_USERS: Final = Gauge(
    "marquee_experiment_users", "Users that were assigned to a variant.", ("experiment", "variant")
)
EXPERIMENT_ACTION: Final = Gauge(
    "marquee_experiment_action",
    "1 for what is to be done with a variant: ship, stop, continue, invalid.",
    ("experiment", "variant", "action"),
)
SRM_P: Final = Gauge(
    "marquee_srm_p",
    "p of the users' counts under the configured shares; below .001 it is a fault.",
    ("experiment",),
)

# --- canary: marquee canary … ---------------------------------------------------------------------

_ROLLOUT: Final = ("deployment",)
CANARY_WEIGHT: Final = Gauge("marquee_canary_weight", "The canary's share of the requests, 0 to 1.", _ROLLOUT)
CANARY_PHASE: Final = Gauge(
    "marquee_canary_phase",
    "1 for the phase of the newest rollout: stepping, promoting, rolling_back, promoted, rolled_back.",
    ("deployment", "phase"),
)
CANARY_FAILED: Final = Gauge("marquee_canary_failed_checks", "Checks that failed in a row.", _ROLLOUT)
CANARY_BLIND: Final = Gauge(
    "marquee_canary_metrics_missing", "1 while the canary's metrics are missing.", _ROLLOUT
)
CANARY_STARTED: Final = Gauge(
    "marquee_canary_started_timestamp_seconds", "When the newest rollout began.", _ROLLOUT
)
CANARY_LAST_GOOD: Final = Gauge(
    "marquee_canary_last_good_timestamp_seconds", "When a look last broke no guardrail.", _ROLLOUT
)

GAUGES: Final[tuple[Gauge, ...]] = tuple(each for each in list(globals().values()) if isinstance(each, Gauge))
"""All of them."""
