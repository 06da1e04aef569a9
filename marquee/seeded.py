"""The seed of a run, apart from `marquee.config`: that imports every room, and hardly any room needs all."""

from pydantic import BaseModel, Field


class Seeded(BaseModel):
    """Knobs with a seed."""

    seed: int = Field(default=7, ge=0, lt=2**31)
    """Seeds everything that draws: sampling, ALS, trees, bootstrap."""
