import pytest

from marquee.training import TrainingResult
from tests.factories import taste_groups, trained


@pytest.fixture(scope="package")
def dataset():
    return taste_groups()


@pytest.fixture(scope="package")
def result(dataset) -> TrainingResult:
    return trained(dataset)


@pytest.fixture(scope="package", params=["first stage", "two stages"])
def recommender(request, result):
    """The model that would be served, with its ranker and without."""
    from dataclasses import replace

    served = result.recommender
    return served if request.param == "two stages" else replace(served, ranker=None)
