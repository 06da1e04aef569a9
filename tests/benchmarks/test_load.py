"""The load generator against a server whose answers and delays are known."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from benchmarks.load import BODIES, MAX_RATE, Load, arguments_of, arrivals, bodies, run, surfaces_of

PEOPLE = {"users": ["u1", "u2", "u3"], "items": ["i1", "i2"]}
HOME = Load(surfaces={"home": 1.0}, seconds=0.5, rate=40.0, is_poisson=False, warm_up=0)


@asynccontextmanager
async def server(*, hold_s: Sequence[float] = (), status: int = 200) -> AsyncIterator[str]:
    """Answers in turn with what it was asked; the first ones one after another, each held for so long."""
    held, gate = iter(hold_s), asyncio.Lock()

    async def answer(request: web.Request) -> web.Response:
        instances = (await request.json())["instances"]
        async with gate:
            await asyncio.sleep(next(held, 0.0))
        found = [{"degraded": each["surface"] == "popular", "items": [1]} for each in instances]
        return web.json_response({"predictions": found}, status=status)

    application = web.Application()
    application.router.add_post("/v1/models/marquee:predict", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def figures(load: Load, *, pid: int | None = None, **options: Any) -> dict[str, Any]:
    async def both() -> dict[str, Any]:
        async with server(**options) as url:
            return await run(load, url, PEOPLE, pid)

    return asyncio.run(both())


def test_open_loop_counts_what_was_due_while_the_server_stood_still():
    # 20 requests are due every 25 ms. The server holds the first for 400 ms: those due in that time wait for
    # the rest of it, although each of them is answered at once when its turn comes.
    found = figures(HOME, hold_s=[0.4])

    assert found["requests"] == 19  # at 25, 50, … 475 ms
    assert found["max"] >= 400
    assert found["p50"] >= 100  # the tenth is due 225 ms after the first, and waits 175


def test_closed_loop_asks_again_only_when_it_is_answered():
    found = figures(replace(HOME, rate=None, clients=2), hold_s=[0.1] * 100)

    # Each answer takes the server 0.1 s, one after the other: in half a second 5, and the 2 on their way.
    assert 1 <= found["requests"] <= 7
    assert found["errors"] == 0


def test_answers_that_are_none_are_errors_by_kind():
    found = figures(HOME, status=503)

    assert found["errors"] == found["requests"] == 19
    assert found["errors_by_kind"] == {"HTTP 503": 19}
    assert found["rps"] == 0


def test_server_that_is_gone_makes_errors_and_no_crash():
    found = asyncio.run(run(HOME, "http://127.0.0.1:9", PEOPLE, None))

    assert found["errors"] == found["requests"] == 19
    assert set(found["errors_by_kind"]) == {"ConnectionRefusedError"}


def test_degraded_lists_are_counted_by_list_not_by_request():
    found = figures(replace(HOME, surfaces={"popular": 1.0}, batch=3))

    assert found["degraded"] == 3 * found["requests"]


def test_process_id_brings_cpu_time_and_memory():
    found = figures(HOME, pid=os.getpid())

    assert found["cpu_ms"] >= 0
    assert found["rss_mib"] > 10


def test_bodies_are_drawn_with_the_seed_and_only_similar_names_an_item():
    load = Load(surfaces={"home": 3.0, "similar": 1.0}, seconds=1.0, seed=3)

    made = [json.loads(each)["instances"][0] for each in bodies(load, PEOPLE)]

    assert bodies(load, PEOPLE) == bodies(load, PEOPLE) != bodies(replace(load, seed=4), PEOPLE)
    share = Counter(each["surface"] for each in made)["home"] / BODIES
    assert share == pytest.approx(3 / 4, abs=0.05)
    assert {each["user_id"] for each in made} == set(PEOPLE["users"])
    assert all(("item_id" in each) == (each["surface"] == "similar") for each in made)


def test_poisson_arrivals_have_the_rate_and_its_spread():
    load = Load(surfaces={"home": 1.0}, seconds=200.0, seed=5)

    waits = np.array([b - a for a, b in pairwise(arrivals(load, 50.0))])

    assert len(waits) == pytest.approx(200 * 50, rel=0.05)
    assert waits.mean() == pytest.approx(1 / 50, rel=0.05)
    assert waits.std() == pytest.approx(1 / 50, rel=0.1)  # of an exponential, mean and deviation are one


def test_even_arrivals_are_ticks():
    assert list(islice(arrivals(HOME, 40.0), 3)) == pytest.approx([0.025, 0.05, 0.075])


def test_surfaces_have_weights():
    assert surfaces_of("home=7,popular") == {"home": 7.0, "popular": 1.0}


@pytest.mark.parametrize("words", [["--rate", "0"], ["--rate", str(MAX_RATE + 1)], ["--seconds", "1e9"]])
def test_load_out_of_bounds_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        arguments_of(["--url", "http://127.0.0.1:9", "--people", "x", *words])

    assert words[0] in capsys.readouterr().err
