"""The commands. Heavy imports wait inside them, so that `marquee --help` answers at once."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from marquee.cli.bundle import app as bundle_app
from marquee.cli.canary import app as canary_app
from marquee.cli.data import app as data_app
from marquee.cli.deploy import app as deploy_app
from marquee.cli.experiment import app as experiment_app
from marquee.cli.experiment_report import replay as replay_experiment
from marquee.cli.experiment_report import report as report_experiment
from marquee.cli.features import app as features_app
from marquee.cli.monitor import app as monitor_app
from marquee.cli.monitor_online import online as monitor_online
from marquee.cli.options import (
    AsJson,
    BundlePath,
    ConfigFile,
    DataRevision,
    ListLength,
    MaturityLimit,
    RunsFolder,
    SourcePath,
)
from marquee.cli.registry import app as registry_app
from marquee.cli.replay import replay
from marquee.cli.trending import trending as trending_now

Exclude = Annotated[str | None, typer.Option("--exclude", help="Item ids not to show, separated by commas.")]

app = typer.Typer(
    name="marquee",
    help="Movie recommendations from your events: measured, explained, in one command.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data_app, name="data")
app.add_typer(bundle_app, name="bundle")
app.add_typer(canary_app, name="canary")
app.add_typer(deploy_app, name="deploy")
app.add_typer(features_app, name="features")
experiment_app.command(name="report")(report_experiment)
experiment_app.command(name="replay")(replay_experiment)
app.add_typer(experiment_app, name="experiment")
monitor_app.command(name="online")(monitor_online)
monitor_app.command(name="trending")(trending_now)
app.add_typer(monitor_app, name="monitor")
app.add_typer(registry_app, name="registry")
app.command()(replay)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Movie recommendations from your events: measured, explained, in one command."""
    from marquee import __version__

    if version:
        typer.echo(f"marquee {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def train(
    dataset: Annotated[str, typer.Argument(help="A name of `marquee data list`.")] = "ml-100k",
    source: SourcePath = None,
    data_rev: DataRevision = None,
    config: ConfigFile = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the configuration's.")] = None,
    runs: RunsFolder = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the complete configuration and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """From events to a trained, evaluated and gated bundle; the gate's refusal is exit code 1."""
    if show_config:
        from marquee.cli.configuration import show_configuration

        show_configuration(config, seed=seed, as_json=as_json)
        return
    from marquee.cli.train import train_and_show

    train_and_show(dataset, config, source=source, data_rev=data_rev, seed=seed, runs=runs, as_json=as_json)


@app.command()
def tune(  # noqa: PLR0913, PLR0917 - an argument an option
    dataset: Annotated[str, typer.Argument(help="A name of `marquee data list`.")] = "ml-100k",
    space: Annotated[
        str, typer.Option(help="What may vary: `default`, `brief`, or a YAML file of ranges.")
    ] = "default",
    trials: Annotated[int | None, typer.Option(help="Trials of the study in all.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Time for the search, 100 by default; call again to go on.")
    ] = None,
    study: Annotated[
        Path | None, typer.Option(help="Folder to keep the study in; under MARQUEE_DATA by default.")
    ] = None,
    source: SourcePath = None,
    config: ConfigFile = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the configuration's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Search for the booster and its knobs on the newest part of the training events."""
    from marquee.cli.tune import TuneRequest, tune_and_show

    request = TuneRequest(dataset, space, trials, seconds, source, study)
    tune_and_show(request, config, seed=seed, as_json=as_json)


@app.command()
def evaluate(
    bundle: BundlePath = None,
    config: ConfigFile = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure a bundle beside its single routes on events that it has not learned from."""
    from marquee.cli.evaluate import evaluate_and_show

    evaluate_and_show(bundle, config, runs=runs, as_json=as_json)


@app.command()
def report(
    run: Annotated[
        Path | None, typer.Argument(help="A run's folder, or its name; the latest run by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page to write; report.html of the run.")] = None,
    study: Annotated[
        Path | None, typer.Option(help="Show a search, too: its folder or study.db from `marquee tune`.")
    ] = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """A finished run's measurements as one page: models, slices, ceilings, importance, popularity."""
    from marquee.cli.report import report_and_show

    report_and_show(run, out=out, study=study, runs=runs, as_json=as_json)


@app.command()
def recommend(  # noqa: PLR0913, PLR0917 - an argument an option
    user: Annotated[
        str | None, typer.Option(help="A user's id; their history comes from the warehouse.")
    ] = None,
    history: Annotated[
        str | None, typer.Option(help="Item ids, oldest first, separated by commas; overrides the warehouse.")
    ] = None,
    n: ListLength = 12,
    maturity_limit: MaturityLimit = None,
    exclude: Exclude = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say of each item why it is there.")] = False,
    contributions: Annotated[
        bool, typer.Option("--contributions", help="The same, with the ranker's strongest features.")
    ] = False,
    bundle: BundlePath = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """A list for a user, for a history of your own, or for somebody unknown."""
    from marquee.cli.recommend import ListRequest, recommend_and_show

    request = ListRequest.of(
        user,
        history=history,
        n=n,
        maturity_limit=maturity_limit,
        exclude=exclude,
        explain=explain,
        contributions=contributions,
    )
    recommend_and_show(request, bundle, runs=runs, now=datetime.now(UTC), as_json=as_json)


@app.command()
def similar(
    item: Annotated[str, typer.Argument(help="An item id, or a title or the beginning of one.")],
    n: ListLength = 12,
    maturity_limit: MaturityLimit = None,
    exclude: Exclude = None,
    bundle: BundlePath = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Items like one item."""
    from marquee.cli.recommend import similar_and_show

    similar_and_show(
        item, n, maturity_limit=maturity_limit, exclude=exclude, bundle=bundle, runs=runs, as_json=as_json
    )


@app.command()
def benchmark(  # noqa: PLR0913, PLR0917 - an argument an option
    dataset: Annotated[
        str | None, typer.Argument(help="A name of `marquee data list`; not with --train and --test.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="temporal or literature.")] = "temporal",
    train: Annotated[
        Path | None, typer.Option(help="CSV or TSV to learn from: user, item, optionally rating, timestamp.")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="The same to be asked about.")] = None,
    mask: Annotated[
        str, typer.Option(help="Items that may not be recommended: those of `train`, as all tables have it.")
    ] = "train",
    k: Annotated[str, typer.Option(help="Cuts, separated by commas; the first one decides.")] = "10",
    models: Annotated[str, typer.Option(help="`all`, or names separated by commas.")] = "all",
    negatives: Annotated[
        Path | None, typer.Option(help="Rank only these candidates per user: rows of user and items.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Separated by commas.")] = "7,11,13",
    config: ConfigFile = None,
    source: SourcePath = None,
    output: Annotated[Path | None, typer.Option("--json", help="Write everything as JSON here.")] = None,
) -> None:
    """Every route, their union and the two stages side by side, on a data set or a split of your own."""
    from marquee.cli.benchmark import BenchmarkRequest, benchmark_and_show

    request = BenchmarkRequest.of(
        dataset,
        protocol=protocol,
        files=(train, test),
        mask=mask,
        negatives=negatives,
        numbers={"--k": k, "--seeds": seeds},
        models=models,
        source=source,
    )
    benchmark_and_show(request, config, output=output)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def pipeline(context: typer.Context) -> None:
    """Kubeflow pipelines: run, compile, submit, schedule, list, trigger."""
    from marquee.cli.pipeline import hand_over

    hand_over(context.args)
