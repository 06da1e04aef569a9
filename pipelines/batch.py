"""The batch pipeline: the champion's list for every user, as Parquet."""

from kfp import dsl

from components.notify import notify
from components.score_lists import score_lists
from pipelines.cluster import RETRIES, SMALL, TRAINING, apply_cluster
from pipelines.data import data_and_state

NAME = "marquee-batch"


def batch_pipeline(*, retries: int = RETRIES) -> dsl.base_component.BaseComponent:
    """The traced pipeline; `retries` of each step, 0 where it runs locally."""

    @dsl.pipeline(name=NAME, description="The champion's list for every user.")
    def batch(
        dataset: str = "ml-100k",
        source: str = "",
        fingerprint: str = "",
        config: str = "",
        n: int = 12,
        run_id: str = "run",
        reason: str = "schedule",
    ) -> None:
        """Make everybody's list.

        Args:
            dataset: Name of a data set of the catalogue.
            source: Folder, zip or URL instead of the publisher's.
            fingerprint: Changes where the source's content changed.
            config: The run's configuration as JSON; empty for all defaults.
            n: Length of each list.
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
            scored = score_lists(data=data, features=features, config=config, n=n)
            apply_cluster(scored, TRAINING, retries=retries).set_caching_options(False)

    return batch
