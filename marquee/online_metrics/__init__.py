"""Online metrics: what came of what was shown, by period, variant, surface and slice."""
