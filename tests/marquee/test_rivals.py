"""Which model the gate holds a challenger against."""

import json
from dataclasses import replace

import numpy as np
import pytest

from marquee.packing import Model
from marquee.registering import Champion, Models
from marquee.rivals import rival_of
from marquee.run_folder import EVALUATED
from tests.small_run import Place


@pytest.fixture
def models(trained: Place) -> Models:
    storage = json.loads((trained.latest / "metrics.json").read_text(encoding="utf-8"))["storage"]
    return Models.of(storage, trained.settings, {})


@pytest.fixture
def champion(models: Models) -> Champion:
    found = models.champion()
    assert found is not None
    return found


def evaluated(place: Place) -> Model:
    return Model.read(place.latest / EVALUATED)


def test_rival_of_nobody_is_nobody(models: Models):
    assert rival_of(None, models) is None


def test_rival_on_its_own_events_is_the_model_that_was_measured(
    trained: Place, models: Models, champion: Champion
):
    model = evaluated(trained)
    content = model.manifest.content

    rival = rival_of(champion, models)
    assert rival is not None
    found = rival.measured(content["snapshot"], content["learned_until_us"])

    assert found is not None
    assert found.ranker is not None
    rows = np.random.default_rng(1).random((5, len(found.feature_names))).astype(np.float32)
    np.testing.assert_array_equal(found.ranker.score(rows), model.recommender.ranker.score(rows))
    assert rival.config == champion.config


@pytest.mark.parametrize(("snapshot", "later_us"), [("another", 0), (None, 1)])
def test_rival_on_other_events_has_its_recipe_alone(
    trained: Place, models: Models, champion: Champion, snapshot: str | None, later_us: int
):
    content = evaluated(trained).manifest.content
    rival = rival_of(champion, models)
    assert rival is not None

    assert rival.measured(snapshot or content["snapshot"], content["learned_until_us"] + later_us) is None


def test_rival_whose_bundle_is_gone_has_its_recipe_alone(trained: Place, models: Models, champion: Champion):
    content = evaluated(trained).manifest.content
    rival = rival_of(replace(champion, bundle_id="0" * 16), models)
    assert rival is not None

    assert rival.measured(content["snapshot"], content["learned_until_us"]) is None
