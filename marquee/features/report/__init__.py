"""The feature report and the catalogue: what the state holds, how it moved, and what is declared, as pages.

Rendering imports Jinja: import this where it is used.
"""

from marquee.features.report.ablation import Ablation
from marquee.features.report.attention import Finding, findings
from marquee.features.report.catalogue import Catalogue
from marquee.features.report.config import ReportConfig
from marquee.features.report.measure import StateMeasure, ViewPromise, measure_state
from marquee.features.report.page import render_catalogue, render_report

__all__ = [
    "Ablation",
    "Catalogue",
    "Finding",
    "ReportConfig",
    "StateMeasure",
    "ViewPromise",
    "findings",
    "measure_state",
    "render_catalogue",
    "render_report",
]
