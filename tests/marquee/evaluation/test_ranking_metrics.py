import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.interactions import Ragged
from marquee.evaluation.ranking_metrics import METRICS, score
from marquee.evaluation.relevance import Judged, as_lists, judge

ITEMS = st.lists(st.integers(0, 25), unique=True, max_size=12)
QUERIES = st.lists(st.tuples(ITEMS, ITEMS.filter(len)), min_size=1, max_size=6)
CUTS = st.integers(1, 15)


def log2(number: float) -> float:
    return float(np.log2(number))


@pytest.fixture
def judged() -> Judged:
    """Hits at ranks 1 and 3 of 4 places, with 3 relevant items; none, with 1; one at rank 2, with 5."""
    hit = [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]
    return Judged(np.array(hit, dtype=np.bool_), np.array([3, 1, 5]))


@pytest.mark.parametrize(
    ("metric", "k", "expected"),
    [
        ("precision", 3, [2 / 3, 0, 1 / 3]),
        ("precision", 10, [2 / 10, 0, 1 / 10]),  # by k, not by the 4 places
        ("recall", 3, [2 / 3, 0, 1 / 5]),
        ("f1", 4, [2 * (2 / 4) * (2 / 3) / (2 / 4 + 2 / 3), 0, 2 * (1 / 4) * (1 / 5) / (1 / 4 + 1 / 5)]),
        ("hit_rate", 1, [1, 0, 0]),
        ("hit_rate", 2, [1, 0, 1]),
        ("mrr", 1, [1, 0, 0]),
        ("mrr", 4, [1, 0, 1 / 2]),
        ("map", 4, [(1 / 1 + 2 / 3) / 3, 0, (1 / 2) / 4]),  # 5 relevant, but only 4 places
        ("map", 2, [(1 / 1) / 2, 0, (1 / 2) / 2]),
        (
            "ndcg",
            4,
            [
                (1 + 1 / log2(4)) / (1 + 1 / log2(3) + 1 / log2(4)),
                0,
                (1 / log2(3)) / (1 + 1 / log2(3) + 1 / log2(4) + 1 / log2(5)),
            ],
        ),
        ("ndcg", 1, [1, 0, 0]),
    ],
)
def test_metric_on_three_queries_equals_hand_arithmetic(judged, metric, k, expected):
    assert METRICS[metric](judged, k) == pytest.approx(expected)


@given(QUERIES, CUTS)
def test_metrics_on_any_lists_agree_with_trec_eval(queries, k):
    lists = as_lists(Ragged.of([listed for listed, _ in queries]), 12)
    targets = Ragged.of([wanted for _, wanted in queries])

    ours = score(judge(lists, targets), [k])

    theirs = trec_eval(queries, k)
    assert ours[f"precision@{k}"] == pytest.approx(theirs[f"P_{k}"])
    assert ours[f"recall@{k}"] == pytest.approx(theirs[f"recall_{k}"])
    assert ours[f"ndcg@{k}"] == pytest.approx(theirs[f"ndcg_cut_{k}"])
    assert ours[f"hit_rate@{k}"] == pytest.approx(theirs[f"success_{k}"])
    assert ours[f"mrr@{k}"] == pytest.approx(theirs["recip_rank"])
    # It has F only of whole sets, whose precision divides by what was retrieved: ours from its P and R.
    p, r = (np.array(theirs[f"{name}_{k}"]) for name in ("P", "recall"))
    assert ours[f"f1@{k}"] == pytest.approx(2 * p * r / np.where(p + r > 0, p + r, 1))
    # The one difference in definition: trec_eval divides by all relevant items.
    reachable_share = np.minimum(k, targets.lengths) / targets.lengths
    assert ours[f"map@{k}"] * reachable_share == pytest.approx(theirs[f"map_cut_{k}"])


def trec_eval(queries, k):
    """trec_eval's values of each query, which reads scores: the first `k` items get falling ones."""
    wanted = {str(query): {f"i{item}": 1 for item in targets} for query, (_, targets) in enumerate(queries)}
    listed = {
        str(query): {f"i{item}": float(-rank) for rank, item in enumerate(items[:k])}
        for query, (items, _) in enumerate(queries)
    }
    cut = (f"P.{k}", f"recall.{k}", f"ndcg_cut.{k}", f"success.{k}", f"map_cut.{k}")
    found = pytrec_eval.RelevanceEvaluator(wanted, {*cut, "recip_rank"}).evaluate(listed)
    names = [*(name.replace(".", "_") for name in cut), "recip_rank"]
    # A query without a list is left out by trec_eval; for us it is a miss.
    return {name: [found.get(str(q), {}).get(name, 0.0) for q in range(len(queries))] for name in names}


@given(QUERIES, CUTS)
def test_metrics_on_any_lists_stay_within_zero_and_one(queries, k):
    lists = as_lists(Ragged.of([listed for listed, _ in queries]), 12)

    for label, values in score(judge(lists, Ragged.of([wanted for _, wanted in queries])), [k]).items():
        assert values.dtype == np.float64, label
        assert (values >= 0).all(), label
        assert (values <= 1).all(), label


@given(st.integers(1, 20), CUTS)
def test_ndcg_and_map_of_a_perfect_list_are_exactly_one(n_relevant, k):
    perfect = np.arange(30, dtype=np.int32)[None, :]

    judged = judge(perfect, Ragged.of([range(n_relevant)]))

    assert METRICS["ndcg"](judged, k).tolist() == [1.0]
    assert METRICS["map"](judged, k) == pytest.approx([1.0])


@given(st.lists(st.booleans(), min_size=2, max_size=10), st.data())
def test_rank_sensitive_metrics_never_fall_when_a_hit_moves_up(hits, data):
    rank = data.draw(st.integers(1, len(hits) - 1))
    raised = hits.copy()
    raised[rank - 1], raised[rank] = hits[rank - 1] or hits[rank], hits[rank - 1] and hits[rank]
    before, after = (Judged(np.array([row]), np.array([12])) for row in (hits, raised))

    for metric in ("ndcg", "map", "mrr"):
        assert METRICS[metric](after, 10) >= METRICS[metric](before, 10)


@given(QUERIES, CUTS, st.randoms())
def test_metrics_do_not_depend_on_the_order_of_queries(queries, k, random):
    def values(rows):
        lists = as_lists(Ragged.of([listed for listed, _ in rows]), 12)
        return score(judge(lists, Ragged.of([wanted for _, wanted in rows])), [k])

    order = list(range(len(queries)))
    random.shuffle(order)

    straight, shuffled = values(queries), values([queries[row] for row in order])

    assert all((straight[label][order] == shuffled[label]).all() for label in straight)


def test_metrics_of_lists_without_places_are_zero():
    judged = judge(np.empty((2, 0), dtype=np.int32), Ragged.of([[1], [2]]))

    assert all(values.tolist() == [0, 0] for values in score(judged, [3]).values())


def test_score_labels_each_metric_at_each_cut(judged):
    assert list(score(judged, [1, 12], metrics=("ndcg", "mrr"))) == ["ndcg@1", "ndcg@12", "mrr@1", "mrr@12"]


def test_score_cut_below_one_is_refused(judged):
    with pytest.raises(ValueError, match="at least 1, not 0"):
        score(judged, [5, 0])


def test_score_unknown_metric_is_refused_by_name(judged):
    with pytest.raises(ValueError, match="ncdg"):
        score(judged, [5], metrics=("ncdg",))
