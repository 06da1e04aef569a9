"""Join keys of one view as a single integer key, equal on both sides exactly where all parts are."""

import polars as pl

_CODE = "code"


def joined(stored: list[pl.Series], label: list[pl.Series]) -> tuple[pl.Series, pl.Series]:
    """One key for the stored rows and one for the labels, both integers.

    Null wherever any part is null: null matches nothing. A label that no stored row has gets null or a
    key of its own. The parts must agree in type (`columns.agreed`).
    """
    if len(stored) == 1 and stored[0].dtype == pl.Int64:
        return stored[0], label[0]
    if len(stored) == 1 and stored[0].dtype == pl.String:
        # categories of this call alone: one hash of each string, half the time of a join
        categories = pl.Categorical(pl.Categories.random())
        # both are held until both are cast: polars forgets categories with the last series that uses them
        both = stored[0].cast(categories), label[0].cast(categories)
        return both[0].to_physical(), both[1].to_physical()
    names = [f"part{i}" for i in range(len(stored))]
    rows = pl.DataFrame([part.alias(name) for part, name in zip(stored, names, strict=True)])
    asked = pl.DataFrame([part.alias(name) for part, name in zip(label, names, strict=True)])
    codes = rows.drop_nulls().unique(maintain_order=True).with_row_index(_CODE)
    return _coded(rows, codes, names), _coded(asked, codes, names)


def _coded(frame: pl.DataFrame, codes: pl.DataFrame, names: list[str]) -> pl.Series:
    return frame.join(codes, on=names, how="left", maintain_order="left")[_CODE]
