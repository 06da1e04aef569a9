"""`marquee features report` and `marquee features catalogue`: the feature store as pages to read."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from marquee.cli.features.place import DEFAULT, Dataset, require_feast
from marquee.cli.options import AsJson

if TYPE_CHECKING:
    from marquee.features.report import Catalogue


def report(
    dataset: Dataset = DEFAULT,
    to: Annotated[Path, typer.Option("--to", help="The page to write.")] = Path("build/feature_report.html"),
    ablation: Annotated[
        Path | None, typer.Option("--ablation", help="JSON of what the ranking loses without each view.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Picture every feature as it is online: distribution, nulls, freshness, drift since the last build."""
    from marquee.cli.render import ERR, OUT, print_json
    from marquee.settings import Settings

    settings = Settings.from_environment()
    declared = _declared(settings.feature_repo)
    from marquee.features.report import Ablation, ReportConfig, findings, measure_state, render_report

    measured = Ablation.from_file(ablation) if ablation else None
    config = ReportConfig()
    state = measure_state(
        settings.state(dataset),
        dataset,
        promises=declared.promises,
        config=config,
        on_progress=lambda view, done, total: ERR.print(f"{view}: {done + 1} of {total}"),
    )
    found = findings(state, config)
    _write(to, render_report(state, found, now=datetime.now(UTC), config=config, ablation=measured))
    if as_json:
        listed = [vars(each) for each in found]
        values = {"page": str(to), "state_id": state.state_id, "compared_with": state.before_id}
        print_json(values | {"findings": listed})
    else:
        OUT.print(
            f"{to}: {sum(len(view.features) for view in state.views)} features, {len(found)} to look at"
        )


def catalogue(
    to: Annotated[Path, typer.Option("--to", help="The page to write.")] = Path(
        "build/feature_catalogue.html"
    ),
    as_json: AsJson = False,
) -> None:
    """Describe everything that feature_repo declares, from the declarations alone."""
    from marquee.cli.render import OUT, print_json
    from marquee.settings import Settings

    declared = _declared(Settings.from_environment().feature_repo)
    from marquee.features.report import render_catalogue

    _write(to, render_catalogue(declared))
    values = {
        "page": str(to),
        "views": len(declared.views),
        "features": sum(len(view.fields) for view in declared.views),
        "services": {each.name: each.contract_hash for each in declared.services},
    }
    if as_json:
        print_json(values)
    else:
        OUT.print(f"{to}: {values['views']} views, {values['features']} features")


def _declared(repo: Path) -> "Catalogue":
    """What is declared.

    Raises:
        ConfigError: Feast is not installed, or the folder is no feature repository.
    """
    require_feast()
    from marquee.adapters.feast.catalogue import read_catalogue

    return read_catalogue(repo)


def _write(to: Path, page: str) -> None:
    from marquee.data.storage import write_atomically
    from marquee.errors import ConfigError

    if to.is_dir():
        raise ConfigError(f"--to = {to} is a folder.", remedy="Name the file to write.")
    write_atomically(to, page.encode())
