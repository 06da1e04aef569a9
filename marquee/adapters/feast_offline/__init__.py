"""Our own Feast offline store: point-in-time joins over Parquet that keep every label row.

The store and its config stand here side by side, because Feast looks for them in one module.
"""

import marquee.adapters.feast_import  # noqa: F401 - first: it imports Feast in a third of the time
from marquee.adapters.feast_offline.store import AsofOfflineStore, AsofOfflineStoreConfig

__all__ = ["AsofOfflineStore", "AsofOfflineStoreConfig"]
