"""Where the marks go."""

from dataclasses import replace

import pytest

from marquee.replay.picture import BASE, LEFT, RIGHT, TOP, picture
from tests.marquee.replay.test_findings import walk

DAYS = ["2024-01-01", "2024-01-08", "2024-01-15"]


def test_picture_spans_from_the_first_window_to_the_last():
    chart = picture([walk("", "", "", policy="never")], [], DAYS)

    places = [dot.x for dot in chart.lines[0].dots]
    assert places == [LEFT, (LEFT + RIGHT) / 2, RIGHT]
    height = BASE - (BASE - TOP) / 1.1  # of the best value
    assert [dot.y for dot in chart.lines[0].dots] == pytest.approx([height] * 3)


def test_picture_shades_a_shock_s_windows():
    step = (RIGHT - LEFT) / 2

    (band,) = picture([walk("", "", "")], [("scale", 2, 1)], DAYS).bands

    assert (band.x, band.width) == pytest.approx((LEFT + step / 2, step))


def test_picture_labels_of_equal_ends_stand_apart():
    lines = picture([walk("", "", ""), walk("", "", "", policy="never")], [], DAYS).lines

    assert abs(lines[0].label_y - lines[1].label_y) >= 13


def test_picture_of_nothing_found_is_flat():
    made = walk("", "", "")
    zero = replace(made, steps=tuple(replace(step, ndcg=0.0) for step in made.steps))

    assert {dot.y for dot in picture([zero], [], DAYS).lines[0].dots} == {BASE}
