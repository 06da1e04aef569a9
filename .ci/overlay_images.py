"""Read or write the images of an overlay, by digest; everything else in the file stays as it is.

    python overlay_images.py set k8s/overlays/production/kustomization.yaml marquee-serving=…/serving@sha256:…
    python overlay_images.py get k8s/overlays/production/kustomization.yaml marquee-serving

`kustomize edit set image` would write the whole file anew, without its comments' places. Needs Python alone.
"""

import re
import sys
from pathlib import Path

REFERENCE = re.compile(r"(?P<name>[a-z0-9][\w.:/-]*)@(?P<digest>sha256:[0-9a-f]{64})")
ENTRY = r"^(?P<start> *- \{{name: {name}, )newName: (?P<new>[^,}}]+), (?:newTag|digest): (?P<of>[^}}]+)\}}$"


def entry(text: str, name: str) -> re.Match[str]:
    """The one line that says which image a name stands for.

    Raises:
        ValueError: there is none, or there are several.
    """
    found = list(re.finditer(ENTRY.format(name=re.escape(name)), text, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{len(found)} lines of the form - {{name: {name}, newName: …, digest: …}}, not one")
    return found[0]


def with_image(text: str, name: str, reference: str) -> str:
    """The overlay with another image.

    Raises:
        ValueError: the reference has no digest, or the overlay no place for it.
    """
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise ValueError(f"{reference!r} is no image by digest: repository@sha256:…")
    line = entry(text, name)
    new = f'{line["start"]}newName: {match["name"]}, digest: "{match["digest"]}"}}'
    return text[: line.start()] + new + text[line.end() :]


def image_of(text: str, name: str) -> str:
    """The image that a name stands for, by its digest.

    Raises:
        ValueError: it has a tag or no image yet.
    """
    line = entry(text, name)
    reference = f"{line['new']}@{line['of'].strip(chr(34))}"
    if REFERENCE.fullmatch(reference) is None or reference.endswith("0" * 64):
        raise ValueError(f"{name} has no digest yet: {line['new']}, {line['of']}")
    return reference


def main() -> int:
    """Run the command line; 1 with the reason where something does not fit."""
    action, file, *words = sys.argv[1:]
    path = Path(file)
    text = path.read_text(encoding="utf-8")
    try:
        if action == "get":
            print("\n".join(image_of(text, name) for name in words))
            return 0
        for word in words:
            name, _, reference = word.partition("=")
            text = with_image(text, name, reference)
    except ValueError as error:
        print(f"error: {file}: {error}", file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
