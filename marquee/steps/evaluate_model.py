"""Put both stages together, measure and judge them, and write everything that a run leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marquee.assessment import COMPARED, HEADLINE, TWO_STAGE
from marquee.data.splits import consumed, temporal_split
from marquee.features.reader import StateReader
from marquee.monitoring.drift_config import DECLINE
from marquee.outcome import provenance_of, run_metrics, write_bundles, write_outcome
from marquee.registering import CHAMPION, Models
from marquee.rivals import rival_of
from marquee.run_folder import BUNDLE, EVALUATED
from marquee.steps.folders import Data, Features, Rows, joined
from marquee.steps.knobs import read_config
from marquee.steps.reading import read_data
from marquee.steps.task import Task
from marquee.steps.train_candidates import read_candidates
from marquee.steps.train_ranker import read_choice
from marquee.training import FirstStage, TrainingResult, measure


@dataclass(frozen=True)
class Inputs:
    """The folders of the steps before."""

    data: Path
    features: Path
    rows: Path
    ranker: Path
    candidates: Path


def evaluate_model(
    inputs: Inputs,
    out: Path,
    *,
    state: StateReader,
    config: str,
    run_id: str,
    reason: str,
    task: Task,
) -> dict[str, Any]:
    """Measure the challenger beside its routes and the champion, and write a run's files into `out`.

    Args:
        inputs: what was made so far.
        out: the folder to write: metrics.json, report.html, config.yaml, bundle/ and evaluated/.
        state: what was known of users and movies when.
        config: as `read_config`; with the knobs that a search found, if there was one.
        run_id: how the run is called.
        reason: why it was started; where the champion's lists got worse, the gate asks for less.
        task: the present, and where the champion is kept.

    Returns:
        What metrics.json holds.

    Raises:
        NotEnoughDataError: too few events to split or to ask about.
        BundleError: a stage is missing or damaged, or the disk refuses.
    """
    clock, watch = task.watched()
    knobs, facts = read_config(config), Data.read(inputs.data)
    dataset = read_data(inputs.data, knobs)
    stages, of_candidates = read_candidates(inputs.candidates)
    choice, of_ranker = read_choice(inputs.ranker)
    events = consumed(dataset.interactions)
    split = temporal_split(events, knobs.temporal, seed=knobs.seed)
    evaluated = stages[EVALUATED].with_ranker(choice.ranker)
    first_stage = FirstStage.of(dataset, knobs, state)
    models = Models.of(facts.storage, task.settings, task.environment)
    champion = models.champion()
    test, assessment = measure(
        evaluated, split, events, first_stage,
        snapshot=dataset.snapshot_id, champion=rival_of(champion, models), clock=clock,
        champion_fails=reason == DECLINE,
    )  # fmt: skip
    served = stages[BUNDLE].with_ranker(choice.ranker)
    result = TrainingResult(served, evaluated, split, test, assessment, choice, {})
    out.mkdir(parents=True, exist_ok=True)
    with clock.stage("write bundle"):
        features = Features.read(inputs.features)
        bundle_id = write_bundles(
            out, result, dataset, knobs,
            features={"state": features.state, "services": features.contracts},
            provenance=provenance_of(run_id, facts.storage, now=task.now),
        )  # fmt: skip
    made = (facts, features, Rows.read(inputs.rows))
    before = [*(part.model_dump() for part in made), of_ranker, of_candidates]
    metrics = {
        **run_metrics(
            dataset, knobs, result,
            seconds=joined(*(part["seconds"] for part in before), clock.seconds),
            memory_mb=joined(*(part["memory_mb"] for part in before), watch.memory_mb),
        ),
        "bundle_id": bundle_id,
        "source": facts.source,
        "storage": facts.storage,
        CHAMPION: champion.bundle_id if champion else None,
    }  # fmt: skip
    write_outcome(out, metrics, knobs, run_id=run_id)
    return metrics


def headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The numbers by which runs are compared: the two stages' own, and how far ahead of the best route."""
    own: Mapping[str, float] = metrics["models"][TWO_STAGE]
    shown = {name.replace("@", "_at_"): own[name] for name in COMPARED if name in own}
    best = metrics["diagnosis"]["best_route"]
    return {**shown, "ndcg_at_10_of_best_route": metrics["models"][best][HEADLINE]}


def as_markdown(metrics: Mapping[str, Any]) -> str:
    """Models by the headline, best first, and what the gate says of the challenger."""
    models: Mapping[str, Mapping[str, float]] = metrics["models"]
    shown = [label for label in COMPARED if label in models[TWO_STAGE]]
    lines = [f"| model | {' | '.join(shown)} |", f"| --- |{' ---: |' * len(shown)}"]
    for name in sorted(models, key=lambda name: -models[name][HEADLINE]):
        values = (f"{models[name][label]:.4f}" if label in models[name] else "" for label in shown)
        lines.append(f"| {name} | {' | '.join(values)} |")
    gate = metrics["gate"]
    lines += ["", f"**Gate: {'passed' if gate['passed'] else 'refused'}**", ""]
    lines += [
        f"- {'passed' if check['passed'] else 'refused'}: {check['reason']}" for check in gate["checks"]
    ]
    return "\n".join([*lines, ""])
