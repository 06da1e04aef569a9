"""`marquee experiment …`: check a file of experiments, see which variants a user is in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.options import AsJson
from marquee.errors import RequestError

if TYPE_CHECKING:
    from marquee.experiments.assignment import Assignment
    from marquee.experiments.config import Experiment

app = typer.Typer(help="Check experiments, see who is in which variant.", no_args_is_help=True)


@app.command()
def assign(
    user: Annotated[str, typer.Argument(help="A user's id.")],
    config: Annotated[Path, typer.Option("--config", help="YAML file of experiments.")] = Path(
        "experiments.yaml"
    ),
    surface: Annotated[str, typer.Option(help="Where the list is asked for.")] = "home",
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="EXPERIMENT=VARIANT", help="As a tester may ask; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The variants that a user is in."""
    from marquee.cli.render import OUT, print_json
    from marquee.experiments.assignment import assign
    from marquee.experiments.config import read_experiments

    experiments = read_experiments(config)
    found = assign(user, experiments, surface=surface, overrides=_overrides(override or []))
    if as_json:
        print_json({"user_id": user, "surface": surface, "assignments": [each._asdict() for each in found]})
    elif found:
        _print_assignments(user, surface, found)
    else:
        OUT.print(f"{user} is in no experiment on {surface}.", markup=False)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="YAML file of experiments.")], as_json: AsJson = False
) -> None:
    """Validate a file of experiments and show who is taken by which."""
    from marquee.cli.render import OUT, print_json
    from marquee.experiments.config import read_experiments

    config = read_experiments(file, option="FILE")
    if as_json:
        experiments = [_as_values(each) for each in config.experiments]
        bundles = list(config.bundles)
        print_json({"path": str(file), "is_on": config.is_on, "bundles": bundles, "experiments": experiments})
        return
    _print_experiments(config.experiments)
    if not config.experiments:
        OUT.print("The file holds no experiment.")
    elif not config.is_on:
        OUT.print("All are off: is_on of the file is false.")
    if config.bundles:
        OUT.print(f"Bundle slots beside the default one: {', '.join(config.bundles)}.")


def _overrides(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for text, (experiment, _, variant) in zip(given, pairs, strict=True):
        if not experiment or not variant:
            raise RequestError(f"--override = {text!r} is no override.", remedy="Give EXPERIMENT=VARIANT.")
    return {experiment: variant for experiment, _, variant in pairs}


def _print_assignments(user: str, surface: str, found: "tuple[Assignment, ...]") -> None:
    from rich.markup import escape

    from marquee.cli.render import OUT, table

    made = table(
        f"{escape(user)} on {surface}",
        ["experiment", "variant", "bundle slot", "how", "probability", "bucket"],
        left=4,
    )
    for each in found:
        how = "override" if each.is_override else "drawn"
        made.add_row(
            each.experiment,
            each.variant,
            each.bundle or "default",
            how,
            f"{each.propensity:.4f}",
            str(each.bucket),
        )
    OUT.print(made)


def _print_experiments(experiments: "tuple[Experiment, ...]") -> None:
    from marquee.cli.render import OUT, table

    made = table(
        "Experiments",
        ["experiment", "state", "surfaces", "layer", "users", "variants: share, bundle slot"],
        left=6,
    )
    for each in experiments:
        for number, variant in enumerate(each.variants):
            whose = (
                each.name,
                "on" if each.is_on else "off",
                ", ".join(each.surfaces),
                each.layer,
                f"{each.first:g}–{each.end:g}",
            )
            arm = f"{variant.name}: {each.shares[variant.name]:.2%}, {variant.bundle or 'default'}"
            made.add_row(*(whose if number == 0 else [""] * len(whose)), arm)
    if experiments:
        OUT.print(made)


def _as_values(experiment: "Experiment") -> dict[str, Any]:
    """An experiment as it stands in the file, with what follows from it."""
    values = experiment.model_dump(mode="json")
    return {
        **values,
        "salt": experiment.effective_salt,
        "end": experiment.end,
        "variants": [
            {**variant, "share": experiment.shares[variant["name"]]} for variant in values["variants"]
        ],
    }
