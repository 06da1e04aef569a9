"""`marquee canary …`: give a new bundle a growing share of the requests; take it back when it does harm."""

import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.options import AsJson, MetricsAddress, RunsFolder
from marquee.cli.rollout_places import crown_of, deployment_at, document_at
from marquee.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from marquee.adapters.canary_record import CanaryRecord
    from marquee.adapters.deployment import CanaryMetrics, Crown, Deployment
    from marquee.canary_loop import CanaryLoop
    from marquee.monitoring.canary_config import CanaryConfig
    from marquee.monitoring.canary_state import CanaryState

app = typer.Typer(help="Roll a bundle out step by step, watched.", no_args_is_help=True)

DeploymentOption = Annotated[
    str,
    typer.Option(
        "--deployment",
        metavar="ADDRESS",
        help="A store that holds deployment.json: s3://… or a folder; or k8s://namespace/name.",
    ),
]
NameOption = Annotated[str, typer.Option("--name", help="Of the deployment, in the record.")]
RecordOption = Annotated[
    str | None,
    typer.Option("--record", metavar="ADDRESS", help="Store of the record; that of the models by default."),
]
PrometheusOption = Annotated[
    str | None, typer.Option("--prometheus", metavar="URL", help="Where the servers' metrics are.")
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="All series of the deployment have it; repeatable."),
]
RegistryOption = Annotated[
    str | None,
    typer.Option("--registry", metavar="DATASET", help="Whose registry hears of the promotion."),
]


@app.command()
def start(  # noqa: PLR0913, PLR0917 - an argument an option
    bundle: Annotated[str, typer.Argument(help="Bundle id of the canary.")],
    deployment: DeploymentOption,
    name: NameOption = "marquee",
    stable: Annotated[
        str | None, typer.Option(help="Bundle id to begin a deployment with, where there is none.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML of steps and guardrails: what differs.")
    ] = None,
    record: RecordOption = None,
    runs: RunsFolder = None,
    metrics: MetricsAddress = None,
    as_json: AsJson = False,
) -> None:
    """Begin a rollout at 0 %; `step` or `run` take it on."""
    if stable is not None:
        document_at(deployment).create(stable)
    loop = _loop(deployment_at(deployment, runs), _record(record, name, runs))
    _show(_drawn(loop.begin(bundle, _config(config)), name, metrics), as_json=as_json)


@app.command()
def step(  # noqa: PLR0913, PLR0917 - an argument an option
    deployment: DeploymentOption,
    prometheus: PrometheusOption = None,
    label: LabelOption = None,
    registry: RegistryOption = None,
    name: NameOption = "marquee",
    record: RecordOption = None,
    runs: RunsFolder = None,
    metrics: MetricsAddress = None,
    as_json: AsJson = False,
) -> None:
    """One look, one verdict, one change at most: for a CronJob. A rolled back canary is exit code 1."""
    loop = _loop(
        deployment_at(deployment, runs),
        _record(record, name, runs),
        metrics=_metrics(prometheus, label),
        crown=crown_of(registry, runs),
    )
    _end(_drawn(loop.check(), name, metrics), as_json=as_json)


@app.command()
def run(  # noqa: PLR0913, PLR0917 - an argument an option
    deployment: DeploymentOption,
    prometheus: PrometheusOption = None,
    label: LabelOption = None,
    registry: RegistryOption = None,
    every: Annotated[float, typer.Option(help="Seconds between looks.")] = 60.0,
    checks: Annotated[int, typer.Option(help="At most so many looks.")] = 1_440,
    name: NameOption = "marquee",
    record: RecordOption = None,
    runs: RunsFolder = None,
    metrics: MetricsAddress = None,
    as_json: AsJson = False,
) -> None:
    """Look again and again until the rollout is over. A rolled back canary is exit code 1."""
    from marquee.cli.render import ERR, print_error
    from marquee.errors import MarqueeError

    if not 0.1 <= every <= 3_600 or not 1 <= checks <= 100_000:
        raise RequestError(
            f"--every {every:g} or --checks {checks} is out of range.",
            remedy="Give 0.1 to 3600 seconds and 1 to 100000 looks.",
        )
    loop = _loop(
        deployment_at(deployment, runs),
        _record(record, name, runs),
        metrics=_metrics(prometheus, label),
        crown=crown_of(registry, runs),
    )
    last: CanaryState | MarqueeError | None = None
    for last in loop.run(every_s=every, checks=checks):
        if isinstance(last, MarqueeError):
            print_error(last)
            continue
        _drawn(last, name, metrics)
        if last.log:
            ERR.print(_line(last), markup=False)
    if isinstance(last, MarqueeError):
        raise last
    if last is not None:
        _end(last, as_json=as_json)


@app.command()
def status(
    deployment: Annotated[
        str | None, typer.Option("--deployment", metavar="ADDRESS", help="Show what is there, too.")
    ] = None,
    name: NameOption = "marquee",
    record: RecordOption = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Where the newest rollout stands, and its verdicts; changes nothing."""
    from dataclasses import asdict

    from marquee.cli.render import OUT, facts, print_json

    where = _record(record, name, runs)
    state = where.read()
    there = None if deployment is None else asdict(deployment_at(deployment, runs).status())
    if as_json:
        values = None if state is None else state.model_dump(mode="json")
        print_json({"rollout": values, "deployment": there, "decisions": list(where.decisions())})
        return
    if state is None:
        OUT.print(f"{name} had no rollout yet.", markup=False)
    else:
        _print_state(state)
    if there is not None:
        OUT.print(facts("Deployment", there))


@app.command()
def abort(
    deployment: DeploymentOption,
    reason: Annotated[str, typer.Option(help="For the log.")] = "aborted by hand",
    name: NameOption = "marquee",
    record: RecordOption = None,
    runs: RunsFolder = None,
    metrics: MetricsAddress = None,
    as_json: AsJson = False,
) -> None:
    """Roll back now, whatever the metrics say."""
    state = _loop(deployment_at(deployment, runs), _record(record, name, runs)).abort(reason)
    _show(_drawn(state, name, metrics), as_json=as_json)


@app.command()
def ready(
    bundles: Annotated[list[str], typer.Argument(help="Ids of all bundles that answer now.")],
    deployment: DeploymentOption,
) -> None:
    """Say which bundles answer, as whoever serves a deployment document does."""
    from dataclasses import asdict

    from marquee.cli.render import OUT, facts

    OUT.print(facts("Deployment", asdict(document_at(deployment).report_ready(*bundles))))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A decision-….json of the record.")], as_json: AsJson = False
) -> None:
    """Make a recorded verdict again from its inputs; another one than the record's is exit code 1."""
    from pydantic import ValidationError

    from marquee.cli.render import OUT, print_json
    from marquee.monitoring.canary import replay
    from marquee.monitoring.canary_state import DecisionRecord

    try:
        kept = DecisionRecord.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise RequestError(
            f"{file} is no decision: {error.errors()[0]['msg']}.",
            remedy="Give a decision-….json of a record.",
        ) from error
    again = replay(kept)
    if as_json:
        print_json({"recorded": kept.decision.model_dump(), "replayed": again.model_dump()})
    else:
        OUT.print(f"{kept.at:%Y-%m-%d %H:%M:%S} {again.verdict}: {again.reason}", markup=False)
    if again != kept.decision:
        raise typer.Exit(1)


def _record(address: str | None, name: str, runs: Path | None) -> "CanaryRecord":
    from marquee.adapters.canary_record import CanaryRecord
    from marquee.adapters.object_store import open_store
    from marquee.settings import Settings

    settings = Settings.from_environment().with_runs(runs)
    return CanaryRecord.of(open_store(address or settings.models_uri), name)


def _loop(
    deployment: "Deployment",
    record: "CanaryRecord",
    *,
    metrics: "CanaryMetrics | None" = None,
    crown: "Crown | None" = None,
) -> "CanaryLoop":
    from marquee.canary_loop import CanaryLoop

    holder = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
    return CanaryLoop(record, deployment, metrics or _metrics(None, None), holder, crown)


def _metrics(url: str | None, labels: list[str] | None) -> "CanaryMetrics":
    from marquee.adapters.deployment import NoMetrics
    from marquee.adapters.prometheus import PrometheusMetrics
    from marquee.adapters.prometheus_api import PrometheusApi, PrometheusConfig

    if url is None:
        return NoMetrics()
    pairs = [text.partition("=") for text in labels or []]
    for text, (name, _, value) in zip(labels or [], pairs, strict=True):
        if not name or not value:
            raise RequestError(f"--label = {text!r} is no label.", remedy="Give NAME=VALUE.")
    return PrometheusMetrics(
        PrometheusApi(PrometheusConfig.of(url, {name: value for name, _, value in pairs}))
    )


def _config(file: Path | None) -> "CanaryConfig":
    from pydantic import ValidationError

    from marquee.data.yaml_text import fault_of, read_yaml
    from marquee.monitoring.canary_config import CanaryConfig

    if file is None:
        return CanaryConfig()
    try:
        return CanaryConfig.model_validate(read_yaml(file, option="--config") or {})
    except ValidationError as error:
        raise ConfigError(
            fault_of(error, where=str(file)),
            remedy="Correct it; defaults: marquee.monitoring.canary_config.",
        ) from error


def _drawn(state: "CanaryState", name: str, to: str | None) -> "CanaryState":
    """The state, after it was left for Prometheus where somebody asked for that.

    What fails there is said and stops nothing: a rollout that nobody watches any more would be worse.
    """
    from marquee.cli.render import print_error
    from marquee.errors import MarqueeError

    if to:
        from marquee.adapters.prometheus_text import publish
        from marquee.monitoring.canary_readings import readings

        try:
            publish(readings(state, name, now=datetime.now(UTC)), to, job=f"marquee-canary-{name}")
        except MarqueeError as error:
            print_error(error)
    return state


def _end(state: "CanaryState", *, as_json: bool) -> None:
    _show(state, as_json=as_json)
    if state.phase == "rolled_back":
        raise typer.Exit(1)


def _show(state: "CanaryState", *, as_json: bool) -> None:
    from marquee.cli.render import OUT, print_json

    if as_json:
        print_json(state.model_dump(mode="json"))
    else:
        OUT.print(_line(state), markup=False)


def _line(state: "CanaryState") -> str:
    last = state.log[-1]
    return f"{last.until:%H:%M:%S} {state.phase} {state.current.percent} %: {last.verdict}: {last.reason}"


def _print_state(state: "CanaryState") -> None:
    from marquee.cli.render import OUT, facts, table

    rows: dict[str, Any] = {
        "canary": state.canary,
        "champion": state.champion,
        "phase": state.phase,
        "step": f"{state.current.percent} %",
        "since": state.step_since or "not in force yet",
        "failed checks": f"{state.failed_checks} of {state.config.failed_checks}",
        "last good look": state.last_good_at or "none yet",
    }
    OUT.print(facts("Rollout", rows))
    made = table("Verdicts", ["from", "%", "looks", "verdict", "reason"], left=1)
    for entry in state.log[-12:]:
        made.add_row(
            f"{entry.at:%m-%d %H:%M}", str(entry.percent), str(entry.times), entry.verdict, entry.reason[:60]
        )
    OUT.print(made)
