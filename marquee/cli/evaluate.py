"""`marquee evaluate`: measure a bundle again, by the very path that serves it."""

import os
from pathlib import Path

from marquee.assessment import measure_bundle
from marquee.cli.configuration import load_config
from marquee.cli.progress import RichObserver
from marquee.cli.render import OUT, facts, print_json
from marquee.cli.train import metrics_table, verdict
from marquee.config import TrainingConfig
from marquee.data.datasets.load import load_dataset
from marquee.data.warehouse import Warehouse
from marquee.feature_state import FeatureState
from marquee.observing import StageClock
from marquee.packing import Model
from marquee.run_folder import EVALUATED, find_bundle
from marquee.settings import Settings


def evaluate_and_show(bundle: Path | None, config: Path | None, *, runs: Path | None, as_json: bool) -> None:
    """Measure the latest run's evaluated model, or the bundle that is given."""
    settings = Settings.from_environment()
    path = find_bundle(runs or settings.runs, bundle, kind=EVALUATED)
    with RichObserver() as observer:
        clock = StageClock(observer)
        with clock.stage("read bundle"):
            model = Model.read(path)
        content = model.manifest.content
        settings_of_run = (
            load_config(config)
            if config
            else TrainingConfig.from_values(content["config"], where=f"{path / 'manifest.json'}")
        )
        with clock.stage("load events"):
            warehouse = Warehouse(settings.warehouse(model.manifest.provenance["warehouse"]))
            snapshot = warehouse.snapshot()
            dataset = load_dataset(content["dataset"], warehouse, snapshot)
        with clock.stage("feature state") as report:
            state = FeatureState.of(model.manifest.provenance["warehouse"], settings, environment=os.environ)
            state.build(warehouse, snapshot, dataset, on_progress=report)
            reader = state.declare()
        with clock.stage("evaluate") as report:
            measured = measure_bundle(
                model.recommender,
                dataset,
                settings_of_run,
                reader,
                learned_until_us=content["learned_until_us"],
                on_progress=report,
            )
    if as_json:
        print_json({"bundle_id": model.manifest.bundle_id, "dataset": dataset.name, **measured.to_dict()})
        return
    OUT.print(
        facts("Bundle", {"path": path, "id": model.manifest.bundle_id, "data": dataset.snapshot_id[:16]})
    )
    OUT.print()
    OUT.print(metrics_table(measured))
    OUT.print()
    OUT.print(verdict(measured))
