"""Steps that name themselves become stages: one begins where another name is heard."""

from marquee.cli.features.stages import Stages


class Heard:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def begin(self, stage: str) -> None:
        self.told.append(("begin", stage))

    def advance(self, done: float, total: float) -> None:
        self.told.append((done, total))

    def finish(self, stage: str, seconds: float) -> None:
        assert seconds >= 0
        self.told.append(("finish", stage))


def test_stages_follow_the_names_and_the_last_one_is_finished_once():
    heard = Heard()
    stages = Stages(heard)  # type: ignore[arg-type]

    for step in [("a", 0, 2), ("a", 1, 2), ("b", 0, None)]:
        stages(*step)
    stages.finish()
    stages.finish()

    assert heard.told == [
        ("begin", "a"),
        (0, 2),
        (1, 2),
        ("finish", "a"),
        ("begin", "b"),
        (0, 0),  # of unknown length
        ("finish", "b"),
    ]
