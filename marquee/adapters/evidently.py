"""Evidently's report of two samples: what people read beside a drift decision, which is never Evidently's.

The decision is made by `marquee.monitoring` before this is asked, and stands whatever becomes of the report.
Evidently is in the monitoring image only; its import takes ten seconds and 300 MB, so it waits for the call.
"""

import json
import os
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import polars as pl

MAX_ROWS: Final = 50_000
"""Of each sample: the time goes up with the rows, the picture does not change."""
NUMBER_METHOD: Final = "wasserstein"
CATEGORY_METHOD: Final = "jensenshannon"
THRESHOLD: Final = 0.1
"""Evidently's own for both methods; it colours the report and decides nothing."""
HTML: Final = "drift.html"
JSON: Final = "drift.json"


@dataclass(frozen=True)
class DriftReport:
    """What became of a report."""

    html: Path | None
    """Self-contained; None where there is no report."""
    json: Path | None
    drift: dict[str, float]
    """By column, the distance that the report shows."""
    left_out: tuple[str, ...]
    """Columns that Evidently would fail at, each with the reason."""
    fault: str = ""
    """Why there is no report; a traceback where Evidently failed."""

    @property
    def notes(self) -> tuple[str, ...]:
        """For the reader of the decision."""
        said = [f"not in the report: {each}" for each in self.left_out]
        return (*said, f"there is no report: {self.fault.splitlines()[-1]}") if self.fault else tuple(said)


def is_available() -> bool:
    """Whether Evidently is installed here."""
    return find_spec("evidently") is not None


def write_report(
    reference: pl.DataFrame, current: pl.DataFrame, out: Path, *, window_end: datetime, seed: int = 0
) -> DriftReport:
    """Draw the drift of each column that both samples have, as HTML and JSON; never raises for Evidently.

    Args:
        reference: numbers and texts, a row an event.
        current: likewise.
        out: folder of `drift.html` and `drift.json`.
        window_end: the report's time.
        seed: of the rows that are drawn where there are more than 50,000.
    """
    kept, left_out = _usable(reference, current)
    if not kept:
        return DriftReport(None, None, {}, left_out, "no column has values in both samples")
    if not is_available():
        return DriftReport(
            None, None, {}, left_out, "Evidently is not installed here: pip install 'marquee[monitoring]'"
        )
    samples = [_sampled(each.select(kept), seed=seed) for each in (reference, current)]
    try:
        return _drawn(samples[0], samples[1], out, window_end, left_out)
    except Exception:  # noqa: BLE001 - whatever it raises, the decision stands; the traceback is handed on
        return DriftReport(None, None, {}, left_out, traceback.format_exc().strip())


def _drawn(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    out: Path,
    window_end: datetime,
    left_out: tuple[str, ...],
) -> DriftReport:
    os.environ.setdefault("DO_NOT_TRACK", "1")  # before the import: its parts ask once
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy.core, invalid escapes, two of litestar
        run = _run(reference, current, window_end)
        out.mkdir(parents=True, exist_ok=True)
        run.save_html(str(out / HTML))
        run.save_json(str(out / JSON))
    found = json.loads((out / JSON).read_text(encoding="utf-8"))["metrics"]
    drift = {each["config"]["column"]: float(each["value"]) for each in found}
    return DriftReport(out / HTML, out / JSON, drift, left_out)


def _run(reference: pl.DataFrame, current: pl.DataFrame, window_end: datetime) -> Any:  # noqa: ANN401 - no types
    from evidently import DataDefinition, Dataset, Report  # noqa: PLC0415 - ten seconds
    from evidently.metrics import ValueDrift  # noqa: PLC0415

    numbers = [name for name, dtype in reference.schema.items() if dtype.is_numeric()]
    texts = [name for name in reference.columns if name not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    frames = [
        Dataset.from_pandas(each.to_pandas(), data_definition=definition) for each in (current, reference)
    ]
    metrics = [
        ValueDrift(
            column=name, method=NUMBER_METHOD if name in numbers else CATEGORY_METHOD, threshold=THRESHOLD
        )
        for name in reference.columns
    ]
    return Report(metrics, include_tests=True, tags=["drift"]).run(*frames, timestamp=window_end)


def _usable(reference: pl.DataFrame, current: pl.DataFrame) -> tuple[Sequence[str], tuple[str, ...]]:
    """Columns with values of one kind in both samples; the others with their reasons."""
    kept, left_out = [], []
    for name in reference.columns:
        if name not in current.columns:
            left_out.append(f"{name}: the window lacks it")
        elif reference[name].dtype.is_numeric() != current[name].dtype.is_numeric():
            left_out.append(f"{name}: {reference[name].dtype} there, {current[name].dtype} here")
        elif empty := [
            where for where, part in (("reference", reference), ("window", current)) if _is_empty(part[name])
        ]:
            left_out.append(f"{name}: no value in the {' and the '.join(empty)}")
        else:
            kept.append(name)
    return kept, tuple(left_out)


def _is_empty(column: pl.Series) -> bool:
    values = column.drop_nulls()
    return not len(values.drop_nans() if values.dtype.is_float() else values)


def _sampled(table: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    drawn = table if len(table) <= MAX_ROWS else table.sample(MAX_ROWS, seed=seed)
    return drawn.with_columns(
        pl.col(name).cast(pl.Float64 if dtype.is_numeric() else pl.String)
        for name, dtype in table.schema.items()
    )
