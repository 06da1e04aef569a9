"""The state builder: tables of what was known of users and movies, and when. It knows no feature store.

The tables are those of `schema.FEATURE_VIEWS`; `feature_repo` declares them to Feast.
"""

from marquee.features.state.build import BuildReport, SideTables, StateConfig, build_state, update_state
from marquee.features.state.folder import StateContents, StateFolder

__all__ = [
    "BuildReport",
    "SideTables",
    "StateConfig",
    "StateContents",
    "StateFolder",
    "build_state",
    "update_state",
]
