"""Facts of the place where the program runs; the one reader of `MARQUEE_*` variables."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Facts of the place where the program runs, from `MARQUEE_*` environment variables."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Path("data")
    """MARQUEE_DATA: downloads and warehouses."""
    runs: Path = Path("runs")
    """MARQUEE_RUNS: run folders with bundles and metrics."""
    tracked: Path = Path("tracked")
    """MARQUEE_TRACKED: what names the snapshots under DVC; lies in a git repository."""
    feature_repo: Path = Path(__file__).resolve().parents[1] / "feature_repo"
    """MARQUEE_FEATURE_REPO: the feature store's declarations and profiles; beside the package by default."""
    profile: str = "local"
    """MARQUEE_PROFILE: which of those profiles."""
    models: str = ""
    """MARQUEE_MODELS: where registered bundles lie, s3://bucket/prefix or a folder; empty for
    `models` in the runs folder."""

    notify_url: str = ""
    """MARQUEE_NOTIFY_URL: a webhook that hears how pipelines end; a secret, never a parameter."""
    kfp_host: str = ""
    """MARQUEE_KFP_HOST: http(s) address of Kubeflow Pipelines, such as a port-forward's."""
    kfp_namespace: str = ""
    """MARQUEE_KFP_NAMESPACE: the profile's namespace; empty for an installation with a single user."""
    kfp_token_file: str = ""
    """MARQUEE_KFP_TOKEN_FILE: holds a ServiceAccount's token for the audience pipelines.kubeflow.org; read
    again for each request. Empty for the place where Kubernetes projects it."""
    kfp_ca_file: str = ""
    """MARQUEE_KFP_CA_FILE: certificates to trust, where the host's are not of a public authority."""
    pipeline_root: str = ""
    """MARQUEE_PIPELINE_ROOT: s3://bucket/prefix for what steps write; empty for the cluster's default."""
    experiment: str = "marquee"
    """MARQUEE_EXPERIMENT: what runs are filed under on the cluster."""
    service_account: str = ""
    """MARQUEE_SERVICE_ACCOUNT: of the runs' pods; empty for the cluster's default."""

    experiments: str = ""
    """MARQUEE_EXPERIMENTS: file of the experiments that a server runs; empty for none."""
    exposures: str = ""
    """MARQUEE_EXPOSURES: where a server logs what it showed: a folder, kafka://… or http(s)://…; empty for
    `exposures` in the runs folder, none to keep nothing."""
    exposures_options_file: str = ""
    """MARQUEE_EXPOSURES_OPTIONS_FILE: name=value lines for that place's client, such as Kafka's security; a
    mounted secret."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the settings; variables that this class does not name are left alone."""
        environment = os.environ if environment is None else environment
        wanted = {name: environment.get(f"MARQUEE_{name.upper()}") for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in wanted.items() if value})

    def with_runs(self, runs: Path | None) -> Self:
        """The same place with another runs folder, if one is given."""
        return self if runs is None else self.model_copy(update={"runs": runs})

    @property
    def models_uri(self) -> str:
        """The address of the object store of registered bundles."""
        return self.models or str((self.runs / "models").resolve())

    @property
    def exposures_address(self) -> str:
        """The address of the exposure log."""
        return self.exposures or str((self.runs / "exposures").resolve())

    @property
    def cache(self) -> Path:
        """Verified downloads."""
        return self.data / "cache"

    def warehouse(self, dataset: str) -> Path:
        """The warehouse of one data set."""
        return self.data / "warehouse" / dataset

    def state(self, dataset: str) -> Path:
        """The feature state of one data set, and the local profile's stores beside it."""
        return self.data / "features" / dataset

    def studies(self, dataset: str) -> Path:
        """The searches for a ranker on one data set."""
        return self.data / "studies" / dataset

    def item_matrix(self, dataset: str) -> Path:
        """The versions of one data set's item matrix."""
        return self.state(dataset) / "item_matrix"
