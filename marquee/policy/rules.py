"""The rules of a product between scoring and the list, as its configuration has them."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from marquee.policy.diversity import DiversityConfig

OLDEST_LIMIT: Final = 21
"""Years: the highest maturity limit that can be given."""


class PolicyConfig(BaseModel):
    """Business rules. What a profile may not see is none of them: that has no switch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_events: int = Field(default=0, ge=0)
    """Who has fewer known events gets the list for everybody; 0 makes every list personal."""
    diversity: DiversityConfig = DiversityConfig()
    """Whether lists are re-ranked so that their movies differ."""
    limit_without_profile: int | None = Field(default=0, ge=0, le=OLDEST_LIMIT)
    """Years: the maturity limit of a named user whose profile is out of reach; None trusts them with all."""
