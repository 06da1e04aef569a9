"""The rows of one key in several views, as the online store has them.

Feast's `get_online_features` looks every feature up in the registry, asks, builds an answer for many keys,
and takes that apart: three times the work of what is asked for here, which is the store itself. A store that
has the views of a key in one place reads them at once (`marquee.adapters.feast.redis`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
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


class AskRows(Protocol):
    """As `ReadRows`, from an event loop."""

    def __call__(self, key: EntityKey) -> Awaitable[list[StoredRow]]:
        """The rows of one key; may be cancelled."""

    async def close(self) -> None:
        """End connections, in the loop that they are of; asking again opens new ones."""


@runtime_checkable
class AsksFromLoop(Protocol):
    """An online store that reads so without holding up an event loop."""

    def rows_asker(self, config: RepoConfig, wanted: Wanted) -> AskRows | None:
        """As `ReadsAtOnce.rows_reader`; None where this one can't."""


def rows_asker(store: FeatureStore, wanted: Wanted) -> AskRows | None:
    """A way to read from an event loop; None where the store has none."""
    online: Any = store._get_provider().online_store
    return online.rows_asker(store.config, wanted) if isinstance(online, AsksFromLoop) else None


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
