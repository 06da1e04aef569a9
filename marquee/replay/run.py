"""A whole replay: a prepared data set in, a finished folder out.

replays/20261122-160000-3fa9c1/
  replay.json        what was asked and found; equal questions, equal bytes
  compute.json       CPU seconds, which are never equal
  steps.parquet      a row a policy and window
  users.parquet      a row a policy, window and user: NDCG
  replay.html        the same as a page
  <policy>/decisions/NNN.json     as `marquee monitor replay` reads them
  <policy>/exposures/…            the log of what was shown
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from marquee.config import TrainingConfig
from marquee.data.dataset import Dataset
from marquee.observing import Observer, SilentObserver, StageClock
from marquee.replay.config import ReplayConfig, quick_recipe
from marquee.replay.findings import differences, summary
from marquee.replay.learner import Learner
from marquee.replay.page import render_replay
from marquee.replay.policies import USUAL, Policy, policies_of
from marquee.replay.serving import Asker
from marquee.replay.walk import Walk, Walker
from marquee.replay.world import World

VALUES: Final = "replay.json"
COMPUTE: Final = "compute.json"
STEPS: Final = "steps.parquet"
USERS: Final = "users.parquet"
PAGE: Final = "replay.html"


@dataclass(frozen=True)
class Question:
    """What to replay."""

    name: str
    """Of the data set, as people know it."""
    storage: str
    policies: tuple[str, ...] = USUAL
    shocks: tuple[str, ...] = ()
    seed: int = 7
    training: TrainingConfig | None = None
    """The recipe that is repeated; `quick_recipe` by default."""
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    still: bool = False
    """Whether the events are those of `dealt_anew`; for the record."""


@dataclass(frozen=True, eq=False)
class Replay:
    """What came of it."""

    values: dict[str, Any]
    """As replay.json has them."""
    compute: dict[str, Any]
    walks: tuple[Walk, ...]


def replay(
    question: Question, dataset: Dataset, events: pl.DataFrame, out: Path, *, observer: Observer | None = None
) -> Replay:
    """Walk every policy through the data set and leave a report.

    The same question of the same snapshot gives the same bytes, but for compute.json and the page.

    Args:
        question: what to replay.
        dataset: the snapshot.
        events: its events, `marquee.replay.world.COLUMNS`.
        out: folder for the report; made where it is missing.
        observer: hears each policy's windows.

    Raises:
        ConfigError: a policy or shock does not fit.
        NotEnoughDataError: too few windows, or too few events to learn from.
    """
    policies = policies_of(question.policies)
    config = question.training or quick_recipe(seed=question.seed)
    world = World.of(
        dataset, events, shocks=question.shocks, config=question.replay, quality=config.quality,
        seed=question.seed,
    )  # fmt: skip
    clock = StageClock(observer or SilentObserver())
    learner, asker = Learner(world, config), Asker(world, question.seed)
    with clock.stage("first model"):
        first = learner.train(0)
    walks = tuple(_walk(policy, learner, asker, question.storage, out, clock) for policy in policies)
    values = _values(question, config, world, walks)
    compute = {
        "first_model_cpu_s": round(first.cpu_s, 2),
        "policies": {walk.policy: round(walk.cpu_s, 2) for walk in walks},
        "seconds": {name: round(each, 2) for name, each in clock.seconds.items()},
    }
    found = Replay(values, compute, walks)
    _write(found, out)
    return found


def _walk(policy: Policy, learner: Learner, asker: Asker, storage: str, out: Path, clock: StageClock) -> Walk:
    with clock.stage(policy.name) as report:
        walker = Walker(learner, asker, storage, lambda _policy, done, total: report(done, total))
        return walker.walk(policy, out / policy.folder)


def _values(
    question: Question, config: TrainingConfig, world: World, walks: tuple[Walk, ...]
) -> dict[str, Any]:
    bootstrap = question.replay.bootstrap
    return {
        "version": 1,
        "dataset": question.name,
        "snapshot": world.dataset.snapshot_id,
        "seed": question.seed,
        "still": question.still,
        "config": question.replay.model_dump(mode="json"),
        "training": config.model_dump(mode="json"),
        "shocks": [
            {"shock": str(each), "kind": each.kind, "start": each.start, "windows": each.windows}
            for each in world.shocks
        ],
        "windows": [
            {"window": feed.span.number, "name": feed.span.name, "gate": list(feed.quality.words)}
            for feed in world.feeds
        ],
        "policies": [summary(walk, world.shocks, seed=question.seed, config=bootstrap) for walk in walks],
        "differences": differences(walks, seed=question.seed, config=bootstrap),
    }


def _write(found: Replay, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, values in ((VALUES, found.values), (COMPUTE, found.compute)):
        text = json.dumps(values, indent=1, sort_keys=True, allow_nan=False)
        (out / name).write_text(f"{text}\n", encoding="utf-8")
    rows = [
        {"policy": walk.policy, **{key: value for key, value in asdict(step).items() if key != "cpu_s"}}
        for walk in found.walks
        for step in walk.steps
    ]
    pl.DataFrame(rows).write_parquet(out / STEPS)
    users = [walk.quality.select(pl.lit(walk.policy).alias("policy"), pl.all()) for walk in found.walks]
    pl.concat(users).write_parquet(out / USERS)
    (out / PAGE).write_text(render_replay(found.values, found.compute, found.walks), encoding="utf-8")
