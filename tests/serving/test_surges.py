"""Boards of surges that the trending job leaves where servers look."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from marquee.answering import Ask
from marquee.candidates.surge_board import BOARD, BoardRow, SurgeBoard
from marquee.candidates.surges import SurgeConfig
from marquee.errors import MarqueeError
from marquee.features.user_rows import query_after
from serving.slots import DEFAULT, Slot, Slots
from tests.serving.bundles import bundle_like, point
from tests.small_run import Place

NOW = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass
class Witness:
    """Remembers what was refused."""

    refusals: list[tuple[str, MarqueeError]] = field(default_factory=list)

    def loaded(self, slot: Slot, *, seconds: float) -> None: ...

    def refused(self, name: str, error: MarqueeError) -> None:
        self.refusals.append((name, error))

    def refreshed(self, slot: Slot) -> None: ...


@dataclass
class Shop:
    """Slots over a link, and the folder in which boards are put."""

    slots: Slots
    witness: Witness
    live: Path
    matrices: Path

    @property
    def board(self) -> Path:
        return self.matrices / BOARD

    def trending(self, slot: Slot | None = None) -> list[str]:
        answering = (slot or self.slots.default).answering
        query = query_after(
            [], time_us=round(NOW.timestamp() * 1e6), items=answering.recommender.items
        )  # fmt: skip
        return [item.item_id for item in answering.list_for(Ask(query, 5, "trending")).items]

    def put(self, item: str) -> None:
        as_of = NOW - timedelta(minutes=10)
        row = BoardRow(item_id=item, score=9, surprise=9, users=20, expected=1, hours=6, since=as_of)
        SurgeBoard(as_of=as_of, config=SurgeConfig(), surges=(row,)).write(self.board)


@pytest.fixture
def shop(trained: Place, tmp_path: Path) -> Shop:
    live, witness, matrices = tmp_path / "live", Witness(), tmp_path / "matrices"
    live.symlink_to((trained.latest / "bundle").resolve())
    shutil.copytree(trained.settings.item_matrix(trained.storage), matrices)
    slots = Slots.load({DEFAULT: live}, matrix_folder=lambda _: matrices, observer=witness)
    return Shop(slots, witness, live, matrices)


def test_board_is_taken_over_and_who_holds_the_old_slot_keeps_it(shop):
    old = shop.slots.default
    before = shop.trending()
    assert before[0] != "m071"

    shop.put("m071")
    shop.slots.look_at_surges()

    assert shop.trending() == ["m071", *before[:4]]
    assert shop.trending(old) == before
    shop.put("m072")
    shop.slots.look_at_surges()
    assert shop.trending()[0] == "m072"


def test_board_that_stays_is_not_read_again(shop):
    shop.put("m071")
    shop.slots.look_at_surges()
    slot = shop.slots.default

    shop.slots.look_at_surges()

    assert shop.slots.default is slot


def test_board_that_was_there_before_the_server_is_found_at_its_start(shop):
    shop.put("m071")

    again = Slots.load({DEFAULT: shop.live}, matrix_folder=lambda _: shop.matrices, observer=Witness())

    assert shop.trending(again.default)[0] == "m071"


def test_new_bundle_gets_the_board(shop, tmp_path):
    shop.put("m071")
    shop.slots.look_at_surges()
    bundle_like(shop.live.resolve(), tmp_path / "new")

    point(shop.live, tmp_path / "new")
    shop.slots.look_at_bundles()

    assert shop.trending()[0] == "m071"


def test_torn_board_is_refused_once_and_the_last_one_goes_on(shop):
    shop.put("m071")
    shop.slots.look_at_surges()
    shop.board.write_text("{")

    shop.slots.look_at_surges()
    shop.slots.look_at_surges()

    assert [name.split()[0] for name, _ in shop.witness.refusals] == ["surges"]
    assert shop.trending()[0] == "m071"
    shop.put("m072")
    shop.slots.look_at_surges()
    assert shop.trending()[0] == "m072"
