"""The beginning of every graph: events in, validated, and their state."""

from typing import Any, NamedTuple

from components.build_features import build_features
from components.ingest_interactions import ingest_interactions
from components.validate_data import validate_data
from pipelines.cluster import DATA, apply_cluster


class DataAndState(NamedTuple):
    """Artifacts of a graph that is being traced."""

    data: Any
    features: Any


def data_and_state(
    *,
    dataset: Any,  # noqa: ANN401 - here and below: a parameter of the graph, of kfp's own type
    source: Any,  # noqa: ANN401
    fingerprint: Any,  # noqa: ANN401
    config: Any,  # noqa: ANN401
    for_training: bool,
    retries: int,
) -> DataAndState:
    """Trace the steps up to the feature state.

    Args:
        dataset: name of a data set.
        source: instead of the publisher's.
        fingerprint: changes where the source's content changed.
        config: the run's configuration.
        for_training: whether training follows. Then an ingest with equal parameters may be taken from
            the cache; a schedule that brings the newest events in must look each time.
        retries: of each step.
    """
    ingested = ingest_interactions(dataset=dataset, source=source, config=config, fingerprint=fingerprint)
    apply_cluster(ingested, DATA, retries=retries)
    if not for_training:
        ingested.set_caching_options(False)
    data = ingested.outputs["data"]
    valid = apply_cluster(validate_data(data=data, config=config), DATA, retries=retries)
    built = build_features(data=data, config=config, for_training=for_training).after(valid)
    return DataAndState(data, apply_cluster(built, DATA, retries=retries).outputs["features"])
