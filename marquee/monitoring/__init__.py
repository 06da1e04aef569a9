"""Verdicts: what was shown, what came of it, whether it drifts, and who wins."""
