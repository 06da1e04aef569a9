"""The measurements of `benchmarks.trending` to read."""

from typing import Any

from benchmarks.machine import in_words
from benchmarks.trending_rivals import CONFIG


def to_markdown(report: dict[str, Any]) -> str:
    """The report as tables."""
    lines = [
        f"# Trending: forecasts of the traffic, and {report['trials']} surges of each kind",
        "",
        f"{report['measured_at']}, {in_words(report['machine'])}; {report['cpu_s']:.0f} CPU s."
        f" Seed {report['seed']}.",
    ]
    for name, found in report["streams"].items():
        lines += _section(name, found)
    return "\n".join(lines) + "\n"


def _section(name: str, found: dict[str, Any]) -> list[str]:
    kinds = list(found["scorers"][0]["surges"])
    return [
        "",
        f"## {name}: {found['events']} choices of {found['items']} items in {found['days']:g} days,"
        f" {found['events_per_hour']} an hour",
        "",
        "Mean absolute error of the traffic of a window, forecast when it begins.",
        "",
        "| window | mean | nothing | the window before | hour of week | seasonal | seasonal believed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {row['hours']} h | {row['mean']} | "
            + " | ".join(str(each) for each in row["mae"].values())
            + f" | {row['believed']:.0%} |"
            for row in found["forecasts"]
        ),
        "",
        f"As shipped: begins above {CONFIG.enter} from {CONFIG.min_users} users, ends below {CONFIG.leave};"
        " expected are shares of the window's own traffic, as shipped, or of its forecast.",
        "",
        f"| shares of | episodes a day | on at once | more of them in two days of twice the users"
        f" | {' | '.join(kinds)} |",
        "| --- | ---: | ---: | ---: |" + " ---: |" * len(kinds),
        *(
            f"| {row['shares_of']} | {row['per_day']} | {row['on_at_once']}"
            f" | {found['crowded'][row['shares_of']]} | {_cells(row)} |"
            for row in found["as_shipped"]
        ),
        "",
        "Recall, and median delay in hours, at thresholds set for so many episodes a day.",
        "",
        f"| scorer | a day | threshold | {' | '.join(kinds)} |",
        "| --- | ---: | ---: |" + " ---: |" * len(kinds),
        *(
            f"| {row['scorer']} | {row['per_day']:g} | {row['threshold']} | {_cells(row)} |"
            for row in sorted(found["scorers"], key=lambda row: -row["per_day"])
        ),
    ]


def _cells(row: dict[str, Any]) -> str:
    cells = row["surges"].values()
    return " | ".join(
        f"{each['recall']:.2f}" + ("" if each["delay_hours"] is None else f", {each['delay_hours']:g}")
        for each in cells
    )
