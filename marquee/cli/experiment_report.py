"""`marquee experiment report` and `replay`: an experiment judged from the logs, and judged again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.options import AsJson, MetricsAddress, RunsFolder

if TYPE_CHECKING:
    from marquee.experiment_report.analysis import ExperimentResult, ReportConfig
    from marquee.experiment_report.sources import EventLog, ExposureLog


def report(  # noqa: PLR0913, PLR0917 - an argument an option
    name: Annotated[str, typer.Argument(help="An experiment, as the server logs it.")],
    events: Annotated[
        Path, typer.Option("--events", help="A warehouse's folder, or a .parquet, .csv or .jsonl of events.")
    ],
    exposures: Annotated[
        Path | None, typer.Option("--exposures", help="Folder of the exposure log; MARQUEE_EXPOSURES.")
    ] = None,
    experiments: Annotated[
        Path | None, typer.Option("--config", help="YAML file of experiments, for the shares.")
    ] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option("--settings", help="YAML: window_hours, control, decision: success, guardrails …"),
    ] = None,
    control: Annotated[str | None, typer.Option(help="The variant to compare with.")] = None,
    window_hours: Annotated[
        float | None, typer.Option(help="For how long an event is credited to what was shown.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(help="As the logs stood at this moment, UTC; all of them by default.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of report.html and decision.json; experiments/NAME of the runs."),
    ] = None,
    metrics: MetricsAddress = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Judge an experiment: users, metrics, guardrails, one decision; writes a page and decision.json."""
    from marquee.cli.render import print_json
    from marquee.experiment_report.analysis import analyse
    from marquee.experiment_report.decision_file import decision_values
    from marquee.settings import Settings

    place = Settings.from_environment().with_runs(runs)
    config = _config(settings_file, control=control, window_hours=window_hours)
    shares, sha256 = _shares(experiments, name)
    moment = None if until is None else until.replace(tzinfo=until.tzinfo or UTC)
    log, done, end = _logs(exposures or Path(place.exposures_address), events, until=moment, config=config)
    result = analyse(name, log, done, until=end, config=config, configured=shares)
    values = decision_values(result, log, done, config=config, experiments_sha256=sha256)
    folder = out or place.runs / "experiments" / name
    _write(folder, result, values)
    if metrics:
        _publish(result, metrics)
    if as_json:
        print_json(values | {"folder": str(folder)})
    else:
        _show(result, folder)


def replay(
    decision: Annotated[Path, typer.Argument(help="A decision.json of `marquee experiment report`.")],
    as_json: AsJson = False,
) -> None:
    """Decide again from the numbers of a decision.json; exit code 1 if it comes out otherwise."""
    from marquee.cli.render import OUT, print_json
    from marquee.experiment_report.decision_file import read_decision, replay

    values = read_decision(decision)
    again = replay(values)
    same = {
        name: (found.action, list(found.reasons))
        == (values["treatments"][name]["action"], values["treatments"][name]["reasons"])
        for name, found in again.items()
    }
    if as_json:
        print_json({name: {"action": each.action, "is_same": same[name]} for name, each in again.items()})
    else:
        for name, each in again.items():
            OUT.print(f"{name}: {each.action}, {'as' if same[name] else 'NOT as'} written", markup=False)
    if not all(same.values()):
        raise typer.Exit(1)


def _config(path: Path | None, *, control: str | None, window_hours: float | None) -> "ReportConfig":
    """The settings of a file, with the options over them.

    Raises:
        ConfigError: the file can't be read, or a key or value does not fit.
    """
    from pydantic import ValidationError

    from marquee.data.yaml_text import fault_of, read_yaml
    from marquee.errors import ConfigError
    from marquee.experiment_report.analysis import ReportConfig

    values = read_yaml(path, option="--settings") if path is not None else {}
    if not isinstance(values, dict | None):
        raise ConfigError(
            f"{path} is no YAML mapping.", remedy="Give keys and values, such as window_hours: 24."
        )
    given = {"control": control, "window_hours": window_hours}
    try:
        return ReportConfig.model_validate(
            (values or {}) | {key: value for key, value in given.items() if value is not None}
        )
    except ValidationError as err:
        raise ConfigError(
            fault_of(err, where="the settings"), remedy="Mend the option or the file of settings."
        ) from err


def _shares(path: Path | None, name: str) -> tuple[dict[str, float] | None, str | None]:
    """The configured shares of an experiment and the file's hash; None without a file.

    Raises:
        ConfigError: the file is wrong, or does not have the experiment.
    """
    from marquee.data.storage import sha256_of
    from marquee.errors import ConfigError
    from marquee.experiments.config import read_experiments

    if path is None:
        return None, None
    found = {each.name: each.shares for each in read_experiments(path).experiments}
    if name not in found:
        raise ConfigError(
            f"{path} has no experiment {name!r}.", remedy=f"Use one of: {', '.join(found) or 'it has none'}."
        )
    return found[name], sha256_of(path)


def _logs(
    exposures: Path, events: Path, *, until: datetime | None, config: "ReportConfig"
) -> tuple["ExposureLog", "EventLog", datetime]:
    """Both logs, and up to when they reach: the newest event, where no moment was named.

    Raises:
        MarqueeError: a log is missing or unreadable, or there is no event.
    """
    from marquee import schema
    from marquee.errors import NotEnoughDataError
    from marquee.experiment_report.sources import read_events, read_exposure_log

    log = read_exposure_log(exposures)
    begin = log.requests[schema.TIMESTAMP].min()
    assert isinstance(begin, datetime)  # noqa: S101 - a column of times that is not empty
    done = read_events(events, now=datetime.now(UTC), first=begin - config.covariate, until=until)
    end = until or done.events[schema.TIMESTAMP].max()
    if not isinstance(end, datetime):
        raise NotEnoughDataError(
            f"{events} has no event since {begin:%Y-%m-%d %H:%M} UTC less the covariate's days.",
            remedy="Ingest the events of the experiment's time first.",
        )
    return log, done, end


def _write(folder: Path, result: "ExperimentResult", values: dict[str, Any]) -> None:
    import json

    from marquee.data.storage import write_atomically
    from marquee.errors import ConfigError
    from marquee.experiment_report.page import render_experiment

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(
            folder / "decision.json", (json.dumps(values, indent=2, allow_nan=False) + "\n").encode()
        )
        write_atomically(folder / "report.html", render_experiment(result, values).encode())
    except OSError as error:
        raise ConfigError(
            f"--out = {folder} can't be written: {error.strerror}.", remedy="Name another folder."
        ) from error


def _publish(result: "ExperimentResult", to: str) -> None:
    from marquee.adapters.prometheus_text import publish
    from marquee.experiment_report.readings import readings

    publish(readings(result, now=datetime.now(UTC)), to, job=f"marquee-experiment-{result.name}")


def _show(result: "ExperimentResult", folder: Path) -> None:
    from rich.markup import escape

    from marquee.cli.render import OUT, table
    from marquee.experiment_report.page import number, percent

    users = ", ".join(f"{name} {n:,}" for name, n in result.ratio.observed.items())
    OUT.print(f"users: {users}; shares p = {result.ratio.p_value:.3g}", markup=False)
    for variant, found in result.treatments.items():
        columns = ["metric", result.control, variant, "lift", "for one look", "always valid", "verdict"]
        made = table(f"{escape(variant)} against {escape(result.control)}", columns)
        for metric, each in found.comparisons.items():
            seen, once = found.looks[metric], each.lift_interval()
            made.add_row(
                metric,
                number(each.control),
                number(each.treatment),
                percent(each.lift),
                f"{percent(once.low)} to {percent(once.high)}",
                f"{percent(seen.lift_low)} to {percent(seen.lift_high)}",
                seen.verdict.replace("_", " "),
            )
        for guard in found.guardrails:
            bounds = f"{number(guard.low)} to {number(guard.high)}"
            made.add_row(
                guard.metric, number(guard.control), number(guard.treatment), "", "", bounds, guard.status
            )
        OUT.print(made)
        OUT.print(f"{variant}: {found.decision.action}", style="bold", markup=False)
        for reason in found.decision.reasons:
            OUT.print(f"  {reason}", markup=False, soft_wrap=True)
    OUT.print(f"{folder / 'report.html'}", markup=False, soft_wrap=True)
