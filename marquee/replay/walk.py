"""One policy's walk through the windows: serve, log, measure, watch, and train where it says so."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import polars as pl

from marquee import schema
from marquee.monitoring.decision import Decision
from marquee.monitoring.drift_config import DECLINE
from marquee.monitoring.exposure import FILE_PREFIX, Exposure
from marquee.monitoring.exposure_lines import read_exposures
from marquee.monitoring.window import NDCG
from marquee.replay.learner import Learner, Trained
from marquee.replay.policies import Policy
from marquee.replay.serving import Asker, Served
from marquee.replay.watching import Lists, Watch, shown_frame

Ordered = Literal["", "promoted", "refused", "held back"]
DECISIONS: Final = "decisions"
EXPOSURES: Final = "exposures"


@dataclass(frozen=True)
class Step:
    """What happened in one window."""

    window: int
    start_us: int
    end_us: int
    users: int
    """That were asked about."""
    ndcg: float
    """Mean over them."""
    model: str
    """That served."""
    is_broken: bool
    gate: str
    """The data gate's verdict."""
    verdict: str
    """The drift policy's; empty where nobody asked it."""
    reason: str
    training: Ordered
    """What came of the training that the policy asked for: held back by the data gate, refused by the
    promotion gate, or promoted; empty where it asked for none."""
    why: str
    """What stopped it."""
    cpu_s: float
    """For training and gate."""


@dataclass(frozen=True, eq=False)
class Walk:
    """One policy from the first window to the last."""

    policy: str
    steps: tuple[Step, ...]
    quality: pl.DataFrame
    """`window, user_id, ndcg`: a row a user of a window."""

    def count(self, training: Ordered) -> int:
        """Windows of which a training came to that end."""
        return sum(step.training == training for step in self.steps)

    @property
    def retrains(self) -> int:
        """Trainings that were begun."""
        return self.count("promoted") + self.count("refused")

    @property
    def cpu_s(self) -> float:
        """For all of them."""
        return sum(step.cpu_s for step in self.steps)


@dataclass(eq=False)
class Walker:
    """Walks policies through one world; the first model is everybody's, and charged to nobody."""

    learner: Learner
    asker: Asker
    storage: str
    on_window: Callable[[str, int, int], None] = lambda _policy, _done, _total: None

    def walk(self, policy: Policy, out: Path) -> Walk:
        """Walk through all windows.

        Args:
            policy: when to train.
            out: folder for the exposure log and, where drift is watched, the decisions.
        """
        world, config = self.learner.world, self.learner.config
        drift = config.drift.model_copy(update={"policy": policy.of_drift(config.drift.policy)})
        watch = Watch(world, self.asker, drift, self.storage, config.seed)
        reigning, is_broken, trained_us = self.learner.train(0), False, world.spans[0].start_us
        steps, quality = [], []
        for number, feed in enumerate(world.feeds, 1):
            is_broken = is_broken or world.broken_at(number)
            served = self.asker.ask(reigning.id, reigning.served, feed.span, broken=is_broken)
            logged = _logged(served, reigning.id, world.config.n, out / EXPOSURES, number)
            decision = None
            if policy.kind == "drift":
                decision = watch.look(number, reigning, Lists(shown_frame(logged), served.quality))
                _keep(decision, out / DECISIONS, number)
            cause = decision.outcome.cause if decision and decision.outcome.retrain else None
            wants = policy.wants(now_us=feed.span.end_us, trained_us=trained_us, drift=cause is not None)
            before, was_broken, found = reigning, is_broken, _Ended()
            if wants:
                found = self._order(number, reigning, champion_fails=cause == DECLINE)
                trained_us = trained_us if found.training == "held back" else feed.span.end_us
                if found.model is not None:
                    reigning, is_broken = found.model, False
            steps.append(
                _step(
                    number, served, before, is_broken=was_broken, gate=feed.quality.verdict,
                    decision=decision, found=found,
                )
            )  # fmt: skip
            quality.append(
                served.quality.select(pl.lit(number, pl.Int32).alias("window"), schema.USER_ID, NDCG)
            )
            self.on_window(policy.name, number, len(world.feeds))
        return Walk(policy.name, tuple(steps), pl.concat(quality))

    def _order(self, number: int, champion: Trained, *, champion_fails: bool) -> "_Ended":
        """A training at the end of a window."""
        feed = self.learner.world.feeds[number - 1]
        if feed.is_blocked:
            return _Ended("held back", "; ".join(feed.quality.words))
        challenger = self.learner.train(number)
        judged = self.learner.judge(challenger, champion, champion_fails=champion_fails)
        cpu_s = challenger.cpu_s + judged.cpu_s
        if judged.decision.passed:
            return _Ended("promoted", "", cpu_s, challenger)
        return _Ended("refused", judged.why, cpu_s)


@dataclass(frozen=True, eq=False)
class _Ended:
    """A training that was asked for."""

    training: Ordered = ""
    why: str = ""
    cpu_s: float = 0.0
    model: Trained | None = None


def _step(
    number: int, served: Served, model: Trained, *, is_broken: bool, gate: str, decision: Decision | None,
    found: _Ended,
) -> Step:  # fmt: skip
    quality, span = served.quality, served.span
    return Step(
        window=number,
        start_us=span.start_us,
        end_us=span.end_us,
        users=len(quality),
        ndcg=float(quality[NDCG].to_numpy().mean()) if len(quality) else 0.0,
        model=model.id,
        is_broken=is_broken,
        gate=gate,
        verdict=decision.outcome.verdict if decision else "",
        reason=decision.outcome.reason if decision else "",
        training=found.training,
        why=found.why,
        cpu_s=found.cpu_s,
    )


def _logged(served: Served, bundle_id: str, n: int, folder: Path, number: int) -> list[Exposure]:
    """Write the window's exposures as a server would, and read them back."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{FILE_PREFIX}{number:03}.jsonl.gz"
    content = BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb", mtime=0, compresslevel=1) as packed:
        packed.writelines(each.to_line() for each in served.exposures(bundle_id, n))
    path.write_bytes(content.getvalue())
    return [entry for entry in read_exposures(path) if isinstance(entry, Exposure)]


def _keep(decision: Decision, folder: Path, number: int) -> None:
    """As `marquee monitor replay` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{number:03}.json").write_bytes(decision.to_json())
