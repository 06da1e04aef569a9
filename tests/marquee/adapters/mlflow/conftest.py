from tests.marquee.adapters.mlflow.empty_store import empty_store, runs

__all__ = ["empty_store", "runs"]
