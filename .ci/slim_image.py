"""Take out of an image's packages what no process of ours reads; says how much that was.

Run in the build stage: `python slim_image.py <site-packages> <list of distributions>…`. Distributions of the
lists go whole, by their own record of files; of the others their tests, headers and type stubs, and web
pages that Feast serves. Nothing may be named that is not there: a list that is out of date stops the build.
"""

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

FOLDERS = ("tests", "include", "feast/ui")
"""Relative to a package, at any depth; the last one is a package's own path."""
SUFFIXES = frozenset({".a", ".h", ".hpp", ".map", ".pxd", ".pyi", ".pyx"})


def named(listing: Path) -> list[str]:
    """The distributions of a list.

    Raises:
        ValueError: a line has no reason.
    """
    names = []
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), start=1):
        name, _, reason = line.partition("#")
        if name.strip() and not reason.strip():
            raise ValueError(f"{listing}:{number}: a distribution needs a reason: `<name>  # <reason>`")
        names += [name.strip()] if name.strip() else []
    return names


def files_of(distribution: Distribution, site: Path) -> Iterator[Path]:
    """Its files inside `site`, compiled ones too; those outside, such as scripts, are left alone."""
    for recorded in distribution.files or ():
        path = Path(str(distribution.locate_file(recorded))).resolve()
        if path.is_relative_to(site) and path.is_file():
            yield path
            yield from (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")


def remove_distributions(site: Path, names: list[str]) -> None:
    """Remove the distributions of these names.

    Raises:
        LookupError: there is none of a name.
    """
    found = {each.name.lower().replace("_", "-"): each for each in distributions(path=[str(site)])}
    if missing := sorted(set(names) - set(found)):
        raise LookupError(f"{site} has no {', '.join(missing)}: take it off the list")
    for name in names:
        for path in set(files_of(found[name], site)):
            path.unlink(missing_ok=True)
    remove_empty_folders(site)


def remove_idle_files(site: Path) -> None:
    """Remove tests, headers, type stubs and pages of the packages that stay."""
    for name in FOLDERS:
        for folder in [path for path in site.glob(f"**/{name}") if path.is_dir()]:
            shutil.rmtree(folder)
    for path in [path for path in site.rglob("*") if path.suffix in SUFFIXES and path.is_file()]:
        path.unlink()
    remove_empty_folders(site)


def remove_empty_folders(site: Path) -> None:
    """Remove folders without a file, from the deepest up: an empty one would pass for a package."""
    for folder in sorted((path for path in site.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def size_mb(site: Path) -> float:
    """Of all files, in megabytes."""
    return sum(path.lstat().st_size for path in site.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    """Slim the packages of a folder; 1 with the reason where a list does not fit."""
    site, *lists = (Path(each).resolve() for each in sys.argv[1:])
    before = size_mb(site)
    try:
        remove_distributions(site, [name for each in lists for name in named(each)])
    except (LookupError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    remove_idle_files(site)
    print(f"{site}: {before:.0f} MB before, {size_mb(site):.0f} MB now")
    return 0


if __name__ == "__main__":
    sys.exit(main())
