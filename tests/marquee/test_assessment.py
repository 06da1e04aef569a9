import json
from dataclasses import replace

import numpy as np
import pytest

from marquee.assessment import (
    EASE_PLAIN,
    HEADLINE,
    TWO_STAGE,
    UNION,
    baseline_routes,
    candidate_recall,
    make_slicings,
    measure_bundle,
)
from marquee.data.interactions import Vocabulary
from marquee.diagnosis import Questions, recall_by_depth
from marquee.errors import BundleError
from marquee.features.movie_states import read_movie_states
from tests.factories import quick_config, state_of, taste_groups, trained, with_events


@pytest.fixture(scope="module")
def result():
    return trained(taste_groups())


@pytest.fixture(scope="module")
def asked(result):
    """The measured model with the movies' state on the days of the test's requests."""
    state = state_of(taste_groups())
    return result.evaluated.with_states(
        read_movie_states(state, result.evaluated.items, result.test.queries.time_us)
    )


def test_models_are_the_two_stage_its_union_and_every_route(result):
    routes = set(result.evaluated.routes)

    assert set(result.assessment.evaluation.means) == {TWO_STAGE, UNION, EASE_PLAIN, *routes}


def test_plain_ease_is_asked_without_recency(result):
    routes = baseline_routes(result.evaluated)

    assert routes[EASE_PLAIN].half_life_events is None
    assert routes["ease"].half_life_events is not None
    assert routes[EASE_PLAIN].weights is routes["ease"].weights


def test_mean_of_the_headline_is_that_of_its_queries(result):
    evaluation = result.assessment.evaluation

    for model, per_query in evaluation.per_query.items():
        assert len(per_query.values[HEADLINE]) == len(result.split.test)
        assert evaluation.means[model][HEADLINE] == pytest.approx(per_query.values[HEADLINE].mean())


def test_hit_rate_of_popular_equals_a_count_by_hand(result):
    test, popular = result.test, result.evaluated.routes["popular"]
    hits = []
    for query in range(len(test)):
        seen = test.queries.histories.item_index[test.queries.histories.row == query]
        order = [item for item in np.argsort(-popular.counts, kind="stable") if item not in seen]
        hits.append(bool(set(order[:10]) & set(test.targets[query].tolist())))

    assert result.assessment.evaluation.means["popular"]["hit_rate@10"] == pytest.approx(np.mean(hits))


def test_candidate_recall_of_the_union_is_the_ceiling(result, asked):
    ceiling = candidate_recall(asked, recall_by_depth(Questions(asked, result.test), union=UNION))
    candidates, _ = asked.propose(result.test.queries)
    found = [
        np.isin(targets, candidates.item_index[candidates.row == query]).mean()
        for query, targets in enumerate(result.test.targets[row] for row in range(len(result.test)))
    ]

    assert ceiling == result.assessment.recall_ceiling
    assert ceiling[UNION] == pytest.approx(np.mean(found))
    assert max(ceiling.values()) == ceiling[UNION]


def test_slices_share_out_all_queries(result):
    slicings = make_slicings(result.evaluated, result.split, result.test)

    assert len({slicing.name for slicing in slicings}) == 4
    assert {row.slicing for row in result.assessment.slices} == {slicing.name for slicing in slicings}
    for row in result.assessment.slices:
        assert 0 <= row.to_dict()["n_queries"] <= len(result.split.test)


def test_assessment_is_plain_json(result):
    text = json.dumps(result.assessment.to_dict(), allow_nan=False)

    assert {"models", "slices", "recall_ceiling", "gate", "diagnosis"} <= json.loads(text).keys()


def test_diagnosis_compares_on_the_same_slices_with_the_same_numbers(result):
    rows = [row for row in result.assessment.slices if row.n_queries]
    compared = {(row["slicing"], row["slice"]): row for row in result.assessment.diagnosis["slices"]}

    for row in rows:
        found = compared[row.slicing, row.slice]["models"][TWO_STAGE]
        assert (found["estimate"], found["low"], found["high"]) == (row.mean, row.low, row.high)


# --- a model from a bundle ------------------------------------------------------------------------


def test_measure_bundle_on_its_own_snapshot_measures_the_same(result):
    again = measure_bundle(
        result.evaluated,
        taste_groups(),
        quick_config(),
        state_of(taste_groups()),
        learned_until_us=result.split.cut_us,
    )

    assert again.to_dict() == result.assessment.to_dict()


def test_measure_bundle_that_knows_the_answers_is_refused(result):
    dataset = taste_groups()
    last_us = int(dataset.interactions.timestamp_us[-1])

    with pytest.raises(BundleError):
        measure_bundle(
            result.recommender, dataset, quick_config(), state_of(dataset), learned_until_us=last_us
        )


def test_measure_bundle_on_other_vocabularies_asks_about_the_same_movies(result):
    # A movie that sorts first and a user who sorts first shift every index of the newer snapshot.
    dataset = taste_groups()
    events = dataset.interactions
    shifted = with_events(
        dataset,
        replace(
            events,
            user_index=events.user_index + np.int32(1),
            item_index=events.item_index + np.int32(1),
            users=Vocabulary.of(["a newcomer", *events.users.ids]),
            items=Vocabulary.of(["a new movie", *events.items.ids]),
        ),
    )

    again = measure_bundle(
        result.evaluated,
        shifted,
        quick_config(),
        state_of(shifted),
        learned_until_us=result.split.cut_us,
    )

    assert again.to_dict() == result.assessment.to_dict()
