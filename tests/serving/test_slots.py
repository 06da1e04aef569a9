"""Bundles side by side, each replaced whole, and movies' state that is newer than they are."""

import json
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from marquee import schema
from marquee.answering import Ask
from marquee.bundle import Parts
from marquee.errors import BundleError, FeatureStoreError, MarqueeError
from marquee.features.user_rows import query_after
from serving.housekeeping import Chronicle
from serving.metrics import Metrics
from serving.slots import DEFAULT, RETRY_REFUSED_S, Slot, Slots, find_places
from serving.store import Store
from tests.serving.bundles import bundle_like, export_later, point
from tests.small_run import Place

NOW_US = 1_717_200_000_000_000


@dataclass
class Witness:
    """Remembers what it heard."""

    loads: list[tuple[str, str]] = field(default_factory=list)
    refusals: list[tuple[str, MarqueeError]] = field(default_factory=list)
    refreshes: list[tuple[str, str | None]] = field(default_factory=list)

    def loaded(self, slot: Slot, *, seconds: float) -> None:
        assert seconds >= 0
        self.loads.append((slot.name, slot.bundle_id))

    def refused(self, name: str, error: MarqueeError) -> None:
        self.refusals.append((name, error))

    def refreshed(self, slot: Slot) -> None:
        self.refreshes.append((slot.name, slot.matrix_version))


@dataclass
class Watched:
    """Slots over a link `live`, on a clock that stands still until told."""

    slots: Slots
    witness: Witness
    live: Path
    matrices: Path
    now_s: list[float]

    @property
    def bundle_id(self) -> str:
        return self.slots.default.bundle_id

    def look(self, times: int = 1) -> str:
        for _ in range(times):
            self.slots.look_at_bundles()
        return self.bundle_id


@pytest.fixture
def bundle(trained: Place) -> Path:
    return (trained.latest / "bundle").resolve()


@pytest.fixture
def watched(trained: Place, bundle: Path, tmp_path: Path) -> Watched:
    """The trained bundle behind a link, and a copy of its item matrices."""
    live, witness, now_s = tmp_path / "live", Witness(), [0.0]
    live.symlink_to(bundle)
    matrices = tmp_path / "matrices"
    shutil.copytree(trained.settings.item_matrix(trained.storage), matrices)
    slots = Slots.load({DEFAULT: live}, matrix_folder=lambda _: matrices, observer=witness)
    slots.clock = lambda: now_s[0]
    return Watched(slots, witness, live, matrices, now_s)


def listed(slot: Slot, surface: str, n: int = 5) -> list[str]:
    answering = slot.answering
    query = query_after(["m000"], time_us=NOW_US, items=answering.recommender.items)
    return [item.item_id for item in answering.list_for(Ask(query, n, surface)).items]  # type: ignore[arg-type]


# --- bundles ------------------------------------------------------------------------------------------


def test_link_to_another_bundle_is_followed_and_who_holds_the_old_slot_keeps_it(watched, bundle, tmp_path):
    old = watched.slots.default
    before = listed(old, "home")
    new_id = bundle_like(bundle, tmp_path / "new", policy={"min_events": 1000})

    point(watched.live, tmp_path / "new")

    assert watched.look() == new_id != old.bundle_id
    assert watched.witness.loads == [(DEFAULT, old.bundle_id), (DEFAULT, new_id)]
    assert watched.witness.refusals == []
    assert listed(old, "home") == before
    assert listed(watched.slots.default, "home") != before  # under the new rules nobody's list is personal


def test_folder_that_is_replaced_is_read_again_and_one_that_stays_is_not(watched, bundle, tmp_path):
    watched.live.unlink()
    shutil.copytree(bundle, watched.live)
    assert watched.look(3) == watched.witness.loads[0][1]
    assert len(watched.witness.loads) == 1  # the same bundle elsewhere is the same bundle

    new_id = bundle_like(bundle, tmp_path / "new")
    watched.live.rename(tmp_path / "old")
    (tmp_path / "new").rename(watched.live)

    assert watched.look(3) == new_id
    assert len(watched.witness.loads) == 2


def torn(path: Path) -> str:
    (path / "movies.parquet").unlink()
    return "movies.parquet can't be read"


def cut(path: Path) -> str:
    file = path / "movies.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    return "movies.parquet is not what the manifest says"


def tampered(path: Path) -> str:
    file = path / "routes" / "popular"
    array = next(iter(sorted(file.rglob("*.npy"))))
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    return "is not what the manifest says"


def edited(path: Path) -> str:
    file = path / "manifest.json"
    file.write_text(file.read_text(encoding="utf-8").replace("folder-", "folded-"), encoding="utf-8")
    return "was tampered with"


def of_another_version(path: Path) -> str:
    file = path / "manifest.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**values, "schema_version": 99}), encoding="utf-8")
    return "schema version 99"


def gone(path: Path) -> str:
    shutil.rmtree(path)
    return "manifest.json can't be read"


@pytest.mark.parametrize("harm", [torn, cut, tampered, edited, of_another_version, gone])
def test_bundle_that_is_harmed_is_refused_once_and_the_old_one_answers(watched, bundle, tmp_path, harm):
    old = watched.bundle_id
    bundle_like(bundle, tmp_path / "new")
    words = harm(tmp_path / "new")

    point(watched.live, tmp_path / "new")

    assert watched.look(4) == old
    ((name, error),) = watched.witness.refusals
    assert name == DEFAULT
    assert words in error.problem
    assert listed(watched.slots.default, "home")


def shortened(parts: Parts) -> None:
    parts.arrays["features/movies/year"] = parts.arrays["features/movies/year"][:-3]


def nameless(parts: Parts) -> None:
    parts.tables["movies"] = parts.tables["movies"].drop(schema.TITLE)


@pytest.mark.parametrize("harm", [shortened, nameless])
def test_bundle_that_is_whole_but_no_sound_model_is_refused_once(watched, bundle, tmp_path, harm):
    old = watched.bundle_id
    bundle_like(bundle, tmp_path / "new", harm=harm)

    point(watched.live, tmp_path / "new")

    assert watched.look(3) == old
    ((_, error),) = watched.witness.refusals
    assert "a model that does not answer" in error.problem


def test_bundle_that_was_refused_is_read_as_soon_as_its_missing_file_arrives(watched, bundle, tmp_path):
    new_id = bundle_like(bundle, tmp_path / "new")
    file = tmp_path / "new" / "movies.parquet"
    file.rename(tmp_path / "late")
    point(watched.live, tmp_path / "new")
    assert watched.look(2) != new_id

    (tmp_path / "late").rename(file)

    assert watched.look() == new_id
    assert len(watched.witness.refusals) == 1


def test_bundle_that_was_refused_is_looked_at_again_after_a_while(watched, bundle, tmp_path):
    new_id = bundle_like(bundle, tmp_path / "new")
    bad = [True]

    def require(slot: Slot) -> None:
        if bad[0]:
            raise FeatureStoreError("not now.", remedy="Wait.")

    watched.slots.require = require
    point(watched.live, tmp_path / "new")
    assert watched.look(3) != new_id
    bad[0] = False
    watched.now_s[0] = RETRY_REFUSED_S - 1
    assert watched.look() != new_id

    watched.now_s[0] = RETRY_REFUSED_S

    assert watched.look() == new_id
    assert len(watched.witness.refusals) == 1


def test_bundle_that_learned_other_features_is_refused(trained, watched, bundle, tmp_path):
    store = Store(trained.settings, environment={})
    store.open(trained.storage)
    watched.slots.require = store.require
    old = watched.bundle_id
    bundle_like(bundle, tmp_path / "new", services={"ranking_v1": "0" * 64})

    point(watched.live, tmp_path / "new")

    assert watched.look(2) == old
    ((_, error),) = watched.witness.refusals
    assert "the model was made with 000000000000" in error.problem


def test_old_bundle_that_is_put_back_answers_as_if_nothing_had_been(watched, bundle, tmp_path):
    old = watched.bundle_id
    bundle_like(bundle, tmp_path / "new")
    torn(tmp_path / "new")
    point(watched.live, tmp_path / "new")
    watched.look()

    point(watched.live, bundle)

    assert watched.look(2) == old
    watched.now_s[0] = 2 * RETRY_REFUSED_S
    assert watched.look() == old
    assert len(watched.witness.loads) == len(watched.witness.refusals) == 1


def test_one_slot_of_two_is_replaced_alone(bundle, tmp_path):
    witness = Witness()
    ids = [bundle_like(bundle, tmp_path / name) for name in ("champion", "b", "b2")]
    places = find_places(tmp_path)
    del places["b2"]
    slots = Slots.load(places, matrix_folder=lambda _: tmp_path / "none", observer=witness)
    assert {name: slot.bundle_id for name, slot in slots.current.items()} == {DEFAULT: ids[0], "b": ids[1]}
    assert (slots.slot("b").bundle_id, slots.slot("x").bundle_id, slots.slot(None).bundle_id) == (
        ids[1],
        ids[0],
        ids[0],
    )

    (tmp_path / "b").rename(tmp_path / "gone")
    (tmp_path / "b2").rename(tmp_path / "b")
    slots.look_at_bundles()

    assert {name: slot.bundle_id for name, slot in slots.current.items()} == {DEFAULT: ids[0], "b": ids[2]}


def test_first_bundle_that_is_harmed_ends_the_start(bundle, tmp_path):
    bundle_like(bundle, tmp_path / "new")
    torn(tmp_path / "new")

    with pytest.raises(BundleError, match="can't be read"):
        Slots.load({DEFAULT: tmp_path / "new"}, matrix_folder=lambda _: tmp_path, observer=Witness())


# --- the movies' state --------------------------------------------------------------------------------


def test_item_matrix_that_is_exported_is_taken_over_and_lists_change(watched):
    old = watched.slots.default
    later = datetime.fromtimestamp(old.state_as_of_us / 1e6, UTC) + timedelta(days=3)
    assert (old.matrix_version, listed(old, "trending", 90)[0]) != (None, "m050")

    matrix = export_later(watched.matrices, as_of=later, favourite="m050")
    watched.slots.look_at_matrices()

    new = watched.slots.default
    assert new.matrix_version == matrix.version
    assert new.state_as_of_us == old.state_as_of_us + 3 * 86_400_000_000
    assert listed(new, "trending")[0] == "m050"
    assert listed(old, "trending") != listed(new, "trending")  # a request under way keeps what it has
    assert watched.witness.refreshes[-1] == (DEFAULT, matrix.version)
    watched.slots.look_at_matrices()
    assert watched.slots.default is new


def test_new_bundle_gets_the_newer_state_of_the_matrix_and_an_older_matrix_is_left(watched, bundle, tmp_path):
    later = datetime.fromtimestamp(watched.slots.default.state_as_of_us / 1e6, UTC) + timedelta(days=3)
    matrix = export_later(watched.matrices, as_of=later, favourite="m050")
    watched.slots.look_at_matrices()
    bundle_like(bundle, tmp_path / "new")
    point(watched.live, tmp_path / "new")
    watched.look()
    new = watched.slots.default
    assert (new.matrix_version, listed(new, "trending")[0]) == (matrix.version, "m050")

    export_later(watched.matrices, as_of=later - timedelta(days=2), favourite="m040")
    watched.slots.look_at_matrices()

    assert watched.slots.default is new


@pytest.mark.parametrize("file", ["matrix.npy", "items.parquet", "manifest.json", "CURRENT"])
def test_item_matrix_that_is_torn_is_refused_once_and_the_next_is_taken(watched, file):
    old = watched.slots.default
    later = datetime.fromtimestamp(old.state_as_of_us / 1e6, UTC) + timedelta(days=3)
    matrix = export_later(watched.matrices, as_of=later, favourite="m050")
    harmed = watched.matrices / file if file == "CURRENT" else watched.matrices / matrix.version / file
    whole = harmed.read_bytes()
    harmed.write_bytes(whole[: len(whole) // 2])

    for _ in range(3):
        watched.slots.look_at_matrices()

    assert watched.slots.default is old
    ((name, error),) = watched.witness.refusals
    assert isinstance(error, FeatureStoreError)
    assert "item matrix" in name

    harmed.write_bytes(whole)
    watched.slots.look_at_matrices()

    assert watched.slots.default.matrix_version == matrix.version


# --- what is written of it ----------------------------------------------------------------------------


def test_chronicle_counts_each_refusal_and_says_each_reason_once(caplog):
    metrics = Metrics(CollectorRegistry())
    chronicle = Chronicle(metrics)
    error = BundleError("movies.parquet can't be read.", remedy="Train again.")
    with caplog.at_level("INFO", logger="marquee.serving"):
        for _ in range(3):
            chronicle.refused(DEFAULT, error)
        chronicle.refused(DEFAULT, BundleError("something else.", remedy="Train again."))

    assert metrics.registry.get_sample_value("marquee_bundle_refused_total", {"slot": DEFAULT}) == 4
    assert [record.getMessage().split(".")[0] for record in caplog.records] == [
        "refused: movies",
        "refused: something else",
    ]


# --- where bundles lie --------------------------------------------------------------------------------


def place_with(root: Path, *manifests: str) -> Path:
    for name in manifests:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"{}")
    return root


@pytest.mark.parametrize(
    ("manifests", "found"),
    [
        (["manifest.json"], {DEFAULT: "."}),
        (["bundle/manifest.json", "evaluated/manifest.json"], {DEFAULT: "bundle"}),
        (["champion/manifest.json", "b/manifest.json"], {DEFAULT: "champion", "b": "b"}),
        (["default/manifest.json", "b/manifest.json"], {DEFAULT: "default", "b": "b"}),
    ],
)
def test_places_of_a_bundle_a_run_and_a_folder_of_bundles(tmp_path, manifests, found):
    folder = place_with(tmp_path, *manifests)

    assert find_places(folder) == {name: folder / place for name, place in found.items()}


@pytest.mark.parametrize(
    ("manifests", "words"),
    [([], "it holds no bundle"), (["a/manifest.json", "b/manifest.json"], "it holds a, b, none of them")],
)
def test_places_without_a_default_are_none(tmp_path, manifests, words):
    with pytest.raises(BundleError, match=words):
        find_places(place_with(tmp_path, *manifests))
