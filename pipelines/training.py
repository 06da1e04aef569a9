"""The training pipeline: data → features → two stages → evaluation → gate → registry and roll-out."""

from kfp import dsl

from components.build_training_set import build_training_set
from components.evaluate_model import evaluate_model
from components.gate_model import gate_model
from components.materialize_features import materialize_features
from components.notify import notify
from components.register_model import register_model
from components.roll_out_model import roll_out_model
from components.train_candidates import train_candidates
from components.train_ranker import train_ranker
from components.tune_ranker import tune_ranker
from pipelines.cluster import DATA, RETRIES, SMALL, TRAINING, apply_cluster
from pipelines.data import data_and_state

NAME = "marquee-training"


def training_pipeline(*, retries: int = RETRIES) -> dsl.base_component.BaseComponent:
    """The traced pipeline.

    Args:
        retries: of each step; 0 where it runs locally, since what fails there fails again.
    """

    @dsl.pipeline(name=NAME, description="From events to a measured, gated and registered two-stage model.")
    def training(
        dataset: str = "ml-100k",
        source: str = "",
        fingerprint: str = "",
        config: str = "",
        tuning_space: str = "default",
        tuning_seconds: float = 0.0,
        tuning_trials: int = 100,
        run_id: str = "run",
        reason: str = "manual",
    ) -> None:
        """Train, measure, judge, and register what passes.

        Args:
            dataset: Name of a data set of the catalogue.
            source: Folder, zip or URL instead of the publisher's.
            fingerprint: Changes where the source's content changed.
            config: The run's configuration as JSON; empty for all defaults.
            tuning_space: What the search may vary.
            tuning_seconds: Budget of the search; 0 for none.
            tuning_trials: Budget of the search.
            run_id: What the run is called.
            reason: Why it was started: manual, schedule, drift, refresh or decline.
        """
        done = apply_cluster(notify(run_id=run_id, reason=reason), SMALL, retries=0)
        done.set_caching_options(False)
        with dsl.ExitHandler(done, name="body"):
            data, features = data_and_state(
                dataset=dataset,
                source=source,
                fingerprint=fingerprint,
                config=config,
                for_training=True,
                retries=retries,
            )
            tuned = tune_ranker(
                data=data,
                features=features,
                config=config,
                space=tuning_space,
                seconds=tuning_seconds,
                trials=tuning_trials,
            )
            recipe = apply_cluster(tuned, TRAINING, retries=retries).outputs["Output"]
            asked = build_training_set(data=data, features=features, config=config)
            rows = apply_cluster(asked, TRAINING, retries=retries).outputs["rows"]
            ranker = apply_cluster(train_ranker(rows=rows, config=recipe), TRAINING, retries=retries)
            fitted = train_candidates(data=data, features=features, config=config)
            apply_cluster(fitted, TRAINING, retries=retries)
            measured = evaluate_model(
                data=data,
                features=features,
                rows=rows,
                ranker=ranker.outputs["ranker"],
                candidates=fitted.outputs["candidates"],
                config=recipe,
                run_id=run_id,
                reason=reason,
            )
            # It looks at the champion, which may change while its inputs don't.
            apply_cluster(measured, TRAINING, retries=retries).set_caching_options(False)
            judged = apply_cluster(gate_model(metrics=measured.outputs["metrics"]), SMALL, retries=retries)
            with dsl.If(judged.outputs["Output"] == True, name="passed"):  # noqa: E712 - a condition of the graph
                model = measured.outputs["model"]
                registered = apply_cluster(register_model(model=model), SMALL, retries=retries)
                registered.set_caching_options(False)
                online = materialize_features(data=data, features=features)
                apply_cluster(online.after(registered), DATA, retries=retries).set_caching_options(False)
                rolled = roll_out_model(bundle_id=registered.outputs["Output"], model=model).after(online)
                apply_cluster(rolled, SMALL, retries=retries).set_caching_options(False)

    return training
