"""What a request may say and what an answer holds; every fault is a sentence that names its field."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from marquee import schema
from marquee.answering import SIMILAR
from marquee.policy.rules import OLDEST_LIMIT

MAX_BODY_BYTES: Final = 2**20
"""Of one call."""
MAX_INSTANCES: Final = 64
"""Of one call."""
MAX_N: Final = 100
"""Length of a list."""
MAX_IDS: Final = 1000
"""Of a history, or of what is not wanted."""
_SHOWN_FAULTS: Final = 5
_SHOWN_CHARACTERS: Final = 60

Id = Annotated[str, Field(min_length=1, max_length=256)]
Label = Annotated[str, Field(min_length=1, max_length=64)]


class InvalidRequestError(ValueError):
    """A request that does not follow the protocol; the message says where and what."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Context(_Strict):
    """What is known of the moment."""

    timestamp: str | None = Field(default=None, max_length=40, examples=["2026-11-22T20:15:00+01:00"])
    """RFC 3339, with a zone; the server's clock where it is left out."""
    device: Label | None = Field(default=None, examples=["tv"])
    """What the request came from."""
    location: Label | None = Field(default=None, examples=["DE"])
    """Where it came from."""

    @field_validator("timestamp")
    @classmethod
    def _is_a_moment(cls, value: str | None) -> str | None:
        if value is not None:
            moment_us(value)
        return value


def moment_us(text: str) -> int:
    """A moment in UTC microseconds.

    Raises:
        ValueError: it is none, has no zone, or is not between 1970 and 2100.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no time in RFC 3339, such as 2026-11-22T20:15:00Z") from None
    if moment.tzinfo is None:
        raise ValueError("has no zone: add Z or an offset such as +01:00")
    seconds = moment.timestamp()
    if not 0 <= seconds < 4_102_444_800:
        raise ValueError("is not between 1970 and 2100")
    return round(seconds * 1_000_000)


class Instance(_Strict):
    """One request for one list."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"user_id": "196", "n": 12, "surface": "home"}

    user_id: Id | None = Field(default=None, examples=["196"])
    """Who asks; without it the list is for somebody unknown."""
    n: int = Field(default=12, ge=1, le=MAX_N)
    """Length of the list."""
    surface: schema.Surface = "home"
    """Which list."""
    item_id: Id | None = None
    """The item asked about, for the surface "similar"."""
    context: Context = Context()
    history: Annotated[list[Id], Field(max_length=MAX_IDS)] | None = None
    """Item ids, oldest first, instead of what the feature store knows; items that the model lacks are passed
    over."""
    maturity_limit: int | None = Field(default=None, ge=0, le=OLDEST_LIMIT)
    """Years; the stricter of this and the profile's holds."""
    # Made anew each time: pydantic would make a deep copy of a list or dict that is the default.
    exclude: Annotated[
        list[Id], Field(default_factory=list, max_length=MAX_IDS, json_schema_extra={"default": []})
    ]
    """Item ids that are not wanted."""
    explain: bool = False
    """Look for reasons by leaving things out and scoring again, which takes longer."""
    timings: bool = False
    """Say in the answer how long each stage took."""
    variants: Annotated[
        dict[Label, Label], Field(default_factory=dict, max_length=16, json_schema_extra={"default": {}})
    ]
    """Experiment to variant, for tests by hand: such an answer is marked and does not count."""

    @model_validator(mode="after")
    def _item_fits_surface(self) -> "Instance":
        if (self.surface == SIMILAR) != (self.item_id is not None):
            raise ValueError('item_id is needed for surface "similar" and for no other')
        return self


class PredictRequest(_Strict):
    """The body of V1 `:predict`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instances": [Instance.EXAMPLE]}]})

    instances: Annotated[list[Instance], Field(min_length=1, max_length=MAX_INSTANCES)]


class Reason(BaseModel):
    """Why an item is in a list."""

    text: str
    basis: str
    item_ids: list[str]
    """Items that it names."""
    drop: float | None = None
    """By how much the score falls without them; with `explain` alone."""
    contributions: dict[str, float] | None = None
    """Features of the ranker with what they add; with `explain` alone."""


class Item(BaseModel):
    """One item of a list."""

    item_id: str
    title: str
    rank: int
    """From 1."""
    score: float
    """Comparable within one list."""
    route: str
    """The first-stage route that ranked it best."""
    reason: Reason


class AssignedVariant(BaseModel):
    """Where an experiment put the user."""

    experiment: str
    variant: str
    propensity: float
    """Probability of this variant for those in the experiment."""
    is_override: bool


class Prediction(BaseModel):
    """The answer to one instance."""

    request_id: str
    user_id: str | None
    surface: str
    bundle_id: str
    variant: str
    """The bundle slot that answered."""
    assignments: list[AssignedVariant]
    history_events: int
    """Events of the user that the list rests on."""
    degraded: bool
    """Whether something was missing that should have been known."""
    degraded_reasons: list[str]
    items: list[Item]
    timings_ms: dict[str, float] | None = None


class PredictResponse(BaseModel):
    """The body of the answer to V1 `:predict`: as many predictions as instances, in their order."""

    predictions: list[Prediction]


class Refusal(BaseModel):
    """The body of every answer that is none."""

    error: str


def read_request(body: Any) -> list[Instance]:  # noqa: ANN401 - whatever JSON holds
    """The instances of a decoded body.

    Raises:
        InvalidRequestError: it does not follow the protocol; the message names each field.
    """
    if not isinstance(body, Mapping):
        raise InvalidRequestError('the body is no JSON object: send {"instances": [{"user_id": "196"}]}')
    try:
        return PredictRequest.model_validate(body).instances
    except ValidationError as error:
        raise InvalidRequestError(faults_in_words(error)) from None


def faults_in_words(error: ValidationError) -> str:
    """One line: `instances[0].n: Input should be less than or equal to 100, got 500`."""
    faults = error.errors(include_url=False, include_context=False)
    lines = [
        f"{_place(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}{_got(fault)}"
        for fault in faults[:_SHOWN_FAULTS]
    ]
    more = len(faults) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more else "")


def _place(path: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in path)
    return text.lstrip(".") or "body"


def _got(fault: Mapping[str, Any]) -> str:
    value = fault["input"]
    if fault["type"] == "missing" or isinstance(value, (Mapping, list, BaseModel)):
        return ""
    return f", got {shortened(repr(value))}"


def shortened(text: str) -> str:
    """What a message shows of something that may be long."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
