import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marquee.data.interactions import Interactions
from marquee.data.splits import (
    TemporalConfig,
    consumed,
    cut_moments,
    sample_moments,
    temporal_split,
    time_quantile,
)
from marquee.errors import NotEnoughDataError
from tests.factories import SECOND_US, event_table, events

COLUMNS = ("user_index", "item_index", "timestamp_us", "value", "type_code")


def cut(interactions, *, after_s, until_s=None, shares=(0.5,), min_events=2):
    return cut_moments(
        interactions,
        after_us=after_s * SECOND_US,
        until_us=None if until_s is None else until_s * SECOND_US,
        shares=shares,
        min_events=min_events,
    )


def history(interactions, found, row):
    """Item indexes of what the asker of a row had chosen by then, the moment itself included."""
    known = interactions.timestamp_us <= found.time_us[row]
    return interactions.item_index[known & (interactions.user_index == found.user_index[row])]


def described(interactions, found):
    """(user, history, targets, seconds of the first target) by id, for the eye."""
    decode = interactions.items.decode
    return [
        (
            interactions.users.ids[int(user)],
            sorted(decode(history(interactions, found, row))),
            sorted(decode(found.targets[row])),
            (int(found.time_us[row]) + 1) / SECOND_US,
        )
        for row, user in enumerate(found.user_index)
    ]


def test_consumed_leaves_out_what_is_no_choice():
    board = events(
        ("a", "x", 1, None, "impression"), ("a", "y", 2, None, "click"), ("a", "z", 3, 0.9, "view")
    )

    assert consumed(board).item_index.tolist() == [2]


def test_consumed_keeps_the_first_choice_of_a_pair():
    board = events(
        ("a", "x", 5, 1), ("a", "x", 3, 2), ("a", "x", 2, None, "click"), ("b", "x", 4, 3), ("a", "y", 6, 4)
    )

    found = consumed(board)

    assert found.timestamp_us.tolist() == [3 * SECOND_US, 4 * SECOND_US, 6 * SECOND_US]
    assert found.value.tolist() == [2, 3, 4]


def test_time_quantile_is_a_time_that_occurs():
    board = events(*(("a", f"i{time}", time) for time in (10, 20, 30, 40, 50)))

    # Of five events, two fifths lie at or before 20 s, and any more need 30 s.
    assert time_quantile(board, 0.4) == 20 * SECOND_US
    assert time_quantile(board, 0.41) == 30 * SECOND_US


def test_cut_moments_is_the_last_microsecond_before_the_first_target():
    board = events(("a", "p", 11), ("a", "q", 12), ("b", "p", 11), ("b", "q", 12.5))

    found = cut(board, after_s=10)

    assert found.time_us.tolist() == [12 * SECOND_US - 1, 12 * SECOND_US + SECOND_US // 2 - 1]


def test_cut_moments_history_is_all_before_and_the_first_share_of_the_window():
    board = events(
        ("a", "old", 1), ("a", "p", 11), ("a", "q", 12), ("a", "r", 13), ("a", "s", 14), ("b", "old", 2)
    )

    assert described(board, cut(board, after_s=10)) == [("a", ["old", "p", "q"], ["r", "s"], 13)]


def test_cut_moments_event_at_the_cut_is_before_it_and_one_at_the_end_within():
    board = events(("a", "p", 10), ("a", "q", 11), ("a", "r", 12), ("a", "s", 13))

    found = cut(board, after_s=10, until_s=12)

    assert described(board, found) == [("a", ["p", "q"], ["r"], 12)]


def test_cut_moments_boundary_moves_to_the_change_of_time():
    # The middle of the six falls inside the tie at 12 s; its edges are one and two events away.
    board = events(
        *(("a", item, time) for item, time in zip("pqrstu", (11, 11, 12, 12, 12, 13), strict=True))
    )

    assert described(board, cut(board, after_s=10)) == [("a", ["p", "q"], ["r", "s", "t", "u"], 12)]


def test_cut_moments_two_changes_equally_near_take_the_earlier():
    board = events(*(("a", item, time) for item, time in zip("pqrs", (11, 12, 12, 13), strict=True)))

    assert described(board, cut(board, after_s=10)) == [("a", ["p"], ["q", "r", "s"], 12)]


def test_cut_moments_user_whose_window_is_one_moment_is_not_asked():
    board = events(("a", "p", 1), *(("a", item, 11) for item in "qrst"), ("b", "q", 11), ("b", "r", 12))

    assert [row[0] for row in described(board, cut(board, after_s=10))] == ["b"]


def test_cut_moments_shares_on_one_boundary_ask_once():
    board = events(*(("a", item, time) for item, time in zip("pqrs", (11, 11, 12, 12), strict=True)))

    assert len(cut(board, after_s=10, shares=(0.25, 0.5, 0.75))) == 1


def test_cut_moments_shares_apart_ask_once_each():
    board = events(*(("a", item, time) for item, time in zip("pqrs", (11, 12, 13, 14), strict=True)))

    found = cut(board, after_s=10, shares=(0.25, 0.75))

    assert described(board, found) == [
        ("a", ["p"], ["q", "r", "s"], 12),
        ("a", ["p", "q", "r"], ["s"], 14),
    ]


def test_cut_moments_user_with_too_few_events_is_not_asked():
    board = events(("a", "p", 11), ("a", "q", 12), ("b", "p", 11), ("b", "q", 12), ("b", "r", 13))

    assert [row[0] for row in described(board, cut(board, after_s=10, min_events=3))] == ["b"]


def test_temporal_split_trains_up_to_the_cut_and_asks_about_the_rest():
    board = events(*(("a", f"i{time:02}", time) for time in range(1, 11)))

    split = temporal_split(board, TemporalConfig(train_quantile=0.6, min_events=4), seed=0)

    assert split.cut_us == 6 * SECOND_US
    assert split.train.timestamp_us.tolist() == [time * SECOND_US for time in range(1, 7)]
    assert described(board, split.test) == [
        ("a", [f"i{time:02}" for time in range(1, 9)], ["i09", "i10"], 9),
    ]


@pytest.mark.parametrize(
    "board",
    [
        events(),
        events(("a", "x", 1)),
        events(*(("a", f"i{number}", 1) for number in range(30))),
        events(("a", "x", 1, None, "click")),
    ],
    ids=["no event", "one event", "one moment", "clicks only"],
)
def test_temporal_split_of_too_little_is_refused(board):
    with pytest.raises(NotEnoughDataError):
        temporal_split(consumed(board), TemporalConfig(), seed=0)


def test_sample_moments_is_seeded_and_keeps_the_order():
    board = events(
        *(
            (f"u{user:02}", f"{item}{user}", at + user)
            for user in range(30)
            for at, item in ((1, "p"), (2, "q"))
        )
    )
    found = cut(board, after_s=0)

    one, again, other = (sample_moments(found, 8, seed=seed) for seed in (1, 1, 2))

    users = one.user_index.tolist()
    assert users == sorted(set(users)) and len(users) == 8  # noqa: PT018 - one claim: a sorted sample
    assert users == again.user_index.tolist() != other.user_index.tolist()
    assert described(board, one) == [described(board, found)[user] for user in users]
    assert sample_moments(found, 30, seed=1) is found


# --- what must hold for any data -----------------------------------------------------------------

FEW_ITEMS = "pqrstuvw"
rows_of_few = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(FEW_ITEMS), st.integers(0, 12)),
    unique_by=lambda row: row[:2],
    min_size=1,
    max_size=24,
)


@given(rows_of_few, st.integers(0, 12), st.sampled_from([(0.5,), (0.25, 0.5, 0.75)]))
def test_cut_moments_never_splits_a_moment_nor_repeats_a_seen_item(rows, after_s, shares):
    board = events(*rows)

    found = cut(board, after_s=after_s, shares=shares)

    for row in range(len(found)):
        seen = history(board, found, row)
        own = board.take(board.user_index == found.user_index[row])
        target_times = own.timestamp_us[np.isin(own.item_index, found.targets[row])]
        assert target_times.min() == found.time_us[row] + 1
        assert not set(seen.tolist()) & set(found.targets[row].tolist())
        assert len(seen) + len(found.targets[row]) == len(own)
        assert (target_times > after_s * SECOND_US).all()


@given(rows_of_few, st.integers(0, 12), st.randoms(use_true_random=False))
def test_cut_moments_shuffled_rows_and_renamed_ids_ask_the_same(rows, after_s, random):
    # Ids decide the storage order within a second: if they leaked, other names would ask otherwise.
    shuffled_names = list(FEW_ITEMS)
    random.shuffle(shuffled_names)
    new_name = dict(zip(FEW_ITEMS, shuffled_names, strict=True))
    old_name = {new: old for old, new in new_name.items()}
    renamed = [(user, new_name[item], time) for user, item, time in rows]
    random.shuffle(renamed)
    board, other = events(*rows), events(*renamed)

    expected = described(board, cut(board, after_s=after_s))
    found = described(other, cut(other, after_s=after_s))

    translated = [
        (user, sorted(old_name[item] for item in seen), sorted(old_name[item] for item in wanted), time)
        for user, seen, wanted, time in found
    ]
    assert translated == expected


@given(rows_of_few, st.integers(0, 12), st.randoms(use_true_random=False))
def test_training_part_and_past_windows_ignore_what_comes_later(rows, cut_s, random):
    """Everything after the cut moves to other items, values and later times; the past is bit-equal."""
    kept = [row for row in rows if row[2] <= cut_s]
    later = [(user, item, 20 + random.randint(0, 9), 1.0) for user, item, time in rows if time > cut_s]
    board = Interactions.from_table(event_table(rows))
    other = Interactions.from_table(event_table([*kept, *later]), users=board.users, items=board.items)

    one, two = (part.take(part.timestamp_us <= cut_s * SECOND_US) for part in (board, other))
    asked, again = (cut(part, after_s=cut_s // 2, until_s=cut_s) for part in (board, other))

    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(one, column), getattr(two, column))
    assert described(board, asked) == described(board, again)
    assert asked.targets.values.tolist() == again.targets.values.tolist()
