"""The catalogue read from the declarations, and its page."""

import shutil
from pathlib import Path

import pytest

from marquee import schema
from marquee.adapters.feast.catalogue import read_catalogue
from marquee.adapters.feast.declarations import contract, contract_hash, load_declarations
from marquee.errors import ConfigError
from marquee.features.report import Catalogue, render_catalogue
from marquee.features.report.notes import FEATURE_NOTES
from tests.marquee.adapters.feast.place import REPO
from tests.marquee.features.report.test_page import checked


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(REPO)


def test_catalogue_lists_the_views_and_fields_of_the_schema(catalogue: Catalogue):
    listed = {view.name: [field.name for field in view.fields] for view in catalogue.views}

    assert listed == {view: list(fields) for view, fields in schema.FEATURE_VIEWS.items()}
    assert {view.name: view.keys for view in catalogue.views} == {
        view: (key,) for view, key in schema.VIEW_KEYS.items()
    }


def test_catalogue_describes_every_field(catalogue: Catalogue):
    described = {field.name: field.description for view in catalogue.views for field in view.fields}
    described |= {field.name: field.description for source in catalogue.sources for field in source.fields}

    assert described == FEATURE_NOTES


def test_catalogue_names_the_services_of_each_field(catalogue: Catalogue):
    services = {field.name: set(field.services) for view in catalogue.views for field in view.fields}

    assert services == {
        name: {service for service, views in schema.FEATURE_SERVICES.items() if name in views.get(view, ())}
        for view, fields in schema.FEATURE_VIEWS.items()
        for name in fields
    }


def test_catalogue_carries_limits_promises_and_contracts(catalogue: Catalogue):
    declared = load_declarations(REPO, state_root="elsewhere")

    for view in catalogue.views:
        assert view.slo_hours == int(declared.views[view.name].tags["freshness_slo_h"])
        assert (view.ttl_seconds or 0) == declared.views[view.name].ttl.total_seconds()
        assert view.is_static == (view.name in {schema.USER_PROFILE_VIEW, schema.MOVIE_PROFILE_VIEW})
    hashes = {each.name: each.contract_hash for each in catalogue.services}
    assert hashes == {
        name: contract_hash(contract(each, declared.views)) for name, each in declared.services.items()
    }


def test_lineage_goes_from_source_over_view_to_services(catalogue: Catalogue):
    assert (
        "user_activity_state",
        schema.USER_ACTIVITY_VIEW,
        ("candidates_v1", "ranking_v1"),
    ) in catalogue.lineage
    assert {source.path for source in catalogue.sources} == {*schema.FEATURE_VIEWS, None}


def test_catalogue_page_is_whole_and_says_everything(catalogue: Catalogue):
    page = checked(render_catalogue(catalogue))

    words = set(page.words)
    assert {note for note in FEATURE_NOTES.values() if "'" not in note} <= words
    assert {each.contract_hash for each in catalogue.services} <= words
    assert {*schema.FEATURE_VIEWS, *schema.FEATURE_SERVICES, *schema.CONTEXT_FEATURES} <= words


def test_hostile_declarations_are_shown_as_text(tmp_path: Path):
    hostile = "<img src=x onerror='alert(1)'>&"
    copy = shutil.copytree(REPO, tmp_path / "repo", ignore=shutil.ignore_patterns("__pycache__"))
    entities = copy / "entities.py"
    entities.write_text(entities.read_text().replace("Somebody who watches", hostile))

    page = checked(render_catalogue(read_catalogue(copy)))

    assert any(hostile in words for words in page.words)


def test_folder_without_declarations_is_one_clear_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="is no feature repository"):
        read_catalogue(tmp_path)
