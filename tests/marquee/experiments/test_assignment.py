import json
import os
import subprocess
import sys
from hashlib import blake2b
from math import log
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.errors import RequestError
from marquee.experiments.assignment import Assignment, assign
from marquee.experiments.config import Experiment, ExperimentsConfig

ROOT = Path(__file__).parents[3]
USERS = [str(number) for number in range(500)]

MODEL = Experiment.model_validate(
    {
        "name": "fresh-ranker",
        "traffic": 0.4,
        "variants": [{"name": "control"}, {"name": "fresh", "bundle": "challenger", "weight": 3}],
    }
)
SECOND = Experiment.model_validate(
    {"name": "second", "first": 0.4, "traffic": 0.6, "variants": [{"name": "a"}, {"name": "b"}]}
)
PAGE = Experiment.model_validate(
    {
        "name": "tiles",
        "layer": "page",
        "surfaces": ["home", "similar"],
        "variants": [{"name": "small"}, {"name": "large"}, {"name": "huge"}],
    }
)
ALL = ExperimentsConfig(experiments=(MODEL, SECOND, PAGE))

GOLDEN: dict[str, list[tuple[str, str, int]]] = {
    "": [("second", "b", 8465), ("tiles", "huge", 6270)],
    "1": [("fresh-ranker", "control", 2403), ("tiles", "large", 3596)],
    "2": [("second", "b", 5578), ("tiles", "large", 4137)],
    "10": [("second", "a", 8088), ("tiles", "large", 9850)],
    "u_000123": [("second", "a", 5422), ("tiles", "large", 8024)],
    "anna@example.com": [("second", "b", 8246), ("tiles", "small", 7580)],
    "Zoë": [("second", "a", 6113), ("tiles", "huge", 3178)],
    "日本": [("fresh-ranker", "control", 297), ("tiles", "small", 2177)],
    "6f1c2a9e-4b7d-4e1f-9a53-0c8d2b7e11aa": [("fresh-ranker", "fresh", 2187), ("tiles", "large", 2581)],
    " 1": [("fresh-ranker", "fresh", 1056), ("tiles", "small", 5263)],
    "\ud800": [("second", "b", 7034), ("tiles", "small", 9555)],
}
"""Experiment, variant and bucket in `ALL` by user."""


def only(experiment: Experiment, **changes: Any) -> ExperimentsConfig:
    """A config of one experiment, changed."""
    return ExperimentsConfig.model_validate({"experiments": [experiment.model_dump() | changes]})


def variants(config: ExperimentsConfig, experiment: str, surface: str = "home") -> dict[str, str]:
    """The variant of each user who is in the experiment."""
    return {
        user: each.variant
        for user in USERS
        for each in assign(user, config, surface=surface)
        if each.experiment == experiment
    }


def brief(user: str, config: ExperimentsConfig = ALL) -> list[tuple[str, str, int]]:
    return [(each.experiment, each.variant, each.bucket) for each in assign(user, config)]


@pytest.mark.parametrize("user", GOLDEN, ids=ascii)
def test_assignment_of_known_users_is_the_pinned_one(user: str):
    """A change here deals the users of every running experiment anew."""
    assert brief(user) == GOLDEN[user]


def test_assignment_is_the_documented_arithmetic():
    def hashed(*parts: str) -> int:
        *named, user = [part.encode() for part in parts]
        prefix = b"".join(len(part).to_bytes(4, "big") + part for part in named)
        return int.from_bytes(blake2b(prefix + user, digest_size=8).digest(), "big") >> 11

    for user in USERS[:50]:
        place = hashed("layer", "model", user) / 2**53
        arrivals = {
            name: -log((hashed("variant", "fresh-ranker", name, user) + 1) / 2**53) / weight
            for name, weight in (("control", 1), ("fresh", 3))
        }
        first = min(arrivals, key=lambda name: arrivals[name])
        expected = [("fresh-ranker", first, int(place * 10_000))] if place < 0.4 else []

        assert brief(user, only(MODEL)) == expected


def test_assignment_carries_bundle_and_propensity_of_its_variant():
    known = {"control": (None, 1 / 4), "fresh": ("challenger", 3 / 4)}
    found = [each for user in USERS for each in assign(user, only(MODEL))]

    assert {each.variant for each in found} == set(known)
    for each in found:
        assert (each.bundle, each.propensity) == known[each.variant]
        assert 0 <= each.bucket < 4_000  # traffic: 0.4
        assert not each.is_override


@pytest.mark.parametrize("seed", ["0", "4242"])
def test_assignment_in_another_process_with_another_hash_seed_is_the_same(seed: str):
    program = (
        "import json, sys\n"
        "from marquee.experiments.assignment import assign\n"
        "from marquee.experiments.config import ExperimentsConfig\n"
        "given = json.load(sys.stdin)\n"
        "config = ExperimentsConfig.model_validate(given['config'])\n"
        "print(json.dumps([assign(user, config) for user in given['users']]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps({"config": ALL.model_dump(mode="json"), "users": USERS}),
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        text=True,
    )

    assert json.loads(done.stdout) == [[list(each) for each in assign(user, ALL)] for user in USERS]


@given(user=st.text(st.characters(exclude_categories=[])))
def test_assignment_of_any_text_is_one_experiment_a_layer_and_at_most_one_bundle(user: str):
    found = assign(user, ALL)

    assert [each.experiment for each in found] in (["fresh-ranker", "tiles"], ["second", "tiles"])
    assert sum(each.bundle is not None for each in found) <= 1


def test_experiments_of_one_layer_share_no_user_and_leave_none_out():
    first, second = variants(ALL, "fresh-ranker"), variants(ALL, "second")

    assert first.keys().isdisjoint(second)
    assert first.keys() | second.keys() == set(USERS)


@given(first=st.integers(0, 998), small=st.integers(1, 1000), large=st.integers(1, 1000))
def test_traffic_that_is_raised_keeps_all_users_in_their_variants(first: int, small: int, large: int):
    small, large = sorted(min(traffic, 1000 - first) for traffic in (small, large))
    before = variants(only(MODEL, first=first / 1000, traffic=small / 1000), MODEL.name)
    after = variants(only(MODEL, first=first / 1000, traffic=large / 1000), MODEL.name)

    assert before.items() <= after.items()


@given(
    salt=st.text(max_size=20),
    weights=st.lists(st.floats(0.01, 100), min_size=2, max_size=4),
    traffic=st.sampled_from([0.05, 0.3, 0.6]),
    is_on=st.booleans(),
    layer=st.sampled_from(["model", "page", "third"]),
)
def test_experiment_that_changes_moves_nobody_in_another(
    salt: str, weights: list[float], traffic: float, is_on: bool, layer: str
):
    other = {
        "name": "other",
        "layer": layer,
        "first": 0.4,
        "traffic": traffic,
        "salt": f"other {salt}",
        "is_on": is_on,
        "variants": [{"name": f"v{number}", "weight": weight} for number, weight in enumerate(weights)],
    }
    both = ExperimentsConfig.model_validate({"experiments": [other, MODEL.model_dump()]})

    assert variants(both, MODEL.name) == variants(only(MODEL), MODEL.name)


def test_order_of_variants_and_experiments_says_nothing():
    turned = [
        each.model_dump() | {"variants": each.model_dump()["variants"][::-1]}
        for each in (PAGE, SECOND, MODEL)
    ]
    config = ExperimentsConfig.model_validate({"experiments": turned})

    assert all(sorted(brief(user, config)) == sorted(brief(user)) for user in USERS)


def test_empty_salt_is_the_name_and_another_salt_deals_anew():
    named = variants(only(MODEL, traffic=1, salt=MODEL.name), MODEL.name)

    assert named == variants(only(MODEL, traffic=1), MODEL.name)
    assert named != variants(only(MODEL, traffic=1, salt="again"), MODEL.name)


def test_surface_decides_which_experiments_apply():
    applied = {
        surface: {each.experiment for user in USERS for each in assign(user, ALL, surface=surface)}
        for surface in ("home", "similar", "trending")
    }

    assert applied == {"home": {"fresh-ranker", "second", "tiles"}, "similar": {"tiles"}, "trending": set()}


def test_surface_that_is_unknown_is_a_request_error():
    with pytest.raises(RequestError, match="surface = 'house' is unknown"):
        assign("1", ALL, surface="house")


def test_kill_switch_of_one_experiment_takes_out_it_alone():
    config = ExperimentsConfig(experiments=(MODEL.model_copy(update={"is_on": False}), SECOND, PAGE))

    assert variants(config, MODEL.name) == {}
    assert variants(config, "second") == variants(ALL, "second")
    assert variants(config, "tiles") == variants(ALL, "tiles")


def test_kill_switch_of_all_leaves_nothing_even_on_a_copy_of_a_config_in_use():
    assert assign("1", ALL)

    assert assign("1", ALL.model_copy(update={"is_on": False})) == ()


def test_override_puts_a_user_of_another_range_there_and_out_of_the_layers_own():
    user = next(iter(variants(ALL, "second")))
    (_, tiles) = assign(user, ALL)

    found = assign(user, ALL, overrides={"fresh-ranker": "fresh"})

    bucket = found[0].bucket
    assert found == (Assignment("fresh-ranker", "fresh", "challenger", 0.75, bucket, True), tiles)
    assert bucket >= 4_000


def test_override_to_the_drawn_variant_is_marked_all_the_same():
    user, variant = next(iter(variants(ALL, "fresh-ranker").items()))

    found = assign(user, ALL, overrides={"fresh-ranker": variant})

    assert [(each.variant, each.is_override) for each in found if each.experiment == "fresh-ranker"] == [
        (variant, True)
    ]


def test_override_without_effect_on_the_surface_leaves_what_its_layer_draws_there():
    elsewhere = SECOND.model_copy(update={"surfaces": ("similar",)})
    config = ExperimentsConfig(experiments=(MODEL, elsewhere))
    drawn = [assign(user, config, surface="similar") for user in USERS]

    assert any(drawn)
    for user, expected in zip(USERS, drawn, strict=True):
        assert assign(user, config, surface="similar", overrides={"fresh-ranker": "fresh"}) == expected


def test_override_does_not_pass_the_kill_switch_of_its_experiment():
    config = ExperimentsConfig(experiments=(MODEL.model_copy(update={"is_on": False}), SECOND))

    for user in USERS:
        assert assign(user, config, overrides={"fresh-ranker": "fresh"}) == assign(user, config)


def test_override_does_not_pass_the_kill_switch_of_all():
    assert assign("1", ALL.model_copy(update={"is_on": False}), overrides={"fresh-ranker": "fresh"}) == ()


@pytest.mark.parametrize(
    ("overrides", "problem", "remedy"),
    [
        (
            {"fresh": "b"},
            "The override 'fresh' = 'b' names an unknown experiment.",
            "Use one of: fresh-ranker, second, tiles.",
        ),
        (
            {"tiles": "tiny"},
            "The override 'tiles' = 'tiny' names an unknown variant.",
            "Use one of: small, large, huge.",
        ),
        (
            {"fresh-ranker": "fresh", "second": "a"},
            "The override 'second' = 'a' is in the layer 'model', as the override of 'fresh-ranker' is.",
            "Keep one of them: a user is in one experiment a layer.",
        ),
    ],
)
def test_override_that_does_not_fit_is_a_request_error(overrides: dict[str, str], problem: str, remedy: str):
    with pytest.raises(RequestError) as caught:
        assign("1", ALL, overrides=overrides)

    assert (caught.value.problem, caught.value.remedy) == (problem, remedy)


def test_override_of_a_long_text_is_shown_short():
    with pytest.raises(RequestError) as caught:
        assign("1", ALL, overrides={"x" * 100_000: "y" * 100_000})

    assert len(str(caught.value)) < 400


def test_override_where_there_are_no_experiments_says_so():
    with pytest.raises(RequestError, match="There are none"):
        assign("1", ExperimentsConfig(), overrides={"x": "y"})
