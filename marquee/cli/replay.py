"""`marquee replay DATASET`: the loop over a data set's real weeks, under several policies."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.options import AsJson, ConfigFile, RunsFolder, SourcePath

if TYPE_CHECKING:
    from marquee.replay.config import ReplayConfig


def replay(  # noqa: PLR0913, PLR0917 - an argument an option
    dataset: Annotated[str, typer.Argument(help="A name of `marquee data list`.")] = "ml-100k",
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help="never, timer:7d, drift, drift:20% (refreshed at another growth of the data), drift:alarms"
            " (never refreshed), drift+timer:14d or every-window; several are compared."
            " The usual four by default."
        ),
    ] = None,
    shock: Annotated[
        list[str] | None,
        typer.Option(
            help="kind@window, kind@window+length or kind@date: genre_surge, title_surge, influx, scale,"
            " thumbs, null_column, default_column or broken_model."
        ),
    ] = None,
    still: Annotated[
        bool,
        typer.Option("--still", help="Move each user to a random time first: no drift, only false alarms."),
    ] = False,
    window_days: Annotated[int | None, typer.Option(help="Length of a window; 7 by default.")] = None,
    min_users: Annotated[int | None, typer.Option(help="A window with fewer goes on; 60 by default.")] = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    seed: Annotated[int, typer.Option(help="Of models, shocks and samples.")] = 7,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Walk real weeks: train, serve, log, watch, and train again as each policy says; leaves a report."""
    from datetime import UTC, datetime

    from marquee.cli.configuration import load_config
    from marquee.cli.progress import RichObserver
    from marquee.cli.render import print_json
    from marquee.replay.policies import USUAL
    from marquee.replay.start import Wanted, replay_dataset
    from marquee.settings import Settings

    wanted = Wanted(
        dataset, tuple(policy or USUAL), tuple(shock or ()), seed, source,
        load_config(config, seed) if config else None, _lengths(window_days, min_users), still,
    )  # fmt: skip
    settings = Settings.from_environment().with_runs(runs)
    with RichObserver() as observer:
        folder, found = replay_dataset(wanted, settings, now=datetime.now(UTC), observer=observer)
    if as_json:
        print_json({**found.values, "compute": found.compute, "folder": str(folder)})
    else:
        _show(found.values, found.compute, folder)


def _lengths(window_days: int | None, min_users: int | None) -> "ReplayConfig":
    """The settings of the windows.

    Raises:
        ConfigError: a value does not fit.
    """
    from pydantic import ValidationError

    from marquee.data.yaml_text import fault_of
    from marquee.errors import ConfigError
    from marquee.replay.config import ReplayConfig

    given = {"window_days": window_days, "min_users": min_users}
    try:
        return ReplayConfig.model_validate({name: each for name, each in given.items() if each is not None})
    except ValidationError as error:
        raise ConfigError(
            fault_of(error, where="the options"), remedy="Give whole days, and two users or more."
        ) from error


def _show(values: dict[str, Any], compute: dict[str, Any], folder: Path) -> None:
    from marquee.cli.render import OUT, table

    still = ", every user at a random time" if values["still"] else ""
    OUT.print(f"{len(values['windows'])} windows of {values['dataset']}{still}", markup=False)
    made = table(
        "Policies",
        ["policy", "NDCG", "95 %", "trained", "refresh", "promoted", "held back", "CPU s", "without shock"],
    )
    for each in values["policies"]:
        ndcg, alarms = each["ndcg"], each["false_alarms"]
        made.add_row(
            each["policy"],
            f"{ndcg['estimate']:.4f}",
            f"{ndcg['low']:.4f} to {ndcg['high']:.4f}",
            str(each["retrains"]),
            "–" if each["refreshes"] is None else str(each["refreshes"]),
            str(each["promoted"]),
            str(each["held_back"]),
            f"{compute['policies'][each['policy']]:.0f}",
            "–" if alarms is None else f"{alarms} of {each['windows_without_shock']}",
        )
    OUT.print(made)
    if values["differences"]:
        made = table(
            "Differences of NDCG, paired by user", ["policy", "against", "difference", "95 %"], left=2
        )
        for each in values["differences"]:
            ndcg = each["ndcg"]
            bounds = f"{ndcg['low']:+.4f} to {ndcg['high']:+.4f}"
            made.add_row(each["policy"], each["against"], f"{ndcg['estimate']:+.4f}", bounds)
        OUT.print(made)
    for each in values["policies"]:
        for seen in each["detections"]:
            when = (
                f"{seen['verdict']} in its window {seen['after_windows']}" if seen["verdict"] else "not seen"
            )
            OUT.print(f"{each['policy']}, {seen['shock']}: {when}", markup=False)
    OUT.print(f"{folder / 'replay.html'}", markup=False, soft_wrap=True)
