"""Print a PrometheusRule's groups as a rules file, which is what promtool and a plain Prometheus read.

Run as `plain_rules.py k8s/components/monitoring/rules.yaml > rules.yaml`.
"""

import sys
from pathlib import Path

import yaml


def main() -> int:
    """Print it."""
    rule = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(yaml.safe_dump(rule["spec"], sort_keys=False, allow_unicode=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
