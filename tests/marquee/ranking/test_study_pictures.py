import re
from xml.etree import ElementTree

import pytest

from marquee.ranking.rankers import RankerConfig
from marquee.ranking.search import SearchResult, Trial
from marquee.ranking.search_space import SearchSpace, ranker_at
from marquee.ranking.study_pictures import study_page, study_section

SPACE = SearchSpace.model_validate(
    {
        "boosters": ["lightgbm", "xgboost"],
        "lightgbm": {
            "num_leaves": {"type": "int", "min": 4, "max": 64, "scale": "log"},
            "lambda_l2": {"type": "float", "min": 1, "max": 9},
        },
        "xgboost": {"max_depth": {"type": "int", "min": 1, "max": 7}},
    }
)


def leaves(number: int, n: int, value: float, *, pruned: bool = False) -> Trial:
    point = {"booster": "lightgbm", "lightgbm.num_leaves": n, "lightgbm.lambda_l2": 5.0}
    return Trial(number, point, value, pruned, 1.5)


def depth(number: int, n: int, value: float) -> Trial:
    return Trial(number, {"booster": "xgboost", "xgboost.max_depth": n}, value, is_pruned=False, seconds=1.5)


def result(*trials: Trial, best: int, importances: dict[str, float] | None = None) -> SearchResult:
    return SearchResult(
        ranker_at(trials[best].point, RankerConfig()), trials[best], trials[0], trials, importances or {}
    )


FOUR = result(
    leaves(0, 4, 0.30), depth(1, 3, 0.31), leaves(2, 16, 0.35), leaves(3, 64, 0.28, pruned=True),
    best=2, importances={"lightgbm.num_leaves": 0.75, "lightgbm.lambda_l2": 0.25},
)  # fmt: skip


def svgs(html: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(text) for text in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]  # noqa: S314 - our own


def test_section_history_has_a_dot_for_every_trial():
    history = svgs(study_section(FOUR, SPACE))[0]

    kinds = [dot.get("class") for dot in history.iter("circle")]
    assert kinds == ["dot", "dot", "best", "pruned"]


def test_section_history_line_rises_with_the_best_whole_trial():
    html = study_section(FOUR, SPACE)

    path = next(svgs(html)[0].iter("path")).get("d")
    assert path is not None
    assert path.count("V") == 2  # from .30 to .31 to .35, not down to .28


def test_section_bars_are_in_proportion():
    bars = svgs(study_section(FOUR, SPACE))[1]

    widths = [float(bar.get("width", "")) for bar in bars.iter("rect")]
    assert widths == pytest.approx([380, 380 / 3], abs=0.1)
    assert [text.text for text in bars.iter("text")] == ["num_leaves", "75%", "lambda_l2", "25%"]


def test_section_slices_are_those_of_the_best_booster_that_varied():
    html = study_section(FOUR, SPACE)

    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert captions[2:] == ["num_leaves"]  # lambda_l2 was the same in all
    dots = [float(dot.get("cx", "")) for dot in svgs(html)[2].iter("circle")]
    assert dots[1] - dots[0] == pytest.approx(dots[2] - dots[1])  # 4, 16, 64 on a logarithmic scale


def test_section_of_one_trial_is_drawn():
    html = study_section(result(leaves(0, 4, 0.3), best=0), SPACE)

    assert len(svgs(html)) == 1
    assert "0.3000" in html


def test_page_is_complete_and_fetches_nothing():
    html = study_page(FOUR, SPACE, title="Search <for> a ranker")

    assert html.startswith("<!doctype html>")
    assert "<title>Search &lt;for&gt; a ranker</title>" in html
    assert "<section" in html
    assert not re.search(r"<script|https?://|@import|url\(", html)
