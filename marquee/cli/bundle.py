"""`marquee bundle …`: look into a bundle, check it."""

from pathlib import Path
from typing import Annotated

import typer

from marquee.cli.options import AsJson, RunsFolder

app = typer.Typer(help="Inspect and verify bundles.", no_args_is_help=True)

BundleArgument = Annotated[
    Path | None, typer.Argument(help="A bundle or run folder; the latest run's by default.")
]


@app.command()
def inspect(bundle: BundleArgument = None, runs: RunsFolder = None, as_json: AsJson = False) -> None:
    """What a bundle is, from what it learned, and how it measured."""
    from marquee.bundle import read_manifest
    from marquee.cli.render import OUT, facts, print_json, size, table
    from marquee.run_folder import find_bundle
    from marquee.settings import Settings

    path = find_bundle(runs or Settings.from_environment().runs, bundle)
    manifest = read_manifest(path)
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    content, provenance = manifest.content, manifest.provenance
    OUT.print(
        facts(
            "Bundle",
            {
                "path": path.resolve(),
                "id": manifest.bundle_id,
                "data": f"{content['dataset']}, snapshot {content['snapshot'][:16]}",
                "routes": ", ".join(content["routes"]),
                "features": len(content["feature_order"]),
                "metrics": ", ".join(
                    f"{name} {content['metrics'][name]:.4f}"
                    for name in ("ndcg@10", "precision@12", "mrr@10")
                    if name in content["metrics"]
                ),
                **{name: _in_words(value) for name, value in provenance.items() if value is not None},
            },
        )
    )
    OUT.print()
    files = table("Files", ["path", "size", "sha256"])
    for name, entry in manifest.files.items():
        files.add_row(name, size(entry.size_bytes), entry.sha256[:12])
    OUT.print(files)


def _in_words(value: object) -> object:
    """A fact of the manifest without the marks of a program."""
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else value


@app.command()
def verify(bundle: BundleArgument = None, runs: RunsFolder = None, as_json: AsJson = False) -> None:
    """Check every file of a bundle against its manifest."""
    from marquee.bundle import verify_bundle
    from marquee.cli.render import OUT, print_json
    from marquee.run_folder import find_bundle
    from marquee.settings import Settings

    path = find_bundle(runs or Settings.from_environment().runs, bundle)
    manifest = verify_bundle(path)
    if as_json:
        print_json(
            {
                "path": str(path),
                "bundle_id": manifest.bundle_id,
                "files": len(manifest.files),
                "verified": True,
            }
        )
    else:
        n_files = len(manifest.files)
        OUT.print(f"[green]✓[/] {path}: {n_files} files are what the manifest says, id {manifest.bundle_id}")
