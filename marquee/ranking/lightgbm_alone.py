"""LightGBM by itself, for a process that fits or reads a ranker and then ends."""

from marquee.sparing import without


def import_lightgbm_alone() -> None:
    """Import LightGBM without pandas, which takes several times as long; nobody here hands it data frames.

    Where pandas is loaded already, as by Feast, LightGBM uses it as ever.
    """
    with without("pandas"):
        import lightgbm  # noqa: F401, PLC0415
