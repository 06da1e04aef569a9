"""What of the movies one profile may hear of: in lists, in reasons, and in errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from marquee import schema
from marquee.data.interactions import UNKNOWN_INDEX
from marquee.errors import RequestError
from marquee.packing import Model
from marquee.policy.restrictions import Restrictions, strictest
from marquee.recommend import Recommender


@dataclass(frozen=True, eq=False)
class Visible:
    """The movies as one profile may see them: what is named to it, in lists and in errors."""

    model: Model
    limit: float | None  # years
    hidden: NDArray[np.bool_]  # (n_items,) by the limit

    @classmethod
    def of(cls, model: Model, recommender: Recommender, *limits: float | None) -> Self:
        """Under the strictest of some limits in years, as of the newest state of the movies."""
        limit = strictest(*limits)
        own = Restrictions.of_request({}, maturity_limit=limit)
        return cls(model, limit, recommender.hidden(recommender.catalogue.states.moments_us[-1:], own)[0])

    def restrictions(self, exclude: Sequence[str]) -> Restrictions:
        """Those of a list, less what is not wanted.

        Raises:
            RequestError: as `find`.
        """
        excluded = np.array([self.find(item) for item in exclude], np.int64)
        return Restrictions.of_request({}, maturity_limit=self.limit, excluded=excluded)

    def find(self, text: str) -> int:
        """An item's index by its id, its title with or without "(year)", or the beginning of a unique title.

        Raises:
            RequestError: none fits, or several do; the error names those that may be shown.
        """
        model = self.model
        if (index := model.recommender.items.index_of(text)) != UNKNOWN_INDEX:
            return index
        titles = model.movies[schema.TITLE].str.to_lowercase()
        shown = titles + " (" + model.movies[schema.YEAR].cast(pl.String) + ")"
        wanted = text.lower()
        for matches in (shown == wanted, titles == wanted, titles.str.starts_with(wanted)):
            found = model.movies.with_row_index("row").filter(matches.fill_null(value=False))
            if len(found) == 1:
                return int(found["row"][0])
            if len(found) > 1:
                raise RequestError(
                    f"{text!r} fits {len(found)} items{self._some(found)}.", remedy="Give the id of one."
                )
        raise RequestError(
            f"no item has the id or title {text!r}.",
            remedy="Give an id or the beginning of a title as the lists show it.",
        )

    def require(self, index: int, text: str) -> None:
        """Refuse to speak of an item that is hidden.

        Raises:
            RequestError: it is.
        """
        if self.hidden[index]:
            raise RequestError(
                f"{text!r} is not known to suit the maturity limit {self.limit:g}.",
                remedy="Ask about an item that a list under this limit shows.",
            )

    def _some(self, found: pl.DataFrame) -> str:
        visible = found.filter(~pl.Series(self.hidden)[found["row"]]).head(5)
        known = ", ".join(
            f"{row[schema.ITEM_ID]} {row[schema.TITLE]} ({row[schema.YEAR]})"
            for row in visible.iter_rows(named=True)
        )
        return f": {known}" if known else ""
