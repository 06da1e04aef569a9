"""Refuse a test that was skipped without being listed in .ci/allowed-skips.txt.

A skipped test shows nothing, so each skip needs a reason that was agreed beforehand. Reads the report
that `make test` writes. Each line of the list is `<pattern>  # <reason>`; the pattern is a regular
expression searched for in `<file or class>::<test>: <skip message>`.
"""

import re
import sys
import xml.etree.ElementTree as ET  # the report is our own, written a moment ago
from pathlib import Path


def allowed_patterns(listing: Path) -> list[re.Pattern[str]]:
    """The patterns of the list.

    Raises:
        ValueError: a line has no reason.
    """
    patterns = []
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, reason = line.partition("  # ")
        if not reason.strip():
            raise ValueError(f"{listing}:{number}: a skip needs a reason: `<pattern>  # <reason>`")
        patterns.append(re.compile(pattern.strip()))
    return patterns


def skipped_tests(report: Path) -> list[str]:
    """`<file or class>::<test>: <message>` of each skipped test of a JUnit report."""
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314  # our own report
    return [
        f"{case.get('classname')}::{case.get('name')}: {skip.get('message')}"
        for case in cases
        for skip in case.iter("skipped")
        if skip.get("type") != "pytest.xfail"
    ]


def main() -> int:
    """Print unlisted skips; the exit code is 1 when there are any."""
    report, listing = map(Path, sys.argv[1:])
    patterns = allowed_patterns(listing)
    skipped = skipped_tests(report)
    unlisted = [test for test in skipped if not any(pattern.search(test) for pattern in patterns)]
    for test in unlisted:
        print(f"skipped, and not listed in {listing}: {test}", file=sys.stderr)
    print(f"skips: {len(skipped)} in all, {len(unlisted)} unlisted")
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
