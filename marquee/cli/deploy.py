"""`marquee deploy …`: have a cluster serve a bundle, give another one a share, promote it, take it back."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from marquee.cli.aws_policies import aws_policies
from marquee.cli.options import AsJson, RunsFolder
from marquee.cli.rollout_places import crown_of, service_at

if TYPE_CHECKING:
    from marquee.adapters.kubernetes import InferenceServiceDeployment, Patience

app = typer.Typer(help="Serve bundles on Kubernetes, as an InferenceService.", no_args_is_help=True)
app.command(name="aws-policies")(aws_policies)

BundleArgument = Annotated[
    str, typer.Argument(help="A registered bundle's id, or the address of its folder: s3://bucket/folder/.")
]
AddressOption = Annotated[
    str, typer.Option("--deployment", metavar="k8s://NAMESPACE/NAME", help="The InferenceService.")
]
ImageOption = Annotated[
    str | None, typer.Option("--image", help="Of the server; the one that is there by default.")
]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds to wait for it to be ready.")]
EveryOption = Annotated[float, typer.Option("--every", help="Seconds between looks.")]
RegistryOption = Annotated[
    str | None, typer.Option("--registry", metavar="DATASET", help="Whose registry hears of it.")
]


@app.command()
def apply(
    bundle: BundleArgument,
    deployment: AddressOption,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", help="YAML that holds the InferenceService, as kubectl kustomize gives it."
        ),
    ] = None,
    image: ImageOption = None,
    timeout: TimeoutOption = 600,
    every: EveryOption = 2,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Have the stable arm serve a bundle that verifies; needs --manifest the first time."""
    patience = _patience(timeout, every)
    with service_at(deployment, runs) as place:
        base = None if manifest is None else _read_manifest(manifest, place.api.address.name)
        arm = place.shelf.fetch(bundle).with_image(image)
        place.apply(arm, base=base)
        left = (
            f"Bundle {arm.bundle_id} stays asked for; pods that serve go on. Undo: `marquee deploy rollback`."
        )
        _wait(place, place.stable_standing, patience, left=left)
        _show(place, f"bundle {arm.bundle_id} is served", as_json=as_json)


@app.command()
def canary(
    bundle: BundleArgument,
    deployment: AddressOption,
    percent: Annotated[int, typer.Option("--percent", help="Its share of the requests, 0 to 100.")] = 10,
    image: ImageOption = None,
    timeout: TimeoutOption = 600,
    every: EveryOption = 2,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Start a bundle beside the stable one at 0 %, and give it its share once it is ready."""
    from marquee.adapters.kubernetes import share_of
    from marquee.errors import RequestError

    if not 0 <= percent <= 100:
        raise RequestError(f"--percent {percent} is no share.", remedy="Give 0 to 100.")
    patience = _patience(timeout, every)
    with service_at(deployment, runs) as place:
        arm = place.shelf.fetch(bundle, near=place.stable_uri()).with_image(image)
        if share_of(place.read(), arm) is None:
            place.give(arm, 0)
        left = f"Canary {arm.bundle_id} stays without a share; `marquee deploy rollback` removes it."
        _wait(place, place.canary_standing, patience, left=left)
        place.give(arm, percent)
        left = f"Canary {arm.bundle_id} stays at {percent} %; `marquee deploy rollback` removes it."
        _wait(place, place.split_standing, patience, left=left)
        _show(place, f"canary {arm.bundle_id} has {percent} % of the requests", as_json=as_json)


@app.command()
def promote(
    deployment: AddressOption,
    bundle: Annotated[
        str | None, typer.Option("--bundle", help="Its id; the canary that is there by default.")
    ] = None,
    registry: RegistryOption = None,
    timeout: TimeoutOption = 600,
    every: EveryOption = 2,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make the canary the stable arm, with the pods that it has."""
    patience, crown = _patience(timeout, every), crown_of(registry, runs)
    with service_at(deployment, runs) as place:
        before = place.status()
        wanted = bundle or before.canary or before.stable
        place.promote(wanted)
        left = f"Bundle {wanted} is the stable one; `marquee deploy rollback` returns to the one before."
        _wait(place, place.stable_standing, patience, left=left)
        words = f"bundle {wanted} is the stable one"
        if crown is not None and (instead_of := place.served_before()) is not None:
            words += f", and {crown(wanted, instead_of=instead_of)}"
        _show(place, words, as_json=as_json)


@app.command()
def rollback(
    deployment: AddressOption,
    to: Annotated[
        str | None, typer.Option("--to", help="Bundle id that is to be stable afterwards; checks the way.")
    ] = None,
    timeout: TimeoutOption = 600,
    every: EveryOption = 2,
    runs: RunsFolder = None,
    as_json: AsJson = False,
) -> None:
    """Remove the canary; where there is none, return to the bundle before. Twice is as good as once."""
    patience = _patience(timeout, every)
    with service_at(deployment, runs) as place:
        way = place.roll_back(to)
        left = "The rollback stays asked for; pods that serve go on. Its pods say what keeps it."
        _wait(place, place.stable_standing, patience, left=left)
        words = {
            "drop": f"canary {way.bundle} is gone",
            "return": f"returned to bundle {way.bundle}",
            "done": f"nothing to do: it was rolled back already ({way.bundle}); --to names an older one",
        }
        _show(place, words[way.kind], as_json=as_json)


@app.command()
def status(deployment: AddressOption, runs: RunsFolder = None, as_json: AsJson = False) -> None:
    """Who serves what, whether it is ready, and what keeps it; changes nothing."""
    with service_at(deployment, runs) as place:
        _show(place, "", as_json=as_json)


def _patience(timeout: float, every: float) -> "Patience":
    from marquee.adapters.kubernetes import Patience

    return Patience(timeout_s=timeout, every_s=every)


def _read_manifest(file: Path, name: str) -> dict[str, Any]:
    """The InferenceService of this name among the documents of a file.

    Raises:
        ConfigError: the file can't be read, is no YAML, or holds none.
    """
    import yaml

    from marquee.errors import ConfigError

    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            f"--manifest {file} can't be read: {str(error).partition(chr(10))[0]}.",
            remedy="Give what `kubectl kustomize k8s/overlays/…` writes.",
        ) from error
    for each in documents:
        is_one = isinstance(each, dict) and each.get("kind") == "InferenceService"
        if is_one and each.get("metadata", {}).get("name") == name and each.get("spec", {}).get("predictor"):
            return dict(each)
    raise ConfigError(
        f"--manifest {file} holds no InferenceService {name} with a predictor.",
        remedy="Give what `kubectl kustomize k8s/overlays/…` writes, or correct --deployment.",
    )


def _wait(
    place: "InferenceServiceDeployment", look: Callable[[], Any], patience: "Patience", *, left: str
) -> None:
    from marquee.adapters.kubernetes import wait_until
    from marquee.cli.render import ERR

    began = patience.clock()

    def tell(words: str) -> None:
        ERR.print(f"  {patience.clock() - began:6.1f} s  {words}", markup=False)

    with ERR.status("waiting for the cluster") if ERR.is_terminal else _nothing():
        wait_until(look, patience=patience, tell=tell, troubles=place.troubles, left=left)


def _nothing() -> AbstractContextManager[None]:
    from contextlib import nullcontext

    return nullcontext()


def _show(place: "InferenceServiceDeployment", words: str, *, as_json: bool) -> None:
    from marquee.cli.render import OUT, facts, print_json

    found, troubles = place.status(), place.troubles()
    values = {**asdict(found), "before": place.served_before(), "troubles": troubles}
    if as_json:
        print_json(values)
        return
    if words:
        OUT.print(f"[green]✓[/] {place.api.address}: {words}")
    OUT.print(facts("Deployment", _rows(values)))


def _rows(values: Mapping[str, Any]) -> dict[str, object]:
    ready = {True: "ready", False: "not ready"}
    rows: dict[str, object] = {"stable": f"{values['stable']}, {ready[values['is_stable_ready']]}"}
    if values["canary"]:
        rows["canary"] = f"{values['canary']} at {values['percent']} %, {ready[values['is_canary_ready']]}"
    if values["before"]:
        rows["before"] = values["before"]
    if values["troubles"]:
        rows["troubles"] = "\n".join(values["troubles"])
    return rows
