"""The evaluation report: what `metrics.json` of a run holds, as one page to read.

Rendering imports Jinja: import this where it is used.
"""

from marquee.evaluation.report.page import render_evaluation

__all__ = ["render_evaluation"]
