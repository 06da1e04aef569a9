"""An experiment whose answer is known, as a server and a player would have logged it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from marquee import schema
from marquee.monitoring.exposure import AssignmentRecord, Exposure
from tests.marquee.monitoring.exposure_factory import exposure, shown

START = datetime(2024, 3, 1, tzinfo=UTC)
NAME = "fresh-ranker"
EVENT_COLUMNS = {
    schema.USER_ID: pl.String(),
    schema.ITEM_ID: pl.String(),
    schema.INTERACTION_TYPE: pl.Enum(schema.INTERACTION_TYPES),
    schema.TIMESTAMP: schema.TIME_DTYPE,
    schema.VALUE: pl.Float32(),
}


def microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def events_of(*rows: tuple) -> pl.DataFrame:
    """Rows of (user, item, type, moment[, value])."""
    filled = [(*row, None)[:5] for row in rows]
    raw = EVENT_COLUMNS | {schema.TIMESTAMP: pl.Int64()}
    plain = [(user, item, kind, microseconds(moment), value) for user, item, kind, moment, value in filled]
    return pl.DataFrame(plain, schema=raw, orient="row").cast({schema.TIMESTAMP: schema.TIME_DTYPE})


def request(number: int, user: str, variant: str, moment: datetime, **differences) -> Exposure:
    """One response with two items, in the experiment."""
    share = differences.pop("share", 0.5)
    is_override = differences.pop("is_override", False)
    met = AssignmentRecord(experiment=NAME, variant=variant, propensity=share, is_override=is_override)
    values = {
        "time_us": microseconds(moment),
        "user_id": user,
        "items": (shown(1), shown(2)),
        "assignments": (met,),
    }
    return exposure(number, **values | differences)


@dataclass
class MadeLog:
    """Exposures and events of users who click with a probability of their arm."""

    click: dict[str, float]
    users: dict[str, int]
    slow: dict[str, float] = field(default_factory=dict)
    degraded: dict[str, float] = field(default_factory=dict)
    seed: int = 0
    requests: int = 2

    def write(self, folder: Path) -> "MadeLog":
        rng = np.random.default_rng(self.seed)
        folder.mkdir(parents=True, exist_ok=True)
        lines, events, number = [], [], 0
        for arm, n_users in self.users.items():
            for user in range(n_users):
                name = f"{arm}-{user}"
                events += [(name, "old", "view", START - timedelta(hours=h + 1), 0.5)
                           for h in range(int(rng.integers(0, 3)))]  # fmt: skip
                for _ in range(self.requests):
                    number += 1
                    moment = START + timedelta(minutes=float(rng.uniform(0, 60 * 48)))
                    latency = float(rng.lognormal(3, 0.4)) * self.slow.get(arm, 1.0)
                    is_degraded = rng.random() < self.degraded.get(arm, 0.0)
                    degraded = ("cold",) if is_degraded else ()
                    lines.append(
                        request(number, name, arm, moment, latency_ms=latency, degraded=degraded).to_line()
                    )
                    for item in ("i1", "i2"):
                        if rng.random() < self.click[arm]:
                            events.append((name, item, "click", moment + timedelta(minutes=1)))
                            events.append(
                                (name, item, "view", moment + timedelta(minutes=2), float(rng.random()))
                            )
        events.append(("nobody", "old", "click", START + timedelta(hours=96)))  # how far the feed has come
        (folder / "exposures-2024.jsonl").write_bytes(b"".join(lines))
        events_of(*events).write_parquet(folder / "events.parquet")
        return self
