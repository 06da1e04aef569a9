"""`marquee features parity` and `simulate`: was what was served what the offline store knows?"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.features.place import DEFAULT, Dataset, Place, ProfileName, require_feast
from marquee.cli.options import AsJson, BundlePath, ConfigFile, SourcePath

if TYPE_CHECKING:
    from marquee.adapters.feast import FeatureDoor
    from marquee.adapters.feast.parity import ParityReport
    from marquee.adapters.feast.simulated_day import DayConfig, DayReport, Serve


def parity(
    log: Annotated[Path, typer.Option("--log", help="Logged requests: JSON lines, plain or gzip.")],
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    as_json: AsJson = False,
) -> None:
    """Ask the offline store for each row that was served, and compare the bits.

    Exit code 0: all are equal; 1: some differ; 2: a line, a store or the registry can't be read.
    """
    from marquee.cli.render import OUT, print_json

    place = Place.of(dataset, source=source, config=config)
    door = place.door(profile)
    from marquee.adapters.feast.simulated_day import replay_day  # needs Feast, which the line above looks for

    report = replay_day(place.state, door, log)
    if as_json:
        print_json(_as_values(report))
    else:
        for shown in _shown(report):
            OUT.print(shown)
    raise typer.Exit(report.exit_code)


def simulate(  # noqa: PLR0913, PLR0917 - an argument is an option
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    requests: Annotated[int, typer.Option(min=1, help="At least so many, over whole days.")] = 5_000,
    late: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events that arrive after a request they precede.")
    ] = 0.0,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", help="An empty folder for state, stores and log; else none stays."),
    ] = None,
    bundle: BundlePath = None,
    as_json: AsJson = False,
) -> None:
    """Live through the last days of a data set, serving and pushing, and check the parity of every request.

    State and stores are made anew beside your own, which stay as they are. With a bundle each request
    gets its list, too, by the path that serves. Exit codes as of `parity`.
    """
    place = Place.of(dataset, source=source, config=config)
    with TemporaryDirectory() as scratch:
        folder = _empty(keep) if keep else Path(scratch)
        door = _door_to(folder, place, profile)
        from marquee.adapters.feast.simulated_day import DayConfig

        day_config = DayConfig(requests=requests, late=late)
        serve = _lists_of(bundle) if bundle else None
        day, report = _live_and_replay(folder, door, place, config=day_config, serve=serve)
    _print_day(day, report, as_json=as_json)
    raise typer.Exit(report.exit_code)


def _live_and_replay(
    folder: Path, door: "FeatureDoor", place: Place, *, config: "DayConfig", serve: "Serve | None"
) -> "tuple[DayReport, ParityReport]":
    from marquee.adapters.feast.simulated_day import Stage, replay_day, simulate_day
    from marquee.cli.features.stages import stages

    events = place.warehouse().scan_interactions().collect()
    stage = Stage(folder, door, place.settings.feature_repo, place.side_tables())
    log = folder / "requests.jsonl"
    with stages() as on_progress:
        day = simulate_day(stage, events, log, config=config, serve=serve, on_progress=on_progress)
        on_progress("replay", 0, 1)
        return day, replay_day(folder, door, log)


def _lists_of(bundle: Path) -> "Serve":
    """What makes a list of an online row."""
    from marquee.adapters.feast.simulated_day import lists_of
    from marquee.packing import Model
    from marquee.run_folder import find_bundle
    from marquee.settings import Settings

    runs = Settings.from_environment().runs
    return lists_of(Model.read(find_bundle(runs, bundle)).recommender)


def _door_to(folder: Path, place: Place, profile: str | None) -> "FeatureDoor":
    """The feature store of a profile with its state in a folder of its own.

    Raises:
        ConfigError: the profile reads its state elsewhere.
    """
    from marquee.errors import ConfigError

    require_feast()
    from marquee.adapters.feast import FeatureDoor

    environment = {**os.environ, "MARQUEE_STATE": str(folder.absolute())}
    name = profile or place.settings.profile
    door = FeatureDoor.of(name, repo=place.settings.feature_repo, environment=environment)
    root = door.profile.state_root
    if not Path(root).is_relative_to(folder.absolute()):
        raise ConfigError(
            f"profile {door.profile.name} reads its state from {root}, where a simulation must not write.",
            remedy="Name a profile with `state_root: ${MARQUEE_STATE}/current`, as local has it.",
        )
    return door


def _empty(folder: Path) -> Path:
    """A folder that holds nothing yet.

    Raises:
        ConfigError: it holds something, or is a file.
    """
    from marquee.data.storage import storage_errors
    from marquee.errors import ConfigError

    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty.", remedy="Name a new folder: --keep.")
    with storage_errors(folder, what="the folder"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _print_day(day: "DayReport", report: "ParityReport", *, as_json: bool) -> None:
    from statistics import quantiles

    from marquee.cli.render import OUT, facts, print_json

    counts = {
        "events": day.events,
        "pushes": day.pushes,
        "requests": day.requests,
        "late_events": day.late_events,
        "requests_before_late": day.requests_before_late,
    }
    times: dict[str, float] = {}
    for name, spent in (("push", day.push_ms), ("read", day.read_ms)):
        cuts = quantiles(spent, n=100) if len(spent) > 1 else [0.0] * 99
        times |= {f"{name}_p50_ms": round(cuts[49], 2), f"{name}_p99_ms": round(cuts[98], 2)}
    if as_json:
        print_json({"day": counts | times, "parity": _as_values(report)})
        return
    shown = {name: f"{count:,}" for name, count in counts.items()} | times
    OUT.print(facts("Simulated day", {name.replace("_", " "): value for name, value in shown.items()}))
    for each in _shown(report):
        OUT.print(each)


def _as_values(report: "ParityReport") -> dict[str, Any]:
    """A report for programs; NaN, which JSON lacks, as null."""
    return {
        "requests": report.requests,
        "equal": report.equal,
        "rejected": report.rejected,
        "torn": report.torn,
        "differing": report.differing,
        "causes": dict(report.causes),
        "examples": [
            vars(each) | {"served": _plain(each.served), "offline": _plain(each.offline)}
            for each in report.examples
        ],
        "rejections": [vars(each) for each in report.rejections],
    }


def _shown(report: "ParityReport") -> list[Any]:
    """A report for people."""
    from rich.markup import escape

    from marquee.cli.render import facts, table

    values = {"requests": f"{report.requests:,}", "equal": f"{report.equal:,}"}
    values |= {f"cause: {cause}": f"{count:,}" for cause, count in report.causes.most_common()}
    if report.rejected or report.torn:
        values["lines without a request"] = f"{report.rejected:,}, and {report.torn} torn at the end"
    shown: list[Any] = [facts("Parity", values), *(escape(str(line)) for line in report.rejections)]
    if report.differing:
        features = table("Differing requests", ["view", "feature", "requests"], left=2)
        for view, counts in report.differing.items():
            for name, count in counts.items():
                features.add_row(view, name, f"{count:,}")
        examples = table("Examples", ["request", "feature", "served", "offline"], left=4)
        for each in report.examples:
            examples.add_row(*map(escape, (each.request_id, each.feature, *_differing_part(each))))
        shown += [features, examples]
    return shown


def _differing_part(example: Any) -> tuple[str, str]:  # noqa: ANN401 - a Difference, which needs Feast
    """Both values; of lists, from the first element that differs."""
    served, offline = example.served, example.offline
    if not (isinstance(served, list) and isinstance(offline, list)):
        return str(served), str(offline)
    pairs = enumerate(zip(served, offline, strict=False))
    begin = next(
        (place for place, (one, two) in pairs if repr(one) != repr(two)), min(len(served), len(offline))
    )
    return tuple(f"[{begin}:] {values[begin : begin + 3]}" for values in (served, offline))  # type: ignore[return-value]


def _plain(value: Any) -> Any:  # noqa: ANN401 - any feature
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN alone
