"""The pages: whole, self-contained, safe, and with every link landing."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from marquee import schema
from marquee.errors import SourceError
from marquee.features.report import (
    Ablation,
    ReportConfig,
    ViewPromise,
    findings,
    measure_state,
    render_report,
)
from marquee.features.report.ablation import interval_chart
from marquee.features.report.page import anchor
from tests.marquee.features.report.state import PROMISE, folder_of, view_table

HOSTILE = '<script>alert("1")</script>&\'"'
NOW = datetime(1970, 1, 6, tzinfo=UTC)
VOID = {"meta", "br", "link", "img", "hr", "input"}
ABLATION = {
    "protocol": "temporal",
    "metric": "ndcg@10",
    "full": {"mean": 0.4, "low": 0.38, "high": 0.42},
    "without": {
        HOSTILE: {"mean": 0.3, "difference": -0.1, "low": -0.12, "high": -0.08},
        "useless": {"mean": 0.41, "difference": 0.01, "low": -0.01, "high": 0.03},
    },
}


class Page(HTMLParser):
    """What a browser would find: tags that match, ids, links, and what would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.unnamed: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.fetched += [str(found[name]) for name in ("src", "srcset", "data", "action") if name in found]
        if tag == "svg" and not (found.get("role") == "img" and found.get("aria-label")):
            self.unnamed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def checked(text: str) -> Page:
    page = Page(text)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links), page.links
    assert (page.fetched, page.unnamed) == ([], [])
    assert not {"script", "link", "iframe", "img"} & set(page.tags)
    assert "url(" not in text
    assert "@import" not in text
    return page


def tables(n: int) -> dict:
    """All views; hostile texts in keys and features, a view without rows."""
    profile = {"user_occupation": HOSTILE, "user_location": "x" * 300, schema.USER_AGE: 3e38}
    activity = {
        schema.USER_EVENTS_ALL: 9_000_000_000_000_000_000,
        schema.USER_SEEN_US: 2**62,
        schema.USER_HISTORY_ITEMS: [HOSTILE, ""],
        schema.USER_HISTORY_VALUES: [float("nan"), 1.0],
        schema.USER_HISTORY_TIMES: [0, 2**62],
    }
    return {
        schema.USER_PROFILE_VIEW: view_table(
            schema.USER_PROFILE_VIEW, [(f"{HOSTILE}{k}", 1, profile) for k in range(n)]
        ),
        schema.USER_ACTIVITY_VIEW: view_table(
            schema.USER_ACTIVITY_VIEW, [(f"u{k}", 1, activity) for k in range(n)]
        ),
        schema.MOVIE_PUBLICITY_VIEW: view_table(schema.MOVIE_PUBLICITY_VIEW, []),
    }


def report(root: Path, ablation: Ablation | None = None) -> str:
    promises = dict.fromkeys(tables(0), PROMISE) | {
        schema.USER_PROFILE_VIEW: ViewPromise(HOSTILE, HOSTILE, 1, 60, is_static=True)
    }
    config = ReportConfig()
    measure = measure_state(root, HOSTILE, promises=promises, config=config)
    return render_report(measure, findings(measure, config), now=NOW, config=config, ablation=ablation)


@pytest.mark.parametrize("n", [0, 1, 60])
def test_report_of_hostile_values_is_whole_and_safe(tmp_path: Path, n: int):
    folder_of(tmp_path, tables(n))

    page = checked(report(tmp_path))

    assert HOSTILE in "".join(page.words)  # the description, as text
    assert page.tags.count("article") == (19 if n else 0)  # 5 of the profile, 14 of the activity
    assert "there is nothing to compare with" in "".join(page.words)


def test_report_of_a_second_build_shows_the_last(tmp_path: Path):
    folder_of(tmp_path, tables(3))
    folder_of(tmp_path, tables(60))

    text = report(tmp_path)

    page = checked(text)
    assert "nothing to compare with" not in text
    assert 'class="before"' in text
    assert "was 3" in page.words


def test_report_without_findings_says_so(tmp_path: Path):
    view = schema.MOVIE_STATISTICS_VIEW
    names = schema.FEATURE_VIEWS[view]
    folder_of(
        tmp_path, {view: view_table(view, [(f"m{k}", 4, dict.fromkeys(names, float(k))) for k in range(9)])}
    )
    measure = measure_state(tmp_path, "d", promises={view: PROMISE})

    text = render_report(measure, [], now=NOW, config=ReportConfig())

    assert checked(text).tags.count("table") == 1  # the views; no list of findings
    assert "Nothing: no view is late" in text


def test_report_with_an_ablation_has_its_table_and_picture(tmp_path: Path):
    folder_of(tmp_path, tables(1))

    page = checked(report(tmp_path, Ablation.model_validate(ABLATION)))

    assert page.tags.count("circle") == 2
    assert {"helps", "not decided", "-0.1000", "0.4100"} <= set(page.words)


def test_interval_chart_puts_differences_on_one_axis_with_zero():
    chart = interval_chart(Ablation.model_validate(ABLATION))

    # the axis runs from −0.12 to 0.03
    assert chart.zero_x == pytest.approx(chart.left + 0.12 / 0.15 * (chart.right - chart.left))
    assert chart.rows[0].low_x == chart.left
    assert chart.rows[1].high_x == pytest.approx(chart.right)
    assert chart.rows[0].x < chart.zero_x < chart.rows[1].x


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("{", "Invalid JSON"),
        ('{"protocol": "t"}', "metric"),
        (
            '{"protocol": "t", "metric": "m", "full": {"mean": NaN, "low": 0, "high": 0}, "without": {}}',
            "full.mean",
        ),
        (
            '{"protocol": "t", "metric": "m", "full": {"mean": 0.4, "low": 0.3, "high": 0.5},'
            ' "without": {"v": {"mean": 0.3, "difference": 0.1, "low": 0, "high": 0.2}}}',
            "without.v.difference = 0.1",
        ),
        (
            '{"protocol": "t", "metric": "m", "full": {"mean": 0.4, "low": 0.3, "high": 0.5},'
            ' "without": {"v": {"mean": 0.3, "difference": -0.1, "low": 0, "high": 0.2}}}',
            "not within",
        ),
    ],
)
def test_ablation_that_does_not_fit_is_refused_by_its_key(tmp_path: Path, content: str, names: str):
    file = tmp_path / "ablation.json"
    file.write_text(content)

    with pytest.raises(SourceError, match=re.escape(names)):
        Ablation.from_file(file)


def test_ablation_that_is_missing_is_one_clear_error(tmp_path: Path):
    with pytest.raises(SourceError, match="can't be read"):
        Ablation.from_file(tmp_path / "nowhere.json")


def test_anchor_of_unequal_names_is_unequal_and_a_plain_fragment():
    names = ["a b", "a-b", "a_b", "a<b", "a", "ab"]

    anchors = [anchor(name) for name in names]

    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", each) for each in anchors)
    assert anchor("view", None) == anchor("view")
