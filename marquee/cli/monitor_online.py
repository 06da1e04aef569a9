"""`marquee monitor online`: what came of what was shown."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from marquee.cli.options import AsJson, ConfigFile, MetricsAddress, RunsFolder

if TYPE_CHECKING:
    import polars as pl

    from marquee.online_metrics.config import OnlineConfig
    from marquee.online_metrics.folder import Kept
    from marquee.online_metrics.logs import Logs
    from marquee.online_metrics.table import OnlineMetrics

_SHOWN: Final = {
    "requests": "asked",
    "ctr": "ctr",
    "watch_through": "watched",
    "precision": "p@k",
    "ndcg": "ndcg@k",
    "coverage": "cover",
    "novelty": "novelty",
    "degraded_share": "degraded",
}
"""Metrics of the table on the terminal, and their headings there."""
_WITH_INTERVAL: Final = ("ctr",)


def online(  # noqa: PLR0913, PLR0917 - an argument an option
    events: Annotated[
        Path, typer.Option("--events", help="A warehouse's folder, or a .parquet, .csv or .jsonl of events.")
    ],
    exposures: Annotated[
        Path | None, typer.Option("--exposures", help="Folder of the exposure log; MARQUEE_EXPOSURES.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="For how long an event is credited to what was shown: 24h, 7d.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(help="From the period of this moment on, UTC; all of the log by default."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="As the logs stood at this moment, UTC; all of them by default.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder of online.parquet; `online` of the runs by default.")
    ] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow", help="Log finished periods to MLflow, too.")] = False,
    metrics: MetricsAddress = None,
    config: ConfigFile = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Join what was shown with what people did: metrics by period, variant, surface and slice."""
    from marquee.online_metrics.folder import keep
    from marquee.online_metrics.table import online_metrics
    from marquee.settings import Settings

    place = Settings.from_environment().with_runs(runs)
    knobs = _config(config, window)
    moments = tuple(
        None if each is None else each.replace(tzinfo=each.tzinfo or UTC) for each in (since, until)
    )
    logs, end, notes = _logs(exposures or Path(place.exposures_address), events, *moments, config=knobs)
    found = online_metrics(logs, until=end, config=knobs)
    kept = keep(found.table, to or place.runs / "online")
    if mlflow:
        notes.append(f"{_record(kept.table, events, place.runs):,} new points in MLflow")
    if metrics:
        _publish(found, metrics)
    notes += [f"{each:%Y-%m-%d %H:%M} stays as it was: more of it was known before" for each in kept.better]
    if as_json:
        from marquee.cli.render import print_json

        print_json(_values(found, kept, notes))
    else:
        _show(found, kept, notes, folder=to or place.runs / "online")


def _config(path: Path | None, window: str | None) -> "OnlineConfig":
    """The settings of a file, with the option over them.

    Raises:
        ConfigError: the file can't be read, or a key or value does not fit.
    """
    from pydantic import ValidationError

    from marquee.data.yaml_text import fault_of, read_yaml
    from marquee.errors import ConfigError
    from marquee.online_metrics.config import OnlineConfig

    values = (read_yaml(path, option="--config") if path is not None else None) or {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} is no YAML mapping.", remedy="Give keys and values, such as k: 10.")
    given = {} if window is None else {"window_hours": _hours(window)}
    try:
        return OnlineConfig.model_validate(values | given)
    except ValidationError as err:
        raise ConfigError(
            fault_of(err, where="the settings"), remedy="Mend the option or the file of settings."
        ) from err


def _hours(text: str) -> float:
    """A length of time.

    Raises:
        RequestError: it is none.
    """
    from marquee.errors import RequestError

    number, unit = text[:-1], text[-1:]
    try:
        return float(number) * {"h": 1, "d": 24, "w": 168}[unit]
    except (ValueError, KeyError) as err:
        raise RequestError(
            f"--window = {text!r} is no length of time.", remedy="Give hours, days or weeks: 24h, 7d, 2w."
        ) from err


def _logs(
    exposures: Path,
    events: Path,
    since: datetime | None,
    until: datetime | None,
    *,
    config: "OnlineConfig",
) -> tuple["Logs", datetime, list[str]]:
    """Both logs, up to when events reach, and what a reader should know of them.

    Raises:
        MarqueeError: a log is missing or unreadable, or nothing is in it.
    """
    from marquee import schema
    from marquee.errors import NotEnoughDataError
    from marquee.experiment_report.sources import read_events, read_exposure_log
    from marquee.online_metrics.logs import Logs

    log = read_exposure_log(exposures, since=None if since is None else config.period_of(since))
    first = log.requests[schema.TIMESTAMP].min()
    assert isinstance(first, datetime)  # noqa: S101 - a column of times that is not empty
    begin = config.period_of(max(first, since or first))
    done = read_events(events, now=datetime.now(UTC), first=begin - config.popularity, until=until)
    end = until or done.events[schema.TIMESTAMP].max()
    if not isinstance(end, datetime):
        raise NotEnoughDataError(
            f"{events} has no event since {begin - config.popularity:%Y-%m-%d %H:%M} UTC.",
            remedy="Ingest the events of the log's time first.",
        )
    whole = Logs(log.shown, log.requests, done.events, done.users, done.movies)
    found = {
        f"{log.n_rejected:,} lines of the exposure log could not be read": log.n_rejected,
        f"{done.n_quarantined:,} rows of events break the contract": done.n_quarantined,
        "no catalogue beside the events: coverage is not measured": done.movies is None,
    }
    return whole.between(begin, until), end, [text for text, applies in found.items() if applies]


def _record(table: "pl.DataFrame", events: Path, runs: Path) -> int:
    from marquee.adapters.mlflow.online import Point, record_online
    from marquee.adapters.mlflow.tracking import Tracking
    from marquee.online_metrics.points import points

    drawn = (Point(*each) for each in points(table))
    return record_online(drawn, name=events.resolve().stem, tracking=Tracking.of(runs))


def _publish(found: "OnlineMetrics", to: str) -> None:
    from marquee.adapters.prometheus_text import publish
    from marquee.online_metrics.readings import readings

    publish(readings(found, now=datetime.now(UTC)), to, job="marquee-online")


def _values(found: "OnlineMetrics", kept: "Kept", notes: list[str]) -> dict[str, Any]:
    from marquee.online_metrics.table import overall

    return {
        "until": found.until.isoformat(),
        "label_coverage": found.label_coverage,
        "periods_replaced": kept.replaced,
        "periods_kept": [each.isoformat() for each in kept.better],
        "notes": notes,
        "metrics": [
            {key: each.isoformat() if isinstance(each, datetime) else each for key, each in row.items()}
            for row in overall(found.table).iter_rows(named=True)
        ],
    }


def _show(found: "OnlineMetrics", kept: "Kept", notes: list[str], *, folder: Path) -> None:
    from rich.markup import escape

    from marquee import schema
    from marquee.cli.render import OUT, table
    from marquee.online_metrics.facts import PERIOD
    from marquee.online_metrics.folder import FILE
    from marquee.online_metrics.table import overall

    rows = overall(found.table)
    made = table("Online metrics", ["period", "variant", "surface", *_SHOWN.values()], left=3)
    for where, part in rows.group_by(PERIOD, schema.VARIANT, schema.SURFACE, maintain_order=True):
        by_metric = {row["metric"]: row for row in part.iter_rows(named=True)}
        period, variant, surface = where
        when = f"{period:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
        cells = (_cell(by_metric.get(each)) for each in _SHOWN)
        made.add_row(when, escape(str(variant)), str(surface), *cells)
    OUT.print(made)
    OUT.print(f"events up to {found.until:%Y-%m-%d %H:%M} UTC; * more may come.", markup=False)
    if found.label_coverage is not None and found.label_coverage < 1:
        OUT.print(f"{1 - found.label_coverage:.1%} of the outcomes that are due are missing: events lag.")
    for note in notes:
        OUT.print(f"- {note}", markup=False, soft_wrap=True)
    OUT.print(f"{kept.replaced} periods in {folder / FILE}", markup=False, soft_wrap=True)


def _cell(row: dict[str, Any] | None) -> str:
    """A value, of some with half the interval's width; a star where more may come."""
    if row is None or row["value"] is None:
        return "–"
    star = "" if row["is_final"] else "*"
    if row["metric"] == "requests":
        return f"{row['value']:,.0f}{star}"
    is_wide = row["metric"] in _WITH_INTERVAL and row["low"] is not None
    return f"{row['value']:.3f}{star}" + (f" ±{(row['high'] - row['low']) / 2:.3f}" if is_wide else "")
