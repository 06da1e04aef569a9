import pytest

from marquee.recommend import Recommender
from tests.factories import first_stage, quick_config, taste_groups

ROUTES = ("ease", "sequential", "als", "content", "popular", "trending")


@pytest.fixture(scope="package")
def recommender() -> Recommender:
    """Personal routes, one of the movies' facts, and two that show everybody the same; no ranker."""
    routes = {**quick_config().routes.model_dump(), "enabled": ROUTES}
    return first_stage(taste_groups(), quick_config(routes=routes))
