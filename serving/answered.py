"""One answer on its way out, and how JSON, the exposure log and the request log have it."""

from dataclasses import dataclass, field
from typing import Any, Final

from marquee.answering import Listed, plain
from marquee.data.histories import Queries
from marquee.experiments.assignment import Assignment
from marquee.features.reader import SERVICE
from marquee.features.request_log import LoggedRequest
from marquee.monitoring.exposure import AssignmentRecord, Exposure, ExposureContext, ShownItem
from serving.protocol import Instance
from serving.slots import Slot
from serving.user_rows import UserState

NOTHING_LISTED: Final = Listed((), 0)


@dataclass(slots=True)
class Answered:
    """One answer on its way out."""

    request_id: str
    instance: Instance
    slot: Slot
    assignments: tuple[Assignment, ...]
    user: UserState
    degraded: list[str]
    time_us: int
    """The moment that the list is made for, UTC microseconds."""
    now_us: int
    """When it was asked for."""
    listed: Listed = NOTHING_LISTED
    query: Queries | None = None
    """What a ranker read of the user; None where none was asked."""
    history_events: int = 0
    features_hash: str = ""
    seconds: dict[str, float] = field(default_factory=dict)


def prediction(answered: Answered) -> dict[str, Any]:
    """The answer as JSON has it (`serving.protocol.Prediction`)."""
    instance = answered.instance
    found: dict[str, Any] = {
        "request_id": answered.request_id,
        "user_id": instance.user_id,
        "surface": instance.surface,
        "bundle_id": answered.slot.bundle_id,
        "variant": answered.slot.name,
        "assignments": [
            {
                "experiment": each.experiment,
                "variant": each.variant,
                "propensity": each.propensity,
                "is_override": each.is_override,
            }
            for each in answered.assignments
        ],
        "history_events": answered.history_events,
        "degraded": bool(answered.degraded),
        "degraded_reasons": answered.degraded,
        "items": [plain(item, rank) for rank, item in enumerate(answered.listed.items, 1)],
    }
    if instance.timings:
        found["timings_ms"] = {stage: round(1e3 * took, 3) for stage, took in answered.seconds.items()}
    return found


def logged_row(answered: Answered, service_hash: str) -> LoggedRequest:
    """The row as it was read, so that the offline store can be asked the same question again."""
    return LoggedRequest(
        request_id=answered.request_id,
        time_us=answered.now_us,
        service=SERVICE,
        service_hash=service_hash,
        user_id=answered.instance.user_id or "",
        row=dict(answered.user.values),
        items=tuple(item.item_id for item in answered.listed.items),
    )


def exposure(answered: Answered) -> Exposure:
    """The answer as the log has it."""
    instance, context = answered.instance, answered.instance.context
    return Exposure(
        request_id=answered.request_id,
        time_us=answered.now_us,
        user_id=instance.user_id,
        surface=instance.surface,
        item_id=instance.item_id,
        n=instance.n,
        context=ExposureContext(
            timestamp_us=answered.time_us, device=context.device, location=context.location
        ),
        items=tuple(
            # Nothing is drawn: the list is what it is with certainty.
            ShownItem(item_id=item.item_id, position=rank, score=item.score, route=item.route, propensity=1.0)
            for rank, item in enumerate(answered.listed.items, 1)
        ),
        bundle_id=answered.slot.bundle_id,
        variant=answered.slot.name,
        assignments=tuple(
            AssignmentRecord(
                experiment=each.experiment,
                variant=each.variant,
                propensity=each.propensity,
                is_override=each.is_override,
            )
            for each in answered.assignments
        ),
        degraded=tuple(answered.degraded),
        features_hash=answered.features_hash or None,
        item_matrix_version=answered.slot.matrix_version,
        history_events=answered.history_events,
        latency_ms=1e3 * answered.seconds["total"],
    )
