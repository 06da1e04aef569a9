"""`marquee features apply`."""

from typing import TYPE_CHECKING, Annotated

import typer

from marquee.cli.features.place import DEFAULT, Dataset, Place, ProfileName
from marquee.cli.options import AsJson, ConfigFile, SourcePath

if TYPE_CHECKING:
    from marquee.adapters.feast import Change


def apply(
    dataset: Dataset = DEFAULT,
    source: SourcePath = None,
    config: ConfigFile = None,
    profile: ProfileName = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    delete: Annotated[
        list[str] | None,
        typer.Option(
            "--delete",
            metavar="KIND:NAME",
            help="What may be deleted, as view:user_profile; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the registry in line with feature_repo.

    The plan is shown first. A service never gets a new meaning under its old
    name, and nothing is deleted that --delete does not name.
    """
    from marquee.cli.render import OUT, print_json

    place = Place.of(dataset, source=source, config=config)
    door = place.door(profile)
    declared = door.declarations(place.settings.feature_repo)
    plan = door.plan(declared)
    if not as_json:
        for change in plan.changes:
            OUT.print(_line(change))
    plan.require_safe(delete or ())
    if not dry_run:
        door.apply(declared, deletions=delete or ())
    if as_json:
        print_json({"applied": not dry_run, "changes": [vars(change) for change in plan.changes]})
        return
    count = len(plan.changes)
    told = "nothing to change" if not count else f"{count} change{'s' if count > 1 else ''}"
    done = "" if not count else " planned" if dry_run else " applied"
    OUT.print(f"{told}{done}, profile {door.profile.name}")


def _line(change: "Change") -> str:
    from rich.markup import escape

    mark = {"create": "[green]+[/]", "update": "[yellow]~[/]", "delete": "[red]−[/]"}[change.action]
    return "\n    ".join([f"{mark} {change.label}", *map(escape, change.details)])
