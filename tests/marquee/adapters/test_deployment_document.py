from pathlib import Path

import pytest

from marquee.adapters.deployment import (
    CanaryNotReadyError,
    DeploymentConflictError,
    DeploymentError,
    DeploymentUnavailableError,
)
from marquee.adapters.deployment_document import DocumentDeployment
from marquee.adapters.object_store import open_store
from marquee.errors import ObjectStoreError


@pytest.fixture
def made(tmp_path: Path) -> DocumentDeployment:
    deployment = DocumentDeployment(open_store(str(tmp_path)))
    deployment.create("old")
    return deployment


def version(made: DocumentDeployment) -> str:
    return made.status().version


def with_canary(made: DocumentDeployment, percent: int = 10) -> DocumentDeployment:
    made.set_canary("new", 0, expect=version(made))
    made.report_ready("old", "new")
    made.set_canary("new", percent, expect=version(made))
    return made


def test_canary_is_started_made_ready_given_a_share_and_promoted(made: DocumentDeployment):
    begun = made.set_canary("new", 0, expect=version(made))
    made.report_ready("old", "new")
    shared = made.set_canary("new", 10, expect=version(made))
    ended = made.promote("new", expect=version(made))

    assert (begun.canary, begun.percent, begun.is_canary_ready) == ("new", 0, False)
    assert (shared.stable, shared.canary, shared.percent) == ("old", "new", 10)
    assert (ended.stable, ended.canary, ended.percent) == ("new", None, 0)
    assert ended.generation == 5


def test_drop_canary_gives_all_to_the_stable_one(made: DocumentDeployment):
    ended = with_canary(made).drop_canary(expect=version(made))

    assert (ended.stable, ended.canary, ended.percent) == ("old", None, 0)


def test_each_change_asked_for_again_does_nothing_whatever_was_expected(made: DocumentDeployment):
    before = with_canary(made).status()
    assert made.set_canary("new", 10, expect="an older one") == before

    after = made.promote("new", expect=version(made))
    assert made.promote("new", expect="an older one") == after
    assert made.drop_canary(expect="an older one") == after
    assert made.create("old") == after


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made.set_canary("new", 20, expect="an older one"),
        lambda made: made.promote("new", expect="an older one"),
        lambda made: made.drop_canary(expect="an older one"),
    ],
)
def test_change_of_an_older_version_is_a_conflict_and_changes_nothing(made: DocumentDeployment, change):
    before = with_canary(made).status()

    with pytest.raises(DeploymentConflictError):
        change(made)
    assert made.status() == before


def test_share_for_a_canary_that_is_not_ready_is_refused(made: DocumentDeployment):
    made.set_canary("new", 0, expect=version(made))

    with pytest.raises(CanaryNotReadyError):
        made.set_canary("new", 1, expect=version(made))
    with pytest.raises(CanaryNotReadyError):
        made.promote("new", expect=version(made))


@pytest.mark.parametrize("bundle", ["another", "old-fashioned"])
def test_promotion_of_what_is_not_the_canary_is_refused(made: DocumentDeployment, bundle: str):
    with_canary(made)

    with pytest.raises(CanaryNotReadyError):
        made.promote(bundle, expect=version(made))


def test_stable_bundle_can_not_be_its_own_canary(made: DocumentDeployment):
    with pytest.raises(DeploymentError, match="is the stable one"):
        made.set_canary("old", 0, expect=version(made))


def test_status_without_a_deployment_says_how_to_begin(tmp_path: Path):
    with pytest.raises(DeploymentError, match="holds no deployment"):
        DocumentDeployment(open_store(str(tmp_path))).status()


def test_status_of_something_else_is_refused(made: DocumentDeployment):
    made.store.write(made.key, b'{"percent": 7}', expected=version(made))

    with pytest.raises(DeploymentError, match="none of our documents"):
        made.status()


def test_store_that_does_not_answer_is_unavailable(made: DocumentDeployment, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ObjectStoreError("no answer.", remedy="Wait.")

    expect = version(made)
    monkeypatch.setattr(made.store, "write", fail)

    with pytest.raises(DeploymentUnavailableError, match="no answer"):
        made.set_canary("new", 0, expect=expect)
