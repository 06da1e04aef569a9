"""`marquee monitor …`: drift of a window, and decisions made again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marquee.cli.options import AsJson, ConfigFile, MetricsAddress

if TYPE_CHECKING:
    from marquee.monitoring.decision import Decision
    from marquee.monitoring.drift_policy import DriftState
    from marquee.steps.detect_drift import Detected

app = typer.Typer(help="Look whether the world has moved away from the model.", no_args_is_help=True)

_WINDOW = (
    "A warehouse's folder, a snapshot's id, a length (36h, 7d, 4w), dates (2024-01-01..2024-02-01), "
    "or SOURCE@RANGE"
)


@app.command()
def drift(  # noqa: PLR0913, PLR0917 - an argument an option
    current: Annotated[str, typer.Option(help=f"The window to look at. {_WINDOW}.")] = "7d",
    reference: Annotated[
        str | None, typer.Option(help=f"What to compare with. {_WINDOW}; all before the window by default.")
    ] = None,
    dataset: Annotated[
        str, typer.Option(help="Whose warehouse is meant where no source is named.")
    ] = "ml-100k",
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle or run folder whose lists are judged, too; none by default.")
    ] = None,
    exposures: Annotated[
        Path | None, typer.Option(help="Folder of the log of what was shown: scores and sources.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="File that remembers windows, alarms and cooldowns; made where missing."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of decision.json, decision.md and the report.")] = Path(
        "drift"
    ),
    config: ConfigFile = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the configuration's.")] = None,
    metrics: MetricsAddress = None,
    as_json: AsJson = False,
) -> None:
    """Hold a window against the past and decide whether to train; exits with 1 where the feed is broken."""
    from marquee.cli.render import OUT, print_json
    from marquee.monitoring.decision import read_state

    before = read_state(state) if state else None
    found = _detect(current, reference, dataset, bundle, exposures, config, seed, before, out)
    decision = found.decision
    if state:
        _write_state(state, decision)
    if metrics:
        _publish(found, metrics)
    if as_json:
        print_json(decision.model_dump(mode="json"))
    else:
        _show(found)
        OUT.print(f"{out / 'decision.json'} holds all of it.", markup=False, soft_wrap=True)
    if decision.outcome.verdict == "blocked":
        raise typer.Exit(1)


@app.command()
def replay(
    decision: Annotated[Path, typer.Argument(help="A decision.json.")] = Path("drift/decision.json"),
    as_json: AsJson = False,
) -> None:
    """Make a decision again from its record; exits with 1 where it comes out otherwise."""
    from marquee.cli.render import OUT, print_json
    from marquee.monitoring.decision import Decision
    from marquee.monitoring.decision import replay as make_again

    made = Decision.read(decision)
    again = make_again(made)
    if as_json:
        print_json({"is_same": again.is_same, **again.outcome.model_dump(mode="json")})
    else:
        how = "as on record" if again.is_same else f"not as on record ({made.outcome.verdict})"
        OUT.print(f"{again.outcome.verdict}, {how}: {again.outcome.reason}", markup=False)
    if not again.is_same:
        raise typer.Exit(1)


def _detect(  # noqa: PLR0913, PLR0917 - an argument an option
    current: str,
    reference: str | None,
    dataset: str,
    bundle: Path | None,
    exposures: Path | None,
    config: Path | None,
    seed: int | None,
    state: "DriftState | None",
    out: Path,
) -> "Detected":
    from datetime import UTC, datetime

    from marquee.cli.configuration import load_config
    from marquee.cli.progress import RichObserver
    from marquee.config import TrainingConfig
    from marquee.monitoring.drift_policy import DriftState
    from marquee.observing import StageClock
    from marquee.packing import Model
    from marquee.run_folder import find_bundle
    from marquee.settings import Settings
    from marquee.steps.detect_drift import DriftQuestion, detect

    settings = Settings.from_environment()
    knobs = load_config(config) if config else TrainingConfig()
    question = DriftQuestion(
        storage=dataset, main=settings.warehouse(dataset), current=current, reference=reference or "",
        model=Model.read(find_bundle(settings.runs, bundle)) if bundle else None, exposures=exposures,
        drift=knobs.drift, quality=knobs.quality, seed=knobs.seed if seed is None else seed,
    )  # fmt: skip
    with RichObserver() as observer, StageClock(observer).stage("compare"):
        return detect(question, state or DriftState(), out, now=datetime.now(UTC))


def _write_state(path: Path, decision: "Decision") -> None:
    from marquee.data.storage import storage_errors, write_atomically
    from marquee.errors import ConfigError

    with storage_errors(path, what="the drift policy's state", error=ConfigError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, decision.state_after.model_dump_json(indent=1).encode())


def _publish(found: "Detected", to: str) -> None:
    from datetime import UTC, datetime

    from marquee.adapters.prometheus_text import publish
    from marquee.monitoring.drift_readings import readings

    publish(readings(found.decision, found.quality, now=datetime.now(UTC)), to, job="marquee-drift")


def _show(found: "Detected") -> None:
    from marquee.cli.render import OUT, facts, table

    decision, window = found.decision, found.decision.window
    rows = {
        "verdict": decision.outcome.verdict,
        "why": decision.outcome.reason,
        "window": window.window_id,
        "users": f"{window.users} of {window.users_in_window} measured",
        "against": f"{window.reference_users} users, and {window.pool} held-out ones to calibrate",
        "report": found.report.html or "none",
    }
    OUT.print(facts("Drift", rows))
    for note in (*decision.quality.words, *decision.notes, *found.report.notes):
        OUT.print(f"- {note}", markup=False, soft_wrap=True)
    made = table("Signals", ["signal", "measured", "usual", "z"])
    for name, each in decision.signals.items():
        if (z := decision.z[name]) is not None:
            made.add_row(name, f"{each.statistic:.2f}", f"{each.usual:.2f}", f"{z:.2f}")
    if made.row_count:
        OUT.print()
        OUT.print(made)
