"""The commands. Heavy imports wait inside them, so that `marquee --help` answers at once."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from marquee.cli.bundle import app as bundle_app
from marquee.cli.data import app as data_app
from marquee.cli.features import app as features_app
from marquee.cli.options import (
    AsJson,
    BundlePath,
    ConfigFile,
    ListLength,
    MaturityLimit,
    RunsFolder,
    SourcePath,
)

app = typer.Typer(
    name="marquee",
    help="Movie recommendations from your events: measured, explained, in one command.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data_app, name="data")
app.add_typer(bundle_app, name="bundle")
app.add_typer(features_app, name="features")


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
    config: ConfigFile = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the configuration's.")] = None,
    runs: RunsFolder = None,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the complete configuration and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """From events to a trained, evaluated and gated bundle; the gate's refusal is exit code 1."""
    from marquee.cli.train import show_configuration, train_and_show

    if show_config:
        show_configuration(config, seed=seed, as_json=as_json)
        return
    train_and_show(dataset, config, source=source, seed=seed, runs=runs, as_json=as_json)


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
def recommend(
    user: Annotated[
        str | None, typer.Option(help="A user's id; their history comes from the warehouse.")
    ] = None,
    history: Annotated[
        str | None, typer.Option(help="Item ids, oldest first, separated by commas; overrides the warehouse.")
    ] = None,
    n: ListLength = 12,
    maturity_limit: MaturityLimit = None,
    exclude: Annotated[str | None, typer.Option(help="Item ids not to show, separated by commas.")] = None,
    bundle: BundlePath = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """A list for a user, for a history of your own, or for somebody unknown."""
    from marquee.cli.recommend import ListRequest, recommend_and_show

    request = ListRequest.of(user, history=history, n=n, maturity_limit=maturity_limit, exclude=exclude)
    recommend_and_show(request, bundle, runs=runs, now=datetime.now(UTC), as_json=as_json)


@app.command()
def similar(
    item: Annotated[str, typer.Argument(help="An item id, or a title or the beginning of one.")],
    n: ListLength = 12,
    bundle: BundlePath = None,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Items like one item."""
    from marquee.cli.recommend import similar_and_show

    similar_and_show(item, n, bundle=bundle, runs=runs, as_json=as_json)
