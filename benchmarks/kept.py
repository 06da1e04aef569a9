"""Where results go: the numbers as JSON, the same to read as Markdown, and on the screen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def keep(folder: Path, name: str, report: Mapping[str, Any], text: str) -> None:
    """Write `name`.json and `name`.md into the folder, made where it is missing, and print the text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
