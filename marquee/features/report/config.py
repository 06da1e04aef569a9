"""How closely the report looks, and from where on it asks for attention."""

from pydantic import BaseModel, ConfigDict, Field


class ReportConfig(BaseModel):
    """Sample sizes, bins and thresholds of the feature report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sample_keys: int = Field(default=100_000, ge=1)
    """At most about so many users or movies are measured, chosen by a hash; counts of keys are exact."""
    list_sample_keys: int = Field(default=20_000, ge=1)
    """As `sample_keys`, for features that are lists."""
    n_bins: int = Field(default=30, ge=2, le=100)
    """Bars of a histogram."""
    n_categories: int = Field(default=8, ge=1, le=30)
    """Most frequent texts that a picture shows; the others share one bar."""
    n_drift_bins: int = Field(default=10, ge=2, le=100)
    """Bins of equal share in the last build that drift of a number is measured on."""
    n_drift_categories: int = Field(default=20, ge=1, le=200)
    """Most frequent texts that drift is measured on, beside all others together."""
    drift_moderate: float = Field(default=0.1, gt=0)
    """Population stability index from which a shift is worth a look."""
    drift_high: float = Field(default=0.25, gt=0)
    """Population stability index from which a shift is large."""
    drift_confidence: float = Field(default=0.95, gt=0, lt=1)
    """A shift counts only beyond what two samples of one distribution exceed with the rest of this chance."""
    null_share_change: float = Field(default=0.05, gt=0, le=1)
    """A change of the share of nulls since the last build that is worth a look."""
    keys_lost_share: float = Field(default=0.02, gt=0, le=1)
    """Share of the last build's keys that may be missing from this one."""
    expired_share: float = Field(default=0.05, gt=0, le=1)
    """Share of keys whose newest row may be older than the view's limit of age."""
