"""The materialization pipeline: new events to the online store and the item matrix, without training."""

from kfp import dsl

from components.materialize_features import materialize_features
from components.notify import notify
from pipelines.cluster import DATA, RETRIES, SMALL, apply_cluster
from pipelines.data import data_and_state

NAME = "marquee-materialization"


def materialization_pipeline(*, retries: int = RETRIES) -> dsl.base_component.BaseComponent:
    """The traced pipeline; `retries` of each step, 0 where it runs locally."""

    @dsl.pipeline(name=NAME, description="New events to the online store, without training.")
    def materialization(
        dataset: str = "ml-100k",
        source: str = "",
        fingerprint: str = "",
        config: str = "",
        run_id: str = "run",
        reason: str = "schedule",
    ) -> None:
        """Bring the online store up to the newest events.

        Args:
            dataset: Name of a data set of the catalogue.
            source: Folder, zip or URL instead of the publisher's.
            fingerprint: Changes where the source's content changed.
            config: The run's configuration as JSON; empty for all defaults.
            run_id: What the run is called.
            reason: Why it was started.
        """
        done = apply_cluster(notify(run_id=run_id, reason=reason), SMALL, retries=0)
        done.set_caching_options(False)
        with dsl.ExitHandler(done, name="body"):
            data, features = data_and_state(
                dataset=dataset,
                source=source,
                fingerprint=fingerprint,
                config=config,
                for_training=False,
                retries=retries,
            )
            online = materialize_features(data=data, features=features)
            apply_cluster(online, DATA, retries=retries).set_caching_options(False)

    return materialization
