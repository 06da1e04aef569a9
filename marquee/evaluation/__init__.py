"""How good is it, how sure are we, and may it go live: metrics, intervals, slices, the gate.

Nothing here knows routes or rankers: it is handed lists of item indexes (or a callable that makes
them) and the items that were consumed. From the inside out: `relevance` says which recommended
items were right, `ranking_metrics` and `list_metrics` turn that into numbers, `significance` says
how sure they are, `slices` for whom they hold, `gate` what follows, and `evaluate` does it for
several models at once.
"""
