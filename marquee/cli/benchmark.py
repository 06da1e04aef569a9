"""`marquee benchmark`: all models side by side, on a data set or on a split of one's own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

from rich.markup import escape

from marquee.benchmarking.measure import TWO_STAGE
from marquee.benchmarking.protocols import (
    Benchmark,
    Protocol,
    given_benchmark,
    literature_benchmark,
    temporal_benchmark,
)
from marquee.benchmarking.seed import BenchmarkConfig
from marquee.cli.configuration import load_config
from marquee.cli.prepared import prepared_data
from marquee.cli.progress import RichObserver
from marquee.cli.render import OUT, table
from marquee.config import TrainingConfig
from marquee.errors import RequestError
from marquee.observing import StageClock

COLUMNS = {"NDCG": "ndcg", "P": "precision", "R": "recall", "MAP": "map", "MRR": "mrr", "hit": "hit_rate"}


@dataclass(frozen=True)
class BenchmarkRequest:
    """What the command line asks for, checked."""

    dataset: str | None
    protocol: str
    train: Path | None
    test: Path | None
    negatives: Path | None
    source: str | None
    ks: tuple[int, ...]
    seeds: tuple[int, ...]
    models: tuple[str, ...]

    @classmethod
    def of(
        cls,
        dataset: str | None,
        *,
        protocol: str,
        files: tuple[Path | None, Path | None],
        mask: str,
        negatives: Path | None,
        numbers: Mapping[str, str],
        models: str,
        source: str | None,
    ) -> Self:
        """Check that the options go together.

        Raises:
            RequestError: they don't, or one of them is out of its range.
        """
        train, test = files
        if (train is None) != (test is None):
            raise RequestError("--train and --test go together.", remedy="Give both files.")
        if (dataset is None) == (train is None):
            raise RequestError(
                "give either a data set or --train and --test.",
                remedy="For instance `marquee benchmark ml-100k --protocol literature`.",
            )
        if protocol not in get_args(Protocol):
            raise RequestError(
                f"--protocol {protocol!r} is unknown.", remedy=f"Give {' or '.join(get_args(Protocol))}."
            )
        if mask != "train":
            raise RequestError(f"--mask {mask!r} is unknown.", remedy="Give train.")
        if negatives is not None and train is None:
            raise RequestError("--negatives needs a split of your own.", remedy="Give --train and --test.")
        ks = _numbers("--k", numbers["--k"], low=1, high=1000)
        seeds = _numbers("--seeds", numbers["--seeds"], low=0, high=2**31 - 1)
        named = tuple(name.strip() for name in models.split(",") if name.strip())
        chosen = () if named in ((), ("all",)) else named
        return cls(dataset, protocol, train, test, negatives, source, ks, seeds, chosen)


def _numbers(option: str, text: str, *, low: int, high: int) -> tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise RequestError(
            f"{option} = {text!r} is no list of whole numbers.", remedy="Separate them by commas: 10,20."
        ) from error
    if not all(low <= value <= high for value in values) or len(set(values)) < len(values):
        raise RequestError(
            f"{option} = {text!r} is out of range.", remedy=f"Give each once, {low} to {high}."
        )
    return values


def benchmark_and_show(request: BenchmarkRequest, config: Path | None, *, output: Path | None) -> None:
    """Measure, print the table, and write everything where that is asked for."""
    training = load_config(config) if config else TrainingConfig()
    settings = BenchmarkConfig(ks=request.ks, seeds=request.seeds, models=request.models, training=training)
    with RichObserver() as observer:
        if request.train is not None and request.test is not None:
            found = given_benchmark(
                request.train, request.test, settings, negatives=request.negatives, observer=observer
            )
        else:
            found = _of_dataset(request, settings, observer)
    values = found.to_dict()
    show(found, values)
    if output is not None:
        output.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _of_dataset(request: BenchmarkRequest, config: BenchmarkConfig, observer: RichObserver) -> Benchmark:
    clock = StageClock(observer)
    data = prepared_data(request.dataset or "", config.training, source=request.source, clock=clock)
    if request.protocol == "literature":
        return literature_benchmark(data.dataset, config, observer=observer)
    return temporal_benchmark(data.dataset, config, data.state(clock), observer=observer)


def show(found: Benchmark, values: Mapping[str, Any]) -> None:
    """The table, what it was decided by, and what has to be known about it."""
    models = values["models"]
    for k in values["ks"]:
        made = table(f"@{k}", ["", *COLUMNS, "fit s", "ask s"])
        order = sorted(models, key=lambda name: -models[name]["metrics"][f"ndcg@{k}"])
        for name in order:
            metrics = models[name]["metrics"]
            numbers = [f"{metrics[f'{metric}@{k}']:.4f}" for metric in COLUMNS.values()]
            times = [f"{models[name][f'{what}_seconds']:.2f}" for what in ("fit", "predict")]
            made.add_row(escape(name), *numbers, *times)
        OUT.print(made)
        OUT.print()
    best, first = values["best_route"], f"ndcg@{values['ks'][0]}"
    if TWO_STAGE in models:
        interval = models[TWO_STAGE]["interval"]
        OUT.print(
            f"two_stage {first}: {interval['estimate']:.4f} ({interval['low']:.4f} … {interval['high']:.4f})"
        )
    for label, gain in values["against_best_route"].items():
        OUT.print(
            f"two_stage - {best}, {label}: {gain['estimate']:+.4f} ({gain['low']:+.4f} … {gain['high']:+.4f})"
        )
    for each in values["chosen"]:
        if each["second_stage"]:
            OUT.print(f"second stage of seed {each['seed']}: {escape(each['second_stage'])}")
    OUT.print(
        f"{found.protocol} protocol, {escape(found.data)}, {found.n_queries} queries, seeds"
        f" {', '.join(map(str, values['seeds']))}; intervals: 95 %, paired bootstrap over users;"
        f" MAP divides by min(k, relevant); peak memory {found.peak_memory_mib:.0f} MiB."
    )
    for note in found.notes:
        OUT.print(escape(note), soft_wrap=True)
