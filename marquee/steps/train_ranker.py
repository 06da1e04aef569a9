"""The second stage, from the training rows alone."""

from pathlib import Path
from typing import Any

from marquee.bundle import Bundle, Parts, write_bundle
from marquee.ranking.lightgbm_alone import import_lightgbm_alone
from marquee.ranking.rankers import RankerConfig, read_ranker
from marquee.ranking.second_stage import SecondStageChoice, fit_second_stage
from marquee.steps.knobs import ConfigPart, read_part
from marquee.steps.task import Task
from marquee.steps.windows import read_windows


class _Knobs(ConfigPart):
    ranker: RankerConfig = RankerConfig()


def train_ranker(rows: Path, out: Path, *, config: str, task: Task) -> SecondStageChoice:
    """Choose and fit the second stage, and write it as a bundle of its own.

    Args:
        rows: the folder of `build_training_set`.
        out: the folder to make.
        config: as `read_config`.
        task: hears the stages.

    Raises:
        StepError: the rows are unfinished or damaged.
        BundleError: `out` exists already, or the disk refuses.
    """
    clock, watch = task.watched()
    import_lightgbm_alone()
    knobs = read_part(config, _Knobs)
    windows = read_windows(rows)
    with clock.stage("ranker") as report:
        choice = fit_second_stage(
            windows,
            knobs.ranker,
            seed=knobs.seed,
            on_round=lambda done, _ranker: report(done, knobs.ranker.n_rounds),
        )
    write_bundle(
        out,
        Parts(texts={f"ranker/{choice.ranker.name}": choice.ranker.to_text()}),
        content={"kind": "ranker", "second_stage": choice.to_dict()},
        provenance={"seconds": clock.seconds, "memory_mb": watch.memory_mb},
    )
    return choice


def read_choice(folder: Path) -> tuple[SecondStageChoice, dict[str, Any]]:
    """A second stage as `train_ranker` wrote it, and the step's seconds and memory.

    Raises:
        BundleError: it is missing, torn or tampered with.
    """
    import_lightgbm_alone()
    bundle = Bundle.read(folder)
    choice = bundle.manifest.content["second_stage"]
    ranker = read_ranker(bundle.parts.texts_under("ranker"))
    return SecondStageChoice(ranker, **choice), bundle.manifest.provenance
