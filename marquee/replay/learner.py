"""Models of a replay: each is trained once, and charged to every policy that asks for it."""

import hashlib
import json
from dataclasses import dataclass, field
from time import process_time

from marquee.config import TrainingConfig
from marquee.data.splits import TemporalSplit, consumed, temporal_split
from marquee.evaluation.gate import GateDecision
from marquee.observing import SilentObserver, StageClock
from marquee.recommend import Recommender
from marquee.replay.world import World
from marquee.training import FirstStage, Rival, learn, measure, refit


@dataclass(frozen=True, eq=False)
class Trained:
    """A model that a training made."""

    id: str
    windows: int
    """So many windows and the warm-up it learned from."""
    learned_until_us: int
    served: Recommender
    evaluated: Recommender
    """Its twin that knows nothing after the split's cut."""
    split: TemporalSplit
    cpu_s: float
    """That it took, on any number of cores."""


@dataclass(frozen=True)
class Judged:
    """The gate's word on a challenger."""

    decision: GateDecision
    cpu_s: float

    @property
    def why(self) -> str:
        """What stopped it; empty where it passed."""
        return " ".join(check.reason for check in self.decision.failures)


@dataclass(eq=False)
class Learner:
    """Trains on what is known at the end of a window, the same for everybody who asks."""

    world: World
    config: TrainingConfig
    _made: dict[int, Trained] = field(default_factory=dict)
    _judged: dict[tuple[str, str, bool], Judged] = field(default_factory=dict)

    def train(self, windows: int) -> Trained:
        """A model of the warm-up and so many windows.

        Raises:
            NotEnoughDataError: as `marquee.training.train`.
        """
        if windows not in self._made:
            self._made[windows] = self._train(windows)
        return self._made[windows]

    def _train(self, windows: int) -> Trained:
        begin = process_time()
        dataset = self.world.learnable(windows)
        clock = StageClock(SilentObserver())
        events = consumed(dataset.interactions)
        split = temporal_split(events, self.config.temporal, seed=self.config.seed)
        first_stage = FirstStage.of(dataset, self.config, self.world.state)
        evaluated, choice = learn(split, first_stage, clock)
        served = refit(events, first_stage).with_ranker(choice.ranker)
        end_us = self.world.spans[windows - 1].end_us if windows else self.world.spans[0].start_us
        recipe = json.dumps([dataset.snapshot_id, self.config.recipe], sort_keys=True)
        id_ = f"replay-{windows:03}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"
        return Trained(id_, windows, end_us, served, evaluated, split, process_time() - begin)

    def judge(self, challenger: Trained, champion: Trained | None, *, champion_fails: bool = False) -> Judged:
        """Ask the promotion gate.

        The champion takes part itself where it has seen nothing of what the challenger is asked about, and
        otherwise by its recipe, which is the challenger's: then only the best single route is in its way, and
        less so where the champion is known to fail.
        """
        rival = champion if champion and champion.learned_until_us <= challenger.split.cut_us else None
        key = challenger.id, "recipe" if rival is None else rival.id, champion_fails
        if key not in self._judged:
            begin = process_time()
            dataset = self.world.learnable(challenger.windows)
            _, assessment = measure(
                challenger.evaluated,
                challenger.split,
                consumed(dataset.interactions),
                FirstStage.of(dataset, self.config, self.world.state),
                snapshot=dataset.snapshot_id,
                champion=_rival(self.config, champion, rival),
                champion_fails=champion_fails,
                clock=StageClock(SilentObserver()),
            )
            self._judged[key] = Judged(assessment.gate, process_time() - begin)
        return self._judged[key]


def _rival(config: TrainingConfig, champion: Trained | None, itself: Trained | None) -> Rival | None:
    """The champion as the gate meets it: itself, by its recipe, or not at all."""
    if champion is None:
        return None
    served = itself.served if itself else None
    return Rival(config, measured=lambda _snapshot, _cut_us: served)
