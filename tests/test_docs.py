"""What the documents point at exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (
    "docs",
    "marquee",
    "tests",
    "benchmarks",
    "components",
    "pipelines",
    "serving",
    "feature_repo",
    "k8s",
)
DOCUMENTS = sorted({*ROOT.glob("*.md"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.md"))})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_links_lead_to_files(document: Path):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link]

    assert [link for link in inside if not (document.parent / link).exists()] == []


def test_decisions_are_numbered_in_order_and_listed():
    folder = ROOT / "docs" / "decisions"
    names = sorted(path.name for path in folder.glob("[0-9]*.md"))
    index = (folder / "README.md").read_text(encoding="utf-8")

    assert [int(name[:4]) for name in names] == list(range(len(names)))
    assert all(f"({name})" in index for name in names)


def test_decisions_carry_date_and_status():
    decisions = set((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    for path in decisions - {ROOT / "docs" / "decisions" / "0000-template.md"}:
        line = path.read_text(encoding="utf-8").splitlines()[2]

        assert re.fullmatch(
            r"Date: \d{4}-\d\d-\d\d · Status: (proposed|accepted|superseded by \d{4})", line
        ), path


def test_readme_shows_the_graph_of_the_compiled_pipeline():
    from pipelines.graph import mermaid

    assert f"```mermaid\n{mermaid('training')}\n```" in (ROOT / "README.md").read_text(encoding="utf-8")
