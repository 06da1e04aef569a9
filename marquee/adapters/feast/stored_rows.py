"""The rows of one key in several views, as the online store has them.

Feast's `get_online_features` looks every feature up in the registry, asks, builds an answer for many keys,
and takes that apart: three times the work of what is asked for here, which is the store itself. A store that
has the views of a key in one place reads them at once (`marquee.adapters.feast.redis`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from feast import FeatureStore, FeatureView, RepoConfig, utils
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

StoredRow = tuple[int, Mapping[str, Value]]
"""Seconds since 1970 UTC of the row's event time, 0 for a missing row; values by feature."""
ReadRows = Callable[[EntityKey], list[StoredRow]]
"""Reads the rows of one key, in the order of the views."""
Wanted = Sequence[tuple[FeatureView, list[str]]]
"""Views and which of their features."""


@runtime_checkable
class ReadsAtOnce(Protocol):
    """An online store that reads several views with one question."""

    def rows_reader(self, config: RepoConfig, wanted: Wanted) -> ReadRows:
        """A way to read the same features of one key after another."""


def rows_reader(store: FeatureStore, wanted: Wanted) -> ReadRows:
    """A way to read the same features of one key after another, with as few questions as the store allows."""
    provider = store._get_provider()
    online: Any = provider.online_store
    if isinstance(online, ReadsAtOnce):
        return online.rows_reader(store.config, wanted)

    def read(key: EntityKey) -> list[StoredRow]:
        return [_row(provider, store.config, view, key, features) for view, features in wanted]

    return read


def _row(
    provider: Any,  # noqa: ANN401 - Feast's own
    config: RepoConfig,
    view: FeatureView,
    key: EntityKey,
    features: list[str],
) -> StoredRow:
    # A copy of the names, since Feast's Redis store appends to the list; its SQLite store gives all it has.
    [(time, values)] = provider.online_read(config, view, [key], list(features))
    if time is None or values is None:
        return 0, {}
    seconds = int(utils.make_tzaware(time).timestamp())
    return seconds, {feature: values[feature] for feature in features if feature in values}
