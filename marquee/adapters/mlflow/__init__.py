"""The door to MLflow: finished runs to compare, and the registry of bundles with its champion.

Importing it does not import MLflow, which takes a second; the first call does.
"""

from marquee.adapters.mlflow.aliases import Aliases, AliasStore, Move
from marquee.adapters.mlflow.faults import PromotionRefusedError, RegistryError, TrackingError
from marquee.adapters.mlflow.record import record_run
from marquee.adapters.mlflow.registry import ANY, Registry, registered_datasets
from marquee.adapters.mlflow.tracking import Tracking
from marquee.adapters.mlflow.version import Version

__all__ = [
    "ANY",
    "AliasStore",
    "Aliases",
    "Move",
    "PromotionRefusedError",
    "Registry",
    "RegistryError",
    "Tracking",
    "TrackingError",
    "Version",
    "record_run",
    "registered_datasets",
]
