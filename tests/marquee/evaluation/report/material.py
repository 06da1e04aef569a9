"""The metrics of a small made-up run, as its `metrics.json` would hold them."""

from typing import Any

MODELS = ("two_stage", "ease", "popular")


def bounds(estimate: float | None, width: float = 0.02) -> dict[str, float | None]:
    if estimate is None:
        return {"estimate": None, "low": None, "high": None}
    return {"estimate": estimate, "low": estimate - width, "high": estimate + width}


def model_slice(slicing: str, name: str, n: int, ours: float, popular: float) -> dict[str, Any]:
    return {
        "slicing": slicing, "slice": name, "metric": "ndcg@10", "n_queries": n,
        "models": {"two_stage": bounds(ours), "popular": bounds(popular)} if n else {},
        "differences": {"popular": bounds(ours - popular)} if n else {},
    }  # fmt: skip


def run_metrics() -> dict[str, Any]:
    """A run that has everything, and of which nothing needs a look."""
    means = {
        model: {
            "ndcg@10": 0.4125 - rank / 10, "ndcg@12": 0.4025 - rank / 10, "precision@10": 0.3375 - rank / 10,
            "recall@10": 0.1425 - rank / 30, "recall@100": 0.5125 - rank / 10, "mrr@10": 0.6175 - rank / 10,
            "coverage@10": 0.1875, "novelty@10": 1.9375,
        }
        for rank, model in enumerate(MODELS)
    }  # fmt: skip
    return {
        "dataset": "small", "snapshot": "ab" * 8, "protocol": "temporal", "k": 10, "seed": 7,
        "bundle_id": "cd" * 8, "source": "a folder", "cut_us": 889_237_269_000_000, "n_queries": 245,
        "headline": {"model": "two_stage", "metric": "ndcg@10"},
        "models": means,
        "intervals": {
            model: {label: bounds(value) for label, value in found.items() if "coverage" not in label}
            for model, found in means.items()
        },
        "comparisons": {
            "two_stage": {
                "ease": {"ndcg@10": {"difference": bounds(0.1125), "lift": bounds(0.3125)}},
                "popular": {"ndcg@10": {"difference": bounds(0.2125), "lift": bounds(None)}},
            }
        },
        "gate": {
            "passed": True,
            "checks": [{"name": "inputs", "passed": True, "reason": "245 aligned queries."}],
            "notes": ["There is no champion yet."],
        },
        "second_stage": {"chosen": "trees", "ndcg": {"trees": 0.5025, "blend": 0.4775}, "n_queries": 412},
        "diagnosis": {
            "best_route": "ease",
            "slices": [
                model_slice("gender", "female", 69, 0.4075, 0.1975),
                model_slice("gender", "unknown", 0, 0, 0),
                model_slice("cold_users", "1-4 events", 172, 0.4525, 0.4025),
            ],
            "recall": {
                "ease": {"recall@10": 0.1325, "recall@100": 0.5525},
                "union": {"recall@10": 0.1225, "recall@100": 0.5625, "recall@all": 0.7675},
            },
            "ranker": {
                "importance": {"ease_rank": 0.625, "user_age": 0.25, "cross_year_gap": 0.125},
                "contributions": {"ease_rank": 0.3, "user_age": 0.1, "cross_year_gap": 0.0},
                "n_explained": 1000,
                "reliability": [
                    {"low": -2, "high": 0, "n": 500, "n_consumed": 5, "rate": bounds(0.01, 0.005)},
                    {"low": 0.1, "high": 3, "n": 500, "n_consumed": 150, "rate": bounds(0.3, 0.05)},
                ],
            },
            "popularity": {
                "n_items": [2] * 10,
                "consumed": [0.1] * 10,
                "models": {model: [0.0] * 9 + [1.0] for model in MODELS},
            },
        },
        "data": {"users": 943, "items": 1682, "events": 100_000, "first_us": 0, "last_us": 10**15},
        "notes": ["location is the zip code"],
        "seconds": {"training set": 9.5, "ranker": 12.25},
        "memory_mb": {"training set": 512.0, "ranker": 1148.0},
        "peak_rss_mb": 1148.0,
    }  # fmt: skip
