"""One registered bundle."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from marquee.adapters.mlflow import run_facts
from marquee.adapters.mlflow.aliases import Aliases

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

HEADLINE: Final = "ndcg@10"
"""The metric of the manifest that a version is listed with."""
HEADLINE_TAG: Final = "marquee.ndcg_at_10"


@dataclass(frozen=True)
class Version:
    """A registered version of a data set's model."""

    number: int
    """MLflow's."""
    bundle_id: str
    run: str
    """The run folder's name."""
    source: str
    """Where the bundle lies: a path or an address."""
    gate: str
    """"passed" or "refused"."""
    ndcg: float | None
    """NDCG@10 of the two stages in the run's own evaluation; not comparable between splits."""
    created: datetime
    """UTC."""
    mlflow_run_id: str | None = None
    aliases: tuple[str, ...] = ()
    """Of "champion" and "challenger"."""

    @classmethod
    def of(cls, found: "ModelVersion", aliases: Aliases) -> Self:
        """From MLflow's own, and from who holds the aliases."""
        tags = dict(found.tags)
        bundle_id = tags[run_facts.BUNDLE]
        return cls(
            number=int(found.version),
            bundle_id=bundle_id,
            run=tags.get(run_facts.RUN, ""),
            source=str(found.source),
            gate=tags.get(run_facts.GATE, ""),
            ndcg=_number(tags.get(HEADLINE_TAG)),
            created=datetime.fromtimestamp(found.creation_timestamp / 1000, tz=UTC),
            mlflow_run_id=found.run_id or None,
            aliases=aliases.of(bundle_id),
        )


def _number(text: str | None) -> float | None:
    """A tag's number, None where somebody wrote something else into it."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
