"""Optuna's search for a ranker: seeded, pruned, within a budget, and kept in a file to go on from.

Every trial draws from a seed of its own, made of the search's seed and the number of finished trials.
A search that was killed and goes on therefore tries what it would have tried, the interrupted trial
first.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Literal

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import OptunaError
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from marquee.errors import ConfigError
from marquee.ranking.ranker import BoostedRanker, TrainingSet
from marquee.ranking.rankers import RankerConfig, fit_ranker
from marquee.ranking.search_space import BOOSTER, Point, SearchSpace, ranker_at

STUDY: Final = "ranker"
_IDENTITY: Final = "identity"
_FINISHED: Final = (TrialState.COMPLETE, TrialState.PRUNED)
Measure = Callable[[NDArray[np.float64]], float]
"""What scores of the validation's rows are worth; higher is better."""


class SearchConfig(BaseModel):
    """The budget, and when a trial is given up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trials: int = Field(default=100, ge=1)
    """Finished trials of the whole study, those of earlier calls included."""
    seconds: float = Field(default=100.0, gt=0)
    """Time of one call; the trial that exceeds it is left unfinished, unless it is the study's first."""
    pruner: Literal["median", "none"] = "median"
    """`median` gives a trial up that is worse than half of the finished ones after as many rounds."""
    check_every: int = Field(default=25, ge=1)
    """Rounds between two looks at the validation."""
    rounds_of_grace: int = Field(default=50, ge=0)
    """Rounds before which no trial is given up: slow learners start low."""
    startup_trials: int = Field(default=10, ge=1)
    """Trials drawn at random before the sampler learns from them."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Rows that candidates are scored on, and what the scores are worth."""

    features: NDArray[np.float32]  # (n_rows, n_features)
    measure: Measure


@dataclass(frozen=True)
class Trial:
    """One finished trial."""

    number: int
    """From 0, over the whole study."""
    point: Point
    value: float
    """At the last round that was reached."""
    is_pruned: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class SearchResult:
    """A study as it stands."""

    best: RankerConfig
    best_trial: Trial
    start_trial: Trial
    """The configured ranker, as near as the space allows."""
    trials: tuple[Trial, ...]
    importances: Mapping[str, float]
    """Share of each knob of the best booster in what made trials good; empty after a few trials only."""


@dataclass(frozen=True, eq=False)
class Search:
    """What is searched for, on what."""

    training: TrainingSet
    validation: Validation
    space: SearchSpace
    start: RankerConfig
    config: SearchConfig
    seed: int

    def run(
        self, path: Path, *, identity: Mapping[str, Any], on_trial: Callable[[int, float], None]
    ) -> SearchResult:
        """Search until the budget is spent, and keep every trial in an SQLite file.

        Args:
            path: the study's file; a search that it holds goes on. One process at a time.
            identity: plain values of what the trials' values depend on beside this object's knobs,
                such as the data; a study of another identity is refused.
            on_trial: hears the number of finished trials and the seconds spent, after each and
                before the first.

        Raises:
            ConfigError: the file is no study, or one of another search.
        """
        begun = monotonic()
        with _study(path, self._identity(identity), self._pruner()) as study:
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                study.tell(trial.number, state=TrialState.FAIL)  # of a process that was killed
            while (n := len(finished(study))) < self.config.trials:
                spent = monotonic() - begun
                on_trial(n, spent)
                if n and spent >= self.config.seconds:
                    break
                deadline = begun + self.config.seconds if n else float("inf")
                if not self._try_one(study, n, deadline):
                    break
            on_trial(len(finished(study)), monotonic() - begun)
            return _result_of(study, self.start)

    def _identity(self, more: Mapping[str, Any]) -> str:
        values = {
            **more,
            "seed": self.seed,
            "space": self.space.model_dump(mode="json"),
            "start": self.start.model_dump(mode="json"),
            "search": self.config.model_dump(mode="json", exclude={"trials", "seconds"}),
        }
        return json.dumps(values, sort_keys=True)

    def _pruner(self) -> optuna.pruners.BasePruner:
        if self.config.pruner == "none":
            return optuna.pruners.NopPruner()
        return optuna.pruners.MedianPruner(
            n_startup_trials=self.config.startup_trials // 2, n_warmup_steps=self.config.rounds_of_grace
        )

    def _try_one(self, study: optuna.Study, n_finished: int, deadline: float) -> bool:
        """Make one trial; whether there was time for it."""
        draw = np.random.SeedSequence([self.seed, n_finished]).generate_state(1)[0]
        study.sampler = optuna.samplers.TPESampler(
            seed=int(draw), n_startup_trials=self.config.startup_trials
        )
        starts = self.space.points_near(self.start)
        if n_finished < len(starts):
            study.enqueue_trial(starts[n_finished])
        trial = study.ask()
        watch = _Watch(trial, self.validation, self.config.check_every, deadline)
        try:
            config = self.space.suggest(trial, self.start)
            fit_ranker(self.training, config, seed=self.seed, on_round=watch.of(config.n_rounds))
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except _OutOfTimeError:
            study.tell(trial, state=TrialState.FAIL)
            return False
        else:
            study.tell(trial, watch.value)
        return True


def read_study(path: Path) -> tuple[SearchResult, SearchSpace]:
    """A study as a search left it, and the space that was searched; nothing is tried, nothing changed.

    Raises:
        ConfigError: there is no such file, it is no study of this program, or no trial of it has ended.
    """
    with _reading(path) as study:
        identity = json.loads(study.user_attrs[_IDENTITY])
        space = SearchSpace.model_validate(identity["space"])
        start = RankerConfig.model_validate(identity["start"])
        return _result_of(study, start), space


def read_identity(path: Path) -> dict[str, Any]:
    """What the values of a study's trials depend on: what its search was told of, space, start and knobs.

    Raises:
        ConfigError: there is no such file, or it is no study of this program.
    """
    with _reading(path) as study:
        return dict(json.loads(study.user_attrs[_IDENTITY]))


@contextmanager
def _reading(path: Path) -> Iterator[optuna.Study]:
    """A study that is only read; what is wrong with it becomes one clear error."""
    if not path.is_file():
        raise ConfigError(
            f"{path} is no study: there is no such file.", remedy="Name a study.db of `marquee tune`."
        )
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path}", skip_compatibility_check=True, skip_table_creation=True
        )
    except (SQLAlchemyError, OptunaError) as error:
        raise _no_study(path, error) from error
    try:
        yield optuna.load_study(study_name=STUDY, storage=storage)
    except (SQLAlchemyError, OptunaError, KeyError, ValueError, TypeError) as error:  # also of pydantic, JSON
        raise _no_study(path, error) from error
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _no_study(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"{path} is no study of `marquee tune` with a finished trial: {error.__class__.__name__}.",
        remedy="Name another file.",
    )


def _result_of(study: optuna.Study, start: RankerConfig) -> SearchResult:
    """A study as it stands.

    Raises:
        ValueError: no trial has run to its end.
    """
    trials = tuple(_record(number, trial) for number, trial in enumerate(finished(study)))
    best = max((trial for trial in trials if not trial.is_pruned), key=lambda trial: trial.value)
    return SearchResult(ranker_at(best.point, start), best, trials[0], trials, _importances(study, best))


class _OutOfTimeError(Exception):
    """The budget ended within a trial."""


@dataclass(eq=False)
class _Watch:
    """Measures a ranker while it grows, and gives it up."""

    trial: optuna.Trial
    validation: Validation
    every: int
    deadline: float  # of the monotonic clock
    value: float = float("-inf")
    n_scored: int = 0
    scores: NDArray[np.float64] | float = 0.0

    def of(self, n_rounds: int) -> Callable[[int, BoostedRanker], None]:
        """What hears the rounds of a fit of so many."""

        def listen(done: int, ranker: BoostedRanker) -> None:
            if monotonic() > self.deadline:
                raise _OutOfTimeError
            if done % self.every == 0 or done == n_rounds:
                self._look(done, ranker)
                if done < n_rounds and self.trial.should_prune():
                    raise optuna.TrialPruned

        return listen

    def _look(self, done: int, ranker: BoostedRanker) -> None:
        added = ranker.score_rounds(self.validation.features, self.n_scored, done)
        self.scores, self.n_scored = self.scores + added, done
        self.value = self.validation.measure(self.scores)
        self.trial.report(self.value, done)


@contextmanager
def _study(path: Path, identity: str, pruner: optuna.pruners.BasePruner) -> Iterator[optuna.Study]:
    """The study in a file, made where it is not there yet."""
    optuna.logging.set_verbosity(logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    except SQLAlchemyError as error:
        raise ConfigError(
            f"{path} is no study of Optuna: {error.__class__.__name__}.",
            remedy="Name another file, or remove this one.",
        ) from error
    try:
        study = optuna.create_study(
            storage=storage, study_name=STUDY, direction="maximize", pruner=pruner, load_if_exists=True
        )
        if study.user_attrs.setdefault(_IDENTITY, identity) != identity:
            raise ConfigError(
                f"{path} holds a search with other data, space, seed or knobs: {_change(study, identity)}.",
                remedy="Name another file, or remove this one.",
            )
        study.set_user_attr(_IDENTITY, identity)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _change(study: optuna.Study, identity: str) -> str:
    """The names of what is different."""
    before, now = json.loads(study.user_attrs[_IDENTITY]), json.loads(identity)
    return ", ".join(sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key)))


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that ran to their end or were given up, the oldest first."""
    return study.get_trials(deepcopy=False, states=_FINISHED)


def _record(number: int, trial: FrozenTrial) -> Trial:
    is_pruned = trial.state == TrialState.PRUNED
    last = trial.intermediate_values[max(trial.intermediate_values)] if is_pruned else trial.value
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    return Trial(number, trial.params, float(last if last is not None else "nan"), is_pruned, seconds)


def _importances(study: optuna.Study, best: Trial) -> dict[str, float]:
    """Importance of the best booster's knobs over its finished trials.

    Source: Watanabe, Bansal, Hutter (2023), "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance
    in Arbitrary Subspaces".
    """
    alike = [
        trial
        for trial in finished(study)
        if trial.state == TrialState.COMPLETE and trial.params[BOOSTER] == best.point[BOOSTER]
    ]
    if len(alike) < 4 or len({trial.value for trial in alike}) < 2:
        return {}
    part = optuna.create_study(direction="maximize")
    part.add_trials(alike)
    found = optuna.importance.get_param_importances(
        part,
        evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
        params=[name for name in best.point if name != BOOSTER],
    )
    return {name: float(share) for name, share in found.items()}
