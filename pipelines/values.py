"""The values of a run, as the commands name and change them."""

from pathlib import Path
from typing import Annotated, Final

import typer

from marquee.errors import ConfigError
from marquee.run_values import RunValues

CONFIGS: Final = Path(__file__).parent / "configs"
ValuesFile = Annotated[
    str, typer.Option("--values", help="A name in pipelines/configs, or a YAML file of the run's values.")
]


def read_values(name: str) -> RunValues:
    """Values by the name of a file in pipelines/configs, or by a path.

    Raises:
        ConfigError: there is none, or a key or value does not fit.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = CONFIGS / f"{name}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
            raise ConfigError(f"--values = {name!r} is none of {known}.", remedy="Or name a .yaml file.")
    return RunValues.from_file(path)


def changed(values: RunValues, *, dataset: str = "", source: str = "", seed: int | None = None) -> RunValues:
    """The values with what the command line says otherwise.

    Raises:
        ConfigError: that does not fit.
    """
    plain = values.model_dump(mode="json", exclude_defaults=True)
    plain |= {key: value for key, value in {"dataset": dataset, "source": source}.items() if value}
    if seed is not None:
        plain["training"] = {**plain.get("training", {}), "seed": seed}
    return RunValues.from_values(plain, where="command line")
