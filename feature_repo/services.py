"""Contracts of model versions. A service never changes its meaning: what changes gets a new name."""

from feast import FeatureService
from views import VIEWS

from marquee import schema

DESCRIPTIONS = {
    "ranking_v1": "All state that the ranker and its cross features read.",
    "candidates_v1": "A user's newest events: what the first stage folds in.",
}


def service(name: str) -> FeatureService:
    """The service with the features that the schema lists, in that order."""
    return FeatureService(
        name=name,
        features=[VIEWS[view][list(names)] for view, names in schema.FEATURE_SERVICES[name].items()],
        description=DESCRIPTIONS[name],
        owner="recommendations",
        tags={"stage": name.partition("_")[0], "version": name.rpartition("_v")[2]},
    )


RANKING_V1 = service("ranking_v1")
CANDIDATES_V1 = service("candidates_v1")
