"""`marquee tune`: search for the ranker, and leave a configuration that `marquee train` takes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from marquee.cli.configuration import load_config
from marquee.cli.prepared import prepared_data
from marquee.cli.progress import RichObserver
from marquee.cli.render import OUT, facts, print_json, table
from marquee.errors import ConfigError
from marquee.observing import StageClock
from marquee.ranking.search import SearchConfig, SearchResult
from marquee.ranking.search_space import BOOSTER, SearchSpace
from marquee.ranking.study_pictures import study_page
from marquee.studies import BEST, PICTURES, STUDY, study_folder
from marquee.tuning import tune

SHOWN_TRIALS: Final = 5


@dataclass(frozen=True)
class TuneRequest:
    """What was asked for, as it was typed."""

    dataset: str
    space: str
    trials: int | None
    seconds: float | None
    source: str | None
    folder: Path | None

    @property
    def budget(self) -> SearchConfig:
        """The budget, its defaults where nothing was asked for.

        Raises:
            ConfigError: there is none.
        """
        asked = {"trials": self.trials, "seconds": self.seconds}
        for name, value in asked.items():
            if value is not None and not value > 0:
                raise ConfigError(f"--{name} = {value} leaves no budget.", remedy="Give more than 0.")
        return SearchConfig.model_validate({key: value for key, value in asked.items() if value is not None})


def tune_and_show(request: TuneRequest, config: Path | None, *, seed: int | None, as_json: bool) -> None:
    """Search, and say what was found and how to use it."""
    recipe = load_config(config, seed)
    space, budget = SearchSpace.read(request.space), request.budget
    with RichObserver() as observer:
        clock = StageClock(observer)
        data = prepared_data(request.dataset, recipe, source=request.source, clock=clock)
        state, dataset = data.state(clock), data.dataset
        folder = request.folder or study_folder(
            data.settings.studies(data.storage), request.space, snapshot=dataset.snapshot_id, config=recipe
        )
        found = tune(dataset, recipe, state, space=space, search=budget, study=folder / STUDY, clock=clock)
    tuned = recipe.model_copy(update={"ranker": found.best})
    differences = tuned.model_dump(mode="json", exclude_defaults=True)
    (folder / BEST).write_text(yaml.safe_dump(differences, sort_keys=False), encoding="utf-8")
    page = study_page(found, space, title=f"Search for a ranker: {dataset.name}, space {request.space}")
    (folder / PICTURES).write_text(page, encoding="utf-8")
    if as_json:
        print_json(_as_values(found, folder))
    else:
        _show(found, folder, request)


def _as_values(found: SearchResult, folder: Path) -> dict[str, Any]:
    return {
        "study": str(folder / STUDY),
        "config": str(folder / BEST),
        "pictures": str(folder / PICTURES),
        "metric": "ndcg@10 of the validation",
        "start": found.start_trial.value,
        "best": found.best_trial.value,
        "ranker": found.best.model_dump(mode="json"),
        "importances": dict(found.importances),
        "trials": [
            {"number": t.number, "value": t.value, "pruned": t.is_pruned, "seconds": t.seconds, **t.point}
            for t in found.trials
        ],
    }


def _show(found: SearchResult, folder: Path, request: TuneRequest) -> None:
    n_pruned = sum(trial.is_pruned for trial in found.trials)
    best = table("Best trials", ["trial", "NDCG@10", "seconds", "knobs"])
    best.columns[-1].no_wrap, best.columns[-1].justify = False, "left"  # the one that may be too wide
    whole = sorted((t for t in found.trials if not t.is_pruned), key=lambda trial: -trial.value)
    for trial in whole[:SHOWN_TRIALS]:
        knobs = ", ".join(
            str(value) if name == BOOSTER else f"{name.partition('.')[2]} {_number(value)}"
            for name, value in trial.point.items()
        )
        best.add_row(str(trial.number), f"{trial.value:.4f}", f"{trial.seconds:.1f}", knobs)
    OUT.print()
    OUT.print(
        facts(
            "Search",
            {
                "trials": f"{len(found.trials)}, {n_pruned} of them given up early",
                "configured": f"NDCG@10 {found.start_trial.value:.4f} on the validation",
                "best": f"NDCG@10 {found.best_trial.value:.4f}, {found.best.booster}",
                "study": folder / STUDY,
                "pictures": folder / PICTURES,
            },
        )
    )
    OUT.print()
    OUT.print(best)
    OUT.print()
    OUT.print("[bold]Next[/]")
    OUT.print(
        f"  .venv/bin/marquee train {request.dataset} --config {folder / BEST}"
        "  [dim]# the test and the gate judge it[/]",
        soft_wrap=True,
    )
    if request.folder is not None:  # where no run looks for it
        OUT.print(
            f"  .venv/bin/marquee report --study {folder}  [dim]# the search on that run's page[/]",
            soft_wrap=True,
        )


def _number(value: float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
