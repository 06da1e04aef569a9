"""What feature_repo declares: complete, labelled, and unchanged under its names."""

import ast
import sys
from pathlib import Path

import pytest

from marquee import schema
from marquee.adapters.feast.declarations import (
    Declarations,
    contract,
    contract_hash,
    load_declarations,
    ttl_seconds,
)

REPO = Path(__file__).parents[2] / "feature_repo"
TAGS = {"domain", "pii", "cadence", "freshness_slo_h", "source_system", "license"}
ALLOWED_IMPORTS = {"feast", "marquee"}

SERVICE_HASHES = {
    "candidates_v1": "647905a8d45e7cf28ccd4fb5b94ae1d903145b0c99c7cda2c5182c0deaaf06d2",
    "ranking_v1": "5acc5749cfaf9e6d4f789d2c15e1fac097516dacf600db666057099192a02ff7",
}
"""What each version means. A new hash is a new meaning: give the service a new name instead."""


@pytest.fixture(scope="module")
def declared() -> Declarations:
    return load_declarations(REPO, state_root="state")


def test_services_mean_what_they_always_meant(declared: Declarations):
    hashes = {name: contract_hash(contract(each, declared.views)) for name, each in declared.services.items()}

    assert hashes == SERVICE_HASHES


def test_services_list_exactly_the_features_of_the_schema_in_its_order(declared: Declarations):
    listed = {
        name: {
            part.name: tuple(field.name for field in part.features) for part in each.feature_view_projections
        }
        for name, each in declared.services.items()
    }

    assert listed == schema.FEATURE_SERVICES


def test_views_are_those_of_the_schema_with_all_of_their_fields(declared: Declarations):
    assert {name: [field.name for field in view.features] for name, view in declared.views.items()} == {
        name: list(fields) for name, fields in sorted(schema.FEATURE_VIEWS.items())
    }


def test_views_carry_owner_description_tags_and_both_timestamps(declared: Declarations):
    for view in declared.views.values():
        assert view.owner
        assert view.description
        assert set(view.tags) == TAGS
        assert all(view.tags.values())
        assert int(view.tags["freshness_slo_h"]) > 0
        assert view.ttl is not None
        assert ttl_seconds(view) is not None or "No limit" in view.description
        assert view.batch_source.timestamp_field == schema.EVENT_TIMESTAMP
        assert view.batch_source.created_timestamp_column == schema.CREATED_TIMESTAMP
        assert view.batch_source.path == f"state/{view.name}"


def test_entities_services_and_sources_carry_owner_description_and_tags(declared: Declarations):
    for each in [*declared.entities.values(), *declared.services.values(), *declared.sources.values()]:
        assert each.owner
        assert each.description
        assert each.tags


def test_feature_names_are_unique_across_views_and_free_of_what_stores_stumble_over():
    names = [name for fields in schema.FEATURE_VIEWS.values() for name in fields]

    assert len(names) == len(set(names))
    assert [
        name for name in names if name.endswith("_y") or any(mark in name for mark in ("__", ":", "@"))
    ] == []


def test_feature_repo_imports_feast_its_own_modules_and_the_schema_only():
    own = {path.stem for path in REPO.glob("*.py")}
    for path in REPO.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
                if node.module == "marquee":
                    assert [alias.name for alias in node.names] == ["schema"], path
            else:
                continue
            for name in imported:
                top = name.partition(".")[0]
                assert top in ALLOWED_IMPORTS | own | set(sys.stdlib_module_names), (path, name)


def test_feature_repo_holds_declarations_and_nothing_to_run():
    for path in REPO.glob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef, ast.Expr)
        assert all(isinstance(node, allowed) for node in body), path


def test_loading_leaves_no_module_behind(declared: Declarations):
    assert not {"entities", "sources", "views", "services", "fields"} & set(sys.modules)
