"""What a response showed to whom: the record that online metrics and off-policy estimates join with events.

Made once for each response and written as one JSON line, so making it checks nothing: the server fills
it with what it answered. `marquee.monitoring.exposure_lines` reads it back and checks each field.
"""

import json
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from marquee.errors import ContractError
from marquee.schema import Surface

VERSION: Final = 1
EVENT_TYPE: Final = f"marquee.exposure.v{VERSION}"
"""What the record is called on an event bus."""
FILE_PREFIX: Final = "exposures-"
"""Files of these records begin so, and end on .jsonl."""

_Text = Annotated[str, Field(min_length=1)]
_TimeUs = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_STRICT: Final = ConfigDict(extra="forbid", strict=True)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownItem:
    """One item of the list, as it was shown."""

    __pydantic_config__: ClassVar = _STRICT

    item_id: _Text
    position: Annotated[int, Field(ge=1, lt=2**31)]
    """From 1 at the top."""
    score: _Finite | None
    """What the list was ordered by; None where nothing scored it."""
    route: _Text
    """The first-stage route that brought it."""
    propensity: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None
    """With what probability this item stood at this position; None where the list was not explored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentRecord:
    """The variant of one experiment that the user was given."""

    __pydantic_config__: ClassVar = _STRICT

    experiment: _Text
    variant: _Text
    propensity: _Probability
    """The variant's share of the users at that moment."""
    is_override: bool
    """Somebody asked for the variant: no part of the statistics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureContext:
    """Where and when the user asked."""

    __pydantic_config__: ClassVar = _STRICT

    timestamp_us: _TimeUs
    """UTC microseconds: the moment that the list was made for; a client may name another than now."""
    device: str | None
    location: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One response. Values are plain Python: a numpy number is none that JSON takes."""

    __pydantic_config__: ClassVar = _STRICT

    request_id: _Text
    time_us: _TimeUs
    """UTC microseconds: when the response was made."""
    user_id: _Text | None
    """None for somebody unknown."""
    surface: Surface
    item_id: _Text | None
    """The item that was asked about, on the surface `similar`."""
    n: _Count
    """How many items were asked for."""
    context: ExposureContext
    items: tuple[ShownItem, ...]
    """By position."""
    bundle_id: _Text
    variant: _Text
    """The bundle slot that answered."""
    assignments: tuple[AssignmentRecord, ...]
    degraded: tuple[_Text, ...]
    """Why the answer is less than it could be; empty where nothing was amiss."""
    features_hash: _Text | None
    """Of what the ranker read: the user's row and the item matrix's version."""
    item_matrix_version: _Text | None
    history_events: _Count
    """How much of the user's history the answer knew."""
    latency_ms: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """From the request's arrival to this record."""
    version: Literal[1] = VERSION
    """Of this format."""

    def to_line(self) -> bytes:
        """The record as one line of JSON in UTF-8, line end included.

        Raises:
            ContractError: a value that JSON or UTF-8 lacks: NaN, a numpy number, half a surrogate pair.
        """
        try:
            return _ENCODER.encode(_fields(self)).encode() + b"\n"
        except (TypeError, ValueError) as err:
            raise ContractError(
                f"the exposure of request {self.request_id!r} can't be written: {err}.",
                remedy="Log finite Python numbers and text that UTF-8 can hold.",
            ) from err


def _fields(exposure: Exposure) -> dict[str, object]:
    """As JSON has it; written out, because `dataclasses.asdict` takes ten times as long."""
    context = exposure.context
    return {
        "version": exposure.version,
        "request_id": exposure.request_id,
        "time_us": exposure.time_us,
        "user_id": exposure.user_id,
        "surface": exposure.surface,
        "item_id": exposure.item_id,
        "n": exposure.n,
        "context": {
            "timestamp_us": context.timestamp_us,
            "device": context.device,
            "location": context.location,
        },
        "items": [
            {
                "item_id": item.item_id,
                "position": item.position,
                "score": item.score,
                "route": item.route,
                "propensity": item.propensity,
            }
            for item in exposure.items
        ],
        "bundle_id": exposure.bundle_id,
        "variant": exposure.variant,
        "assignments": [
            {
                "experiment": assignment.experiment,
                "variant": assignment.variant,
                "propensity": assignment.propensity,
                "is_override": assignment.is_override,
            }
            for assignment in exposure.assignments
        ],
        "degraded": exposure.degraded,
        "features_hash": exposure.features_hash,
        "item_matrix_version": exposure.item_matrix_version,
        "history_events": exposure.history_events,
        "latency_ms": exposure.latency_ms,
    }
