"""The data-set catalogue: what there is, how to get it, and what it delivers before the contract checks."""

from marquee.data.datasets.catalogue import DatasetInfo, dataset_names
from marquee.data.datasets.fetch import DatasetConfig, fetch_dataset
from marquee.data.datasets.raw import Progress, RawDataset

__all__ = ["DatasetConfig", "DatasetInfo", "Progress", "RawDataset", "dataset_names", "fetch_dataset"]
