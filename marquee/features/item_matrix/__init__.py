"""All movies' state as of one moment in one float32 matrix: exported, verified, held, refreshed."""

from marquee.features.item_matrix.export import export_item_matrix
from marquee.features.item_matrix.folder import ItemMatrixFolder
from marquee.features.item_matrix.holder import ItemMatrixHolder
from marquee.features.item_matrix.matrix import ItemMatrix, item_columns, item_views
from marquee.features.reader import SERVICE

__all__ = [
    "SERVICE",
    "ItemMatrix",
    "ItemMatrixFolder",
    "ItemMatrixHolder",
    "export_item_matrix",
    "item_columns",
    "item_views",
]
