"""What a file for Prometheus says."""

from prometheus_client.parser import text_string_to_metric_families

from marquee.monitoring.gauges import GAUGES

LABELS = {each.name: each.labels for each in GAUGES}


def drawn(text: str) -> dict[tuple[str, ...], float]:
    """Values by name and labels, these in the gauge's order and not in that of their names."""
    return {
        (sample.name, *(sample.labels[each] for each in LABELS[sample.name])): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
