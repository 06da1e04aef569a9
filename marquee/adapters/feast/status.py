"""How fresh each view is, offline and online."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow.compute as pc
from feast import FeatureStore, FeatureView

from marquee.adapters.feast.declarations import ttl_seconds, view_source
from marquee.errors import SourceError


@dataclass(frozen=True)
class ViewStatus:
    """One view's freshness; times are UTC, None where there is nothing."""

    view: str
    rows: int | None
    newest: datetime | None
    """The newest row offline."""
    materialised_to: datetime | None
    """The end of the last window that went online."""
    slo_hours: int
    """The oldest that the newest row may be."""
    age_hours: float | None
    ttl_seconds: int | None

    @property
    def is_late(self) -> bool:
        """Whether the newest row is older than promised; static views have no age."""
        return self.age_hours is not None and self.age_hours > self.slo_hours


def view_status(store: FeatureStore, view: FeatureView, *, now: datetime) -> ViewStatus:
    """Look at the view's files and the registry."""
    rows, newest = _files(store, view)
    ends = [end for _, end in view.materialization_intervals]
    is_static = view.tags.get("cadence") == "static"
    age = None if newest is None or is_static else (now - newest).total_seconds() / 3600
    return ViewStatus(
        view=view.name,
        rows=rows,
        newest=newest,
        materialised_to=max(ends) if ends else None,
        slo_hours=int(view.tags.get("freshness_slo_h", "24")),
        age_hours=age,
        ttl_seconds=ttl_seconds(view),
    )


def _files(store: FeatureStore, view: FeatureView) -> tuple[int | None, datetime | None]:
    """Rows and newest time, read from the event-time column alone."""
    source = view_source(view)
    try:
        table = (
            store._get_provider()
            .offline_store.pull_all_from_table_or_query(
                config=store.config,
                data_source=source,
                join_key_columns=[],
                feature_name_columns=[],
                timestamp_field=source.timestamp_field,
            )
            .to_arrow()
        )
    except SourceError:
        return None, None
    newest = pc.max(table[source.timestamp_field]).as_py()
    return len(table), newest if newest is None or newest.tzinfo else newest.replace(tzinfo=UTC)
