"""A small state with a feature store over it, in a folder: SQLite online, a registry file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from marquee.adapters.feast import FeatureDoor
from marquee.features.state import SideTables, StateConfig, build_state
from tests.factories import DAY_S, HOUR_S, event_table

REPO = Path(__file__).parents[4] / "feature_repo"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ROWS = [
    ("u0", "a", 0, 4.0),
    ("u0", "b", 3 * DAY_S, None, "view"),
    ("u1", "a", 3 * DAY_S + HOUR_S, 2.0),
    ("u1", "c", 12 * DAY_S, 5.0),
]
TABLES = SideTables(
    users=pl.DataFrame({"user_id": ["u0", "u2"], "age": [30, None], "gender": ["F", None]}),
    movies=pl.DataFrame(
        {"item_id": ["a", "b"], "title": ["A", "B"], "year": [1969, None], "genres": [["Drama", "War"], []]},
    ),
    publicity=pl.DataFrame(
        {"item_id": ["a"], "observed_at": [EPOCH], "source": ["s"], "critic_score": [7.5]}
    ),
)


def at(days: float) -> datetime:
    """A moment so many days after 1970-01-01 00:00 UTC."""
    return EPOCH + timedelta(days=days)


def build(root: Path, rows=ROWS) -> None:
    build_state(root, event_table(rows), tables=TABLES, config=StateConfig(n_buckets=1))


def door(root: Path, profile: str = "local", **environment: str) -> FeatureDoor:
    return FeatureDoor.of(profile, repo=REPO, environment={"MARQUEE_STATE": str(root), **environment})


def filled(root: Path, *, until: datetime) -> FeatureDoor:
    """Built, applied and brought online."""
    build(root)
    made = door(root)
    made.apply(made.declarations(REPO))
    made.materialise(start=EPOCH, end=until)
    return made


def same(left: object, right: object) -> bool:
    """Equal values, where NaN equals NaN and an empty list a missing one."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right or (left != left and right != right)  # noqa: PLR0124 - NaN alone differs from itself


def answered_alike(made: FeatureDoor, service: str, user: str, *, now: datetime) -> bool:
    """Whether a row is what Feast's own call says of it, with the types of the values and the time."""
    row = made.get_user_row(service, user, now=now)
    refs = made._refs(service, list(row.known_at_s))
    answer = made.store.get_online_features(refs, [{"user_id": user}]).to_dict(include_event_timestamps=True)
    view_and_feature = (ref.split(":") for ref in refs)
    times = {view: answer[f"{feature}__ts"][0] or None for view, feature in view_and_feature}
    expected = {name: answer[name][0] for name in row.values}
    return (row.known_at_s, repr(row.values)) == (times, repr(expected))
