"""Which data set and which stores a command of `marquee features` is about."""

import os
import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from marquee.adapters.feast import FeatureDoor
    from marquee.data.warehouse import Warehouse
    from marquee.features.state import SideTables
    from marquee.settings import Settings

DEFAULT = "ml-100k"

Dataset = Annotated[str, typer.Option("--dataset", help="A name of `marquee data list`.")]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Of feature_repo/profiles, or a .yaml file; MARQUEE_PROFILE, else local.",
    ),
]


@dataclass(frozen=True)
class Place:
    """A data set's warehouse and state."""

    name: str
    """As in `marquee data list`."""
    storage: str
    """The name that its folders have."""
    settings: "Settings"
    fetch: str
    """The command that makes its warehouse."""

    @classmethod
    def of(cls, name: str, *, source: str | None, config: Path | None) -> "Place":
        """By what `marquee train` is told as well.

        Raises:
            ConfigError: the configuration file does not fit.
        """
        from marquee.config import TrainingConfig
        from marquee.data.datasets.prepare import storage_name
        from marquee.settings import Settings

        choices = (TrainingConfig.from_file(config) if config else TrainingConfig()).dataset
        words = ["marquee", "data", "fetch", name]
        words += ["--source", source] if source else []
        words += ["--config", str(config)] if config else []
        return cls(
            name=name,
            storage=storage_name(name, source=source, config=choices),
            settings=Settings.from_environment(),
            fetch=shlex.join(words),
        )

    @property
    def state(self) -> Path:
        """The folder of the state, with the local profile's stores beside it."""
        return self.settings.state(self.storage).absolute()

    def warehouse(self) -> "Warehouse":
        """Where the events are.

        Raises:
            WarehouseError: nothing was brought there yet.
        """
        from marquee.data.warehouse import Warehouse
        from marquee.errors import WarehouseError

        folder = self.settings.warehouse(self.storage)
        if not (folder / "warehouse.json").exists():
            raise WarehouseError(
                f"there is no warehouse of {self.name} in {folder}.", remedy=f"Run `{self.fetch}`."
            )
        return Warehouse(folder)

    def side_tables(self) -> "SideTables":
        """Users, movies and publicity of the warehouse.

        Raises:
            WarehouseError: as `warehouse`, or a part is missing or damaged.
        """
        from marquee import schema
        from marquee.features.state import SideTables

        warehouse = self.warehouse()
        return SideTables(
            *(warehouse.read_table(name) for name in (schema.USERS, schema.MOVIES, schema.PUBLICITY))
        )

    def door(self, profile: str | None) -> "FeatureDoor":
        """The feature store of a profile over this data set's state.

        Raises:
            ConfigError: Feast is not installed, or the profile does not fit.
        """
        require_feast()
        from marquee.feature_state import FeatureState

        return FeatureState.of(self.storage, self.settings, environment=os.environ).open(profile)


def require_feast() -> None:
    """Check that Feast is there before something imports it.

    Raises:
        ConfigError: it is not.
    """
    from marquee.errors import ConfigError

    if find_spec("feast") is None:
        raise ConfigError("Feast is not installed.", remedy="Run `make setup`.")
