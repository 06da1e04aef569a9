"""What a request may say: each fault is a sentence that names its field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.protocol import (
    Instance,
    InvalidRequestError,
    PredictRequest,
    moment_us,
    read_request,
)

HOUR_US = 3_600_000_000

BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"colour": "red"}, "[0].colour: Extra inputs"),
    "long unknown field": ({"c" * 500: 1}, f"[0].{'c' * 59}…: Extra inputs"),
    "number as text": ({"n": "5"}, "[0].n: Input should be a valid integer, got '5'"),
    "fraction": ({"n": 5.5}, "[0].n: "),
    "whole fraction": ({"n": 5.0}, "[0].n: "),
    "truth as number": ({"n": True}, "[0].n: "),
    "no list": ({"n": 0}, "[0].n: Input should be greater than or equal to 1, got 0"),
    "list too long": ({"n": 101}, "[0].n: Input should be less than or equal to 100, got 101"),
    "n beyond 64 bits": ({"n": 2**80}, "[0].n: "),
    "number as user": ({"user_id": 196}, "[0].user_id: Input should be a valid string, got 196"),
    "empty user": ({"user_id": ""}, "[0].user_id: "),
    "long user": ({"user_id": "u" * 257}, "[0].user_id: "),
    "unknown surface": ({"surface": "hom"}, "[0].surface: "),
    "similar to nothing": ({"surface": "similar"}, "[0]: item_id is needed"),
    "item for home": ({"item_id": "m001"}, "[0]: item_id is needed"),
    "item for popular": ({"surface": "popular", "item_id": "m001"}, "[0]: item_id is needed"),
    "long item": ({"surface": "similar", "item_id": "m" * 257}, "[0].item_id: "),
    "history of numbers": ({"history": ["m001", 2]}, "[0].history[1]: Input should be a valid string, got 2"),
    "empty id in history": ({"history": ["m001", ""]}, "[0].history[1]: "),
    "long id in history": ({"history": ["m" * 257]}, "[0].history[0]: "),
    "history too long": ({"history": ["m"] * 1001}, "[0].history: "),
    "history as text": ({"history": "m001"}, "[0].history: "),
    "nothing as exclusions": ({"exclude": None}, "[0].exclude: "),
    "too many exclusions": ({"exclude": ["m"] * 1001}, "[0].exclude: "),
    "negative limit": ({"maturity_limit": -1}, "[0].maturity_limit: "),
    "limit of nobody": ({"maturity_limit": 1000}, "[0].maturity_limit: "),
    "explain as text": ({"explain": "yes"}, "[0].explain: "),
    "explain as number": ({"explain": 1}, "[0].explain: "),
    "time without zone": (
        {"context": {"timestamp": "2026-11-22T20:15:00"}},
        "[0].context.timestamp: has no zone",
    ),
    "no time": ({"context": {"timestamp": "yesterday"}}, "[0].context.timestamp: is no time"),
    "time as number": ({"context": {"timestamp": 1_700_000_000}}, "[0].context.timestamp: "),
    "year 1": (
        {"context": {"timestamp": "0001-01-01T00:00:00+14:00"}},
        "[0].context.timestamp: is not between",
    ),
    "year 9999": (
        {"context": {"timestamp": "9999-12-31T23:59:59-14:00"}},
        "[0].context.timestamp: is not between",
    ),
    "before 1970": (
        {"context": {"timestamp": "1969-12-31T23:59:59Z"}},
        "[0].context.timestamp: is not between",
    ),
    "long time": ({"context": {"timestamp": "2026-11-22T20:15:00Z" + " " * 99}}, "[0].context.timestamp: "),
    "unknown in context": ({"context": {"weather": "rain"}}, "[0].context.weather: Extra inputs"),
    "empty device": ({"context": {"device": ""}}, "[0].context.device: "),
    "context as list": ({"context": []}, "[0].context: "),
    "variant as number": ({"variants": {"trial": 1}}, "[0].variants.trial: "),
    "too many variants": ({"variants": {str(each): "a" for each in range(17)}}, "[0].variants: "),
    "lone surrogate": ({"user_id": "\ud800"}, "[0].user_id: "),
}


@pytest.mark.parametrize(("fields", "said"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_request_with_a_bad_field_names_the_instance_and_the_field(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request({"instances": [{"user_id": "u000"} | fields]})

    assert f"instances{said}" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_request_names_the_instance_that_is_at_fault_and_no_other() -> None:
    with pytest.raises(InvalidRequestError, match=r"^instances\[2\]\.n: [^;]*$"):
        read_request({"instances": [{}, {"n": 3}, {"n": 500}]})


def test_request_with_many_faults_shows_five_and_counts_the_rest() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request({"instances": [{"n": 0}] * 8})

    assert [f"instances[{place}]" in str(caught.value) for place in range(6)] == [True] * 5 + [False]
    assert str(caught.value).endswith("; and 3 more")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "the body is no JSON object"),
        ("text", "the body is no JSON object"),
        (None, "the body is no JSON object"),
        ({}, "instances: Field required"),
        ({"instances": {}}, "instances: "),
        ({"instances": None}, "instances: "),
        ({"instances": []}, "instances: "),
        ({"instances": [{}] * 65}, "instances: "),
        ({"instances": [None]}, "instances[0]: "),
        ({"instances": [[]]}, "instances[0]: "),
        ({"instances": [{}], "parameters": {}}, "parameters: Extra inputs"),
    ],
)
def test_body_that_is_no_request_says_where(body: Any, said: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(body)

    assert said in str(caught.value)


def test_request_may_fill_every_field_up_to_its_bound() -> None:
    fullest = {
        "user_id": "u" * 256,
        "n": 100,
        "surface": "similar",
        "item_id": "\0",
        "context": {"timestamp": "2099-12-31T23:59:59.999999Z", "device": "d" * 64, "location": "\0"},
        "history": ["m"] * 1000,
        "maturity_limit": 0,
        "exclude": ["m"] * 1000,
        "explain": True,
        "timings": True,
        "variants": {str(each): "a" for each in range(16)},
    }

    found = read_request({"instances": [fullest] * 64})

    assert [each.model_dump(exclude={"context"}) for each in found] == [
        {name: value for name, value in fullest.items() if name != "context"}
    ] * 64
    assert found[0].context.device == "d" * 64


def test_examples_of_the_models_are_valid_requests() -> None:
    (instance,) = read_request({"instances": [Instance.EXAMPLE]})

    assert instance == Instance(user_id="196")
    for example in PredictRequest.model_json_schema()["examples"]:
        assert read_request(example) == [instance]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("1970-01-01T01:00:00Z", 1),
        ("1970-01-01T01:00:00+00:00", 1),
        ("1970-01-01T03:00:00+02:00", 1),
        ("1969-12-31T23:00:00-02:00", 1),
        ("1970-01-02T00:00:00Z", 24),
    ],
)
def test_moment_is_utc_whatever_the_zone(text: str, hours: int) -> None:
    assert moment_us(text) == hours * HOUR_US


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_whatever_json_holds_is_read_or_refused_in_words(body: Any) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(body)

    assert str(caught.value)


@given(st.sampled_from(sorted(Instance.model_fields)), JSON_VALUES)
def test_whatever_a_field_holds_is_taken_as_it_is_or_refused_by_name(name: str, value: Any) -> None:
    try:
        (instance,) = read_request({"instances": [{name: value}]})
    except InvalidRequestError as error:
        said = str(error)
    else:
        kept = getattr(instance, name)
        said = (
            f"instances[0].{name}" if name == "context" or (kept, type(kept)) == (value, type(value)) else ""
        )

    assert f"instances[0].{name}" in said or "item_id is needed" in said
