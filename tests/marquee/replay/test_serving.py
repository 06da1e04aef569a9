"""The lists of a replay are those of the server."""

import numpy as np
import pytest

from marquee.config import TrainingConfig
from marquee.diagnosis import Questions
from marquee.explain.quick import best_routes
from marquee.monitoring.quality import QualityConfig
from marquee.replay.learner import Learner
from marquee.replay.serving import Asker
from marquee.replay.world import World
from tests.marquee.replay.weeks import REPLAY, TRAINING, USERS, dataset, events


@pytest.fixture(scope="module")
def learner() -> Learner:
    world = World.of(dataset(), events(), config=REPLAY, quality=QualityConfig(), seed=3)
    return Learner(world, TrainingConfig.from_values(TRAINING, where="the test"))


def test_asker_asks_before_the_first_event_and_in_the_middle(learner: Learner):
    world = learner.world
    moments = Asker(world, 3).moments(world.spans[0])

    assert len(moments) == 2 * USERS
    own = world.events.user_index
    for row in range(0, 2 * USERS, 2):
        times = world.events.timestamp_us[own == moments.user_index[row]]
        before = [int((times <= time_us).sum()) for time_us in moments.time_us[row : row + 2]]
        assert before == [0, len(times) // 2]
        assert [len(moments.targets[at]) for at in (row, row + 1)] == [len(times), len(times) - before[1]]


def test_asker_lists_are_those_of_one_request_at_a_time(learner: Learner):
    world, model = learner.world, learner.train(0)
    asker = Asker(world, 3)
    served = asker.ask(model.id, model.served, world.spans[0])

    asked = Questions.of(model.served, asker.moments(world.spans[0]), world.events, world.state)
    for row in (0, 1, 2 * USERS - 1):
        answer = asked.recommender.answer(asked.labelled.queries.take(np.array([row])), REPLAY.n)
        items = model.served.items.decode(answer.lists.item_index[0])
        assert list(served.item_ids[row]) == items
        assert list(served.routes[row]) == best_routes(asked.recommender, answer)
        assert served.scores[row] == pytest.approx(answer.lists.score[0].tolist())


def test_asker_broken_model_shows_as_many_others(learner: Learner):
    world, model = learner.world, learner.train(0)
    asker = Asker(world, 3)

    sound = asker.ask(model.id, model.served, world.spans[0])
    broken = asker.ask(model.id, model.served, world.spans[0], broken=True)

    assert broken.scores == sound.scores
    assert broken.ndcg.mean() < sound.ndcg.mean() / 2
    assert [len(set(row)) for row in broken.item_ids] == [REPLAY.n] * len(broken.item_ids)


def test_asker_asks_at_most_so_many_users(learner: Learner):
    few = World.of(
        dataset(),
        events(),
        config=REPLAY.model_copy(update={"max_users": 10}),
        quality=QualityConfig(),
        seed=3,
    )

    moments = Asker(few, 3).moments(few.spans[0])
    assert len(np.unique(moments.user_index)) == 10
    assert len(moments) == 20
