import json

import numpy as np
import pytest
from pydantic import ValidationError

from marquee.data.interactions import Ragged
from marquee.errors import NotEnoughDataError
from marquee.evaluation import evaluate
from marquee.evaluation.evaluate import EvaluationConfig, compare, evaluate_lists, recall_ceiling
from marquee.evaluation.list_metrics import Catalogue
from marquee.evaluation.per_query import PerQuery
from marquee.evaluation.significance import (
    BootstrapConfig,
    difference_interval,
    lift_interval,
    mean_interval,
)

QUICK = BootstrapConfig(resamples=200)
CONFIG = EvaluationConfig(ks=(1, 2), bootstrap=QUICK)
TARGETS = Ragged.of([[0], [1, 2], [3]])
LISTS = {
    "good": np.array([[0, 1], [1, 2], [0, 3]], dtype=np.int32),
    "bad": np.array([[1, 0], [0, 3], [0, 1]], dtype=np.int32),
}


def test_evaluate_lists_means_equal_hand_arithmetic():
    found = evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=0)

    assert found.means["good"]["ndcg@1"] == pytest.approx((1 + 1 + 0) / 3)
    assert found.means["good"]["ndcg@2"] == pytest.approx((1 + 1 + 1 / np.log2(3)) / 3)
    assert found.means["bad"]["recall@2"] == pytest.approx((1 + 0 + 0) / 3)
    assert found.per_query["bad"].values["mrr@2"].tolist() == [1 / 2, 0, 0]
    assert found.n_queries == 3


def test_evaluate_lists_callable_gets_the_longest_cut_and_counts_as_its_lists():
    asked = []

    def recommend(n):
        asked.append(n)
        return LISTS["good"]

    found = evaluate_lists({"good": recommend}, TARGETS, config=CONFIG, seed=0)

    assert asked == [2]
    assert found.means == evaluate_lists({"good": LISTS["good"]}, TARGETS, config=CONFIG, seed=0).means


def test_evaluate_lists_compares_every_other_model_with_each_reference():
    found = evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=6, references=("bad",))

    good, bad = (found.per_query[model].values["ndcg@2"] for model in ("good", "bad"))
    comparison = found.comparisons["good"]["bad"]["ndcg@2"]
    # As plain values, where an undefined bound is None: some resamples miss the one hit of "bad".
    assert comparison.to_dict() == {
        "difference": difference_interval(good, bad, seed=6, config=QUICK).to_dict(),
        "lift": lift_interval(good, bad, seed=6, config=QUICK).to_dict(),
    }
    assert comparison.difference.estimate == pytest.approx((good - bad).mean())
    assert found.comparisons["bad"] == {}


def test_evaluate_lists_intervals_hold_the_mean():
    found = evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=6)

    assert set(found.intervals["good"]) == set(found.per_query["good"].values) >= {"ndcg@2", "precision@1"}
    for label, interval in found.intervals["good"].items():
        alone = mean_interval(found.per_query["good"].values[label], seed=6, config=QUICK)
        assert interval == alone
        assert interval.low <= found.means["good"][label] <= interval.high


def test_evaluate_lists_catalogue_adds_list_metrics_cut_at_k():
    catalogue = Catalogue(np.array([3, 1, 1, 0]), n_users=3, item_features=np.eye(4))

    found = evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=0, catalogue=catalogue)

    assert found.means["good"]["coverage@1"] == 2 / 4  # items 0, 1
    assert found.means["good"]["coverage@2"] == 4 / 4
    assert found.means["good"]["novelty@1"] == pytest.approx((0 + 1 + 0) / 3)  # -log2 of 4/4, 2/4, 4/4
    assert np.isnan(found.means["good"]["popularity_bias@1"])


def test_evaluate_lists_as_dict_is_json_ready_with_null_for_undefined():
    catalogue = Catalogue(np.array([3, 1, 1, 0]), n_users=3)
    found = evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=0, catalogue=catalogue, references=("bad",))

    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))

    assert plain["models"]["good"]["ndcg@1"] == pytest.approx(2 / 3)
    assert plain["models"]["good"]["intra_list_diversity@2"] is None
    assert set(plain["comparisons"]["good"]["bad"]["ndcg@1"]) == {"difference", "lift"}
    assert set(plain["intervals"]["bad"]["ndcg@2"]) == {"estimate", "low", "high"}
    # "bad" has no hit at rank 1 at all, so nothing can be a multiple of it
    assert plain["comparisons"]["good"]["bad"]["ndcg@1"]["lift"]["estimate"] is None


def test_evaluate_lists_same_seed_same_numbers():
    first, again = (
        json.dumps(evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=9, references=("bad",)).to_dict())
        for _ in range(2)
    )

    assert first == again


def test_evaluate_lists_without_queries_says_what_to_do():
    with pytest.raises(NotEnoughDataError) as caught:
        evaluate_lists({}, Ragged.of([]), config=CONFIG, seed=0)

    assert "earlier cut" in caught.value.remedy


def test_evaluate_lists_unknown_reference_is_refused_by_name():
    with pytest.raises(ValueError, match="'popular'"):
        evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=0, references=("popular",))


def test_evaluate_lists_keys_of_other_queries_are_refused():
    with pytest.raises(ValueError, match="2 query keys but targets for 3"):
        evaluate_lists(LISTS, TARGETS, config=CONFIG, seed=0, query_keys=np.array([4, 5]))


def test_compare_models_of_different_queries_is_refused():
    one, other = (PerQuery("m", np.array(keys), {"ndcg@1": np.zeros(2)}) for keys in ([1, 2], [2, 1]))

    with pytest.raises(ValueError, match="different queries"):
        compare(one, other, label="ndcg@1", seed=0)


@pytest.mark.parametrize("fault", [{"ks": ()}, {"ks": (0,)}, {"compared_metrics": ("ncdg",)}, {"k": 3}])
def test_evaluation_config_that_cannot_be_meant_is_refused(fault):
    with pytest.raises(ValidationError):
        EvaluationConfig.model_validate(fault)


def test_recall_ceiling_of_all_and_of_the_first_candidates():
    candidates = Ragged.of([[5, 0, 7], [2, 1], []])

    found = recall_ceiling(candidates, TARGETS, ns=(1, 2))

    assert found == pytest.approx(
        {
            "recall@all": (1 / 1 + 2 / 2 + 0) / 3,
            "recall@1": (0 + 1 / 2 + 0) / 3,
            "recall@2": (1 / 1 + 2 / 2 + 0) / 3,
        }
    )


def test_recall_ceiling_in_chunks_changes_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    candidates = Ragged.of([rng.permutation(30)[: rng.integers(0, 20)] for _ in range(23)])
    targets = Ragged.of([rng.permutation(30)[: rng.integers(1, 9)] for _ in range(23)])
    whole = recall_ceiling(candidates, targets, ns=(5,))

    monkeypatch.setattr(evaluate, "_CHUNK_QUERIES", 4)

    assert recall_ceiling(candidates, targets, ns=(5,)) == pytest.approx(whole)
    expected = [
        len(set(candidates[q].tolist()) & set(targets[q].tolist())) / len(targets[q]) for q in range(23)
    ]
    assert whole["recall@all"] == pytest.approx(np.mean(expected))


def test_recall_ceiling_without_any_candidate_is_zero():
    assert recall_ceiling(Ragged.of([[], [], []]), TARGETS) == {"recall@all": 0.0}


def test_recall_ceiling_of_other_queries_is_refused():
    with pytest.raises(ValueError, match="Candidates for 1 queries, targets for 3"):
        recall_ceiling(Ragged.of([[1]]), TARGETS)


def test_recall_ceiling_without_queries_says_so():
    with pytest.raises(NotEnoughDataError):
        recall_ceiling(Ragged.of([]), Ragged.of([]))
