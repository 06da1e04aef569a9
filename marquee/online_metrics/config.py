"""How the logs are read."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class OnlineConfig(BaseModel):
    """Of all online metrics; a change of it makes numbers of another kind, so keep them in another folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_hours: float = Field(default=24, gt=0)
    """For how long after an exposure an event is credited to it; younger exposures have no outcome yet."""
    delay_hours: float = Field(default=0, ge=0)
    """How late events may come in: an outcome is final so long after its window."""
    period_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 24
    """Length of a period; the first of a day begins at midnight UTC."""
    k: int = Field(default=10, ge=1, le=100)
    """Cut of precision, NDCG, coverage and novelty."""
    newcomer_events: int = Field(default=5, ge=1)
    """Whose history had fewer events when the list was made is a newcomer."""
    popularity_days: float = Field(default=90, gt=0)
    """Novelty is measured by what people did for so long before the period."""
    max_devices: int = Field(default=10, ge=1)
    """The most frequent of a period are slices, the others one: clients write there what they like."""

    @property
    def window(self) -> timedelta:
        """As a duration."""
        return timedelta(hours=self.window_hours)

    @property
    def maturity(self) -> timedelta:
        """From an exposure to the moment at which its outcome is final."""
        return self.window + timedelta(hours=self.delay_hours)

    @property
    def period(self) -> timedelta:
        """As a duration."""
        return timedelta(hours=self.period_hours)

    @property
    def popularity(self) -> timedelta:
        """As a duration."""
        return timedelta(days=self.popularity_days)

    def period_of(self, moment: datetime) -> datetime:
        """The begin of the period that a moment belongs to, UTC."""
        day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day + (moment - day) // self.period * self.period
