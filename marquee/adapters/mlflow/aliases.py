"""Who is champion and who is challenger: a small document, changed by compare-and-set.

MLflow's own aliases are given to whoever writes last, so two promotions at once would lose one without a
word. Here each change is written on condition that nobody wrote in between; MLflow's aliases only mirror it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from marquee.adapters.mlflow.faults import RegistryError
from marquee.errors import ConflictError, ObjectMissingError

SCHEMA_VERSION: Final = 1
_ATTEMPTS: Final = 20
"""Of each round one writer succeeds, so this many may write at once."""


class StoredDocument(Protocol):
    """What an `AliasStore` reads."""

    @property
    def content(self) -> bytes:
        """Its bytes."""

    @property
    def version(self) -> str:
        """What `write` expects to find."""


class AliasStore(Protocol):
    """Keeps small documents by key, and writes one only over the version that was read.

    An `ObjectStore` is one: a folder, or a bucket.
    """

    def read(self, key: str) -> StoredDocument:
        """The document.

        Raises:
            ObjectMissingError: there is none yet.
        """

    def write(self, key: str, content: bytes, *, expected: str | None) -> str:
        """Write it where its version is the expected one, None for "there is none yet".

        Raises:
            ConflictError: somebody else wrote meanwhile.
        """


class Move(BaseModel):
    """A change of champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["promote", "rollback"]
    """How it came about."""
    bundle_id: str
    """The champion from then on. MLflow's number of it is left out: another database gives another one."""
    at: datetime
    """With a zone."""


class Aliases(BaseModel):
    """The document: the challenger, and every change of champion, oldest first. Bundles go by their ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = SCHEMA_VERSION
    """Layout of the document."""
    challenger: str | None = None
    """Who passed the gate and is not promoted yet."""
    moves: tuple[Move, ...] = ()
    """Of the champion; nothing is ever taken out."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self._reigns()
        return self

    def _reigns(self) -> list[Move]:
        """The promotions that a rollback could still return to, oldest first; the last one holds."""
        reigns: list[Move] = []
        for move in self.moves:
            if move.action == "promote":
                reigns.append(move)
            elif [reign.bundle_id for reign in reigns[-2:-1]] == [move.bundle_id]:
                reigns.pop()
            else:
                raise ValueError(f"the rollback of {move.at} leads to no champion before")
        return reigns

    @property
    def champion(self) -> Move | None:
        """Who reigns, by which promotion; None before the first one."""
        return next(reversed(self._reigns()), None)

    @property
    def champion_before(self) -> Move | None:
        """Who a rollback would return to."""
        return next(iter(self._reigns()[-2:-1]), None)

    def _is_champion(self, bundle_id: str) -> bool:
        return self.champion is not None and self.champion.bundle_id == bundle_id

    def challenged_by(self, bundle_id: str) -> "Aliases":
        """With another challenger; the champion does not challenge itself."""
        challenger = None if self._is_champion(bundle_id) else bundle_id
        return self.model_copy(update={"challenger": challenger})

    def promoted(self, bundle_id: str, *, at: datetime) -> "Aliases":
        """With another champion, who is challenger no longer; as it is where the champion is meant."""
        if self._is_champion(bundle_id):
            return self
        move = Move(action="promote", bundle_id=bundle_id, at=at)
        challenger = None if self.challenger == bundle_id else self.challenger
        return self.model_copy(update={"challenger": challenger, "moves": (*self.moves, move)})

    def rolled_back(self, *, at: datetime) -> "Aliases":
        """With the champion before.

        Raises:
            RegistryError: there is none.
        """
        if (before := self.champion_before) is None:
            raise RegistryError(
                "there is no champion before to return to.",
                remedy="Promote a version of the registry's list.",
            )
        move = Move(action="rollback", bundle_id=before.bundle_id, at=at)
        return self.model_copy(update={"moves": (*self.moves, move)})

    def of(self, bundle_id: str) -> tuple[str, ...]:
        """The aliases that a bundle holds."""
        return tuple(alias for alias, holder in self.by_name().items() if holder == bundle_id)

    def by_name(self) -> dict[str, str]:
        """The aliases that are held."""
        champion = None if self.champion is None else self.champion.bundle_id
        held = {"champion": champion, "challenger": self.challenger}
        return {alias: holder for alias, holder in held.items() if holder is not None}


def read_aliases(store: AliasStore, key: str) -> Aliases:
    """The document, an empty one where there is none yet.

    Raises:
        RegistryError: something else lies there.
    """
    return _read(store, key)[0]


def change_aliases(store: AliasStore, key: str, change: Callable[[Aliases], Aliases]) -> Aliases:
    """Change the document; where somebody else wrote meanwhile, look again and decide anew.

    Args:
        store: where it lies.
        key: its key there.
        change: old to new; called again after a conflict, and may raise to refuse.

    Raises:
        RegistryError: something else lies there, or others kept writing.
    """
    for _ in range(_ATTEMPTS):
        old, expected = _read(store, key)
        new = change(old)
        if new == old:
            return old
        try:
            store.write(key, new.model_dump_json(indent=2).encode() + b"\n", expected=expected)
        except ConflictError:
            continue
        return new
    raise RegistryError(f"{key} was changed by others {_ATTEMPTS} times in a row.", remedy="Try again.")


def _read(store: AliasStore, key: str) -> tuple[Aliases, str | None]:
    """The document and the version to be written over."""
    try:
        found = store.read(key)
        return Aliases.model_validate_json(found.content), found.version
    except ObjectMissingError:
        return Aliases(), None
    except ValidationError as error:
        raise RegistryError(
            f"{key} in the alias store is none of our documents: {error.errors()[0]['msg']}.",
            remedy="Restore it, or remove it and promote again.",
        ) from error
