"""The monitoring pipeline: the newest window against the past, and a training where drift asks for one."""

from kfp import dsl

from components.detect_drift import detect_drift
from components.ingest_interactions import ingest_interactions
from components.notify import notify
from components.trigger_training import trigger_training
from pipelines.cluster import DATA, RETRIES, SMALL, apply_cluster

NAME = "marquee-monitoring"
OF_THE_API = ("MARQUEE_KFP_HOST", "MARQUEE_KFP_NAMESPACE", "MARQUEE_PIPELINE_ROOT", "MARQUEE_SERVICE_ACCOUNT")
"""Settings that only the step which starts a run has."""


def monitoring_pipeline(*, retries: int = RETRIES) -> dsl.base_component.BaseComponent:
    """The traced pipeline; `retries` of each step, 0 where it runs locally."""

    @dsl.pipeline(name=NAME, description="Drift of the newest window, and a training where it asks for one.")
    def monitoring(
        dataset: str = "ml-100k",
        source: str = "",
        fingerprint: str = "",
        config: str = "",
        current: str = "7d",
        reference: str = "",
        values: str = "",
        run_id: str = "run",
        reason: str = "schedule",
    ) -> None:
        """Look for drift, and answer it.

        Args:
            dataset: Name of a data set of the catalogue.
            source: Folder, zip or URL instead of the publisher's.
            fingerprint: Changes where the source's content changed.
            config: The run's configuration as JSON; empty for all defaults.
            current: The window to look at, such as 7d.
            reference: What to compare with; empty for all before the window.
            values: Of the training that may follow, a name in pipelines/configs; empty for the default.
            run_id: What the run is called.
            reason: Why it was started.
        """
        done = apply_cluster(notify(run_id=run_id, reason=reason), SMALL, retries=0)
        done.set_caching_options(False)
        with dsl.ExitHandler(done, name="body"):
            ingested = ingest_interactions(
                dataset=dataset, source=source, config=config, fingerprint=fingerprint
            )
            apply_cluster(ingested, DATA, retries=retries).set_caching_options(False)
            found = detect_drift(
                data=ingested.outputs["data"], config=config, current=current, reference=reference
            )
            apply_cluster(found, DATA, retries=retries).set_caching_options(False)
            with dsl.If(found.outputs["Output"] == True, name="retrain"):  # noqa: E712 - a condition of the graph
                started = trigger_training(
                    decision=found.outputs["decision"], dataset=dataset, source=source, values=values
                )
                apply_cluster(started, SMALL, retries=retries, more=OF_THE_API).set_caching_options(False)

    return monitoring
