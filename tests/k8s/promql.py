"""PromQL read far enough to check it: which metrics, labels and values an expression asks for.

A parser of expressions, not of their meaning: all that is kept of an expression is the labels that its
result can have. What it does not know it refuses, so that no metric escapes the check by standing in an
unusual place.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

INFRASTRUCTURE = frozenset({"job", "instance", "namespace", "pod"})
"""Labels that Prometheus gives to what it scrapes."""
AGGREGATIONS = frozenset(
    {"sum", "min", "max", "avg", "count", "group", "stddev", "topk", "bottomk", "quantile", "count_values"}
)
FUNCTIONS = frozenset(
    {
        "abs", "absent", "absent_over_time", "avg_over_time", "changes", "clamp", "clamp_max", "clamp_min",
        "count_over_time", "delta", "histogram_quantile", "increase", "irate", "last_over_time",
        "max_over_time", "min_over_time", "rate", "scalar", "sort", "sort_desc", "sum_over_time", "time",
        "timestamp", "vector",
    }
)  # fmt: skip
GROUPINGS = frozenset({"by", "without"})
MATCHINGS = frozenset({"on", "ignoring", "group_left", "group_right"})
_TOKEN = re.compile(
    r"""
    (?P<skip>\s+|\#[^\n]*)
  | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<range>\[[^\]]*\])
  | (?P<number>(?:\d+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_:])|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![a-zA-Z0-9_:]))
  | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
  | (?P<operator>=~|!~|==|!=|<=|>=|[-+*/%^<>=(){},@])
    """,
    re.VERBOSE,
)
_COMPARING = ("==", "!=", "<=", ">=", "<", ">")
_LEVELS = (("or",), ("and", "unless"), _COMPARING, ("+", "-"), ("*", "/", "%"), ("^",))
_BINDING = {operator: level for level, operators in enumerate(_LEVELS, 1) for operator in operators}
_RANGE = re.compile(
    r"\[(?:\$__(?:rate_interval|interval|range)|(?:\d+(?:ms|[smhdwy]))+)(?::(?:\d+(?:ms|[smhdwy]))*)?\]"
)


class PromqlError(Exception):
    """An expression asks for something that there is not, or can't be read."""


@dataclass(frozen=True)
class Metric:
    """The labels of a metric, with the values of those whose values are known."""

    labels: Mapping[str, frozenset[str] | None]


Exported = Mapping[str, Metric]


@dataclass
class _Reader:
    text: str
    exported: Exported
    tokens: list[tuple[str, str]] = field(default_factory=list)
    at: int = 0
    metrics: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        place = 0
        while place < len(self.text):
            found = _TOKEN.match(self.text, place)
            if found is None:
                raise self.fault(f"can't read {self.text[place : place + 20]!r}")
            if found.lastgroup != "skip":
                self.tokens.append((str(found.lastgroup), found.group()))
            place = found.end()

    def fault(self, words: str) -> PromqlError:
        return PromqlError(f"{words} in: {self.text.strip()}")

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self, *wanted: str) -> str:
        kind, text = self.peek()
        if wanted and text not in wanted and kind not in wanted:
            raise self.fault(f"{text or 'the end'!r} where {' or '.join(wanted)} should be")
        self.at += 1
        return text

    def is_next(self, *texts: str) -> bool:
        return self.peek()[1] in texts

    def expression(self, binding: int = 0) -> frozenset[str]:
        """As much of an expression as binds tighter; the labels that its result can have."""
        labels = self.operand()
        while _BINDING.get(self.peek()[1], 0) > binding:
            operator = self.take()
            if self.is_next("bool"):
                self.take()
            on: frozenset[str] | None = None
            extra: set[str] = set()
            is_grouped = False
            while self.is_next(*MATCHINGS):
                how = self.take()
                named = self.labels_in_parentheses() if self.is_next("(") else frozenset()
                on = named if how == "on" else on
                is_grouped |= how.startswith("group_")
                extra |= named if how.startswith("group_") else set()
            other = self.expression(_BINDING[operator])
            for label in on or ():
                if label not in labels or (label not in other):
                    raise self.fault(f"on ({label}): no such label on both sides")
            if missing := extra - labels - other:
                raise self.fault(f"group_left ({', '.join(missing)}): no such label")
            labels = self.joined(operator, labels, other, None if is_grouped else on) | extra
        return labels

    @staticmethod
    def joined(
        operator: str, left: frozenset[str], right: frozenset[str], on: frozenset[str] | None
    ) -> frozenset[str]:
        """The labels of two operands' result; `on` where it is one to one."""
        if operator in {"and", "unless"}:
            return left
        if operator == "or" or not left:
            return left | right
        return left if on is None or operator in _COMPARING else on

    def operand(self) -> frozenset[str]:
        while self.is_next("-", "+"):
            self.take()
        kind, text = self.peek()
        if text == "(":
            self.take()
            labels = self.expression()
            self.take(")")
        elif kind in {"number", "string"}:
            self.take()
            return frozenset()
        elif kind == "name":
            self.take()
            labels = self.named(text)
        else:
            raise self.fault(f"{text or 'the end'!r} where a value should be")
        return self.suffixed(labels)

    def suffixed(self, labels: frozenset[str]) -> frozenset[str]:
        while True:
            kind, text = self.peek()
            if kind == "range":
                if not _RANGE.fullmatch(text):
                    raise self.fault(f"{text} is no range")
                self.take()
            elif text == "offset":
                self.take()
                self.take("number")
            else:
                return labels

    def named(self, name: str) -> frozenset[str]:
        if name in AGGREGATIONS and self.is_next("(", *GROUPINGS):
            return self.aggregation(name)
        if name == "label_replace":
            return self.label_replace()
        if self.is_next("("):
            if name not in FUNCTIONS:
                raise self.fault(f"no function {name}")
            arguments = self.arguments()
            labels = frozenset().union(*arguments)
            if name == "histogram_quantile":
                if "le" not in labels:
                    raise self.fault("a quantile of what has no le")
                return labels - {"le"}
            return frozenset() if name in {"scalar", "time", "vector"} else labels
        return self.selector(name)

    def label_replace(self) -> frozenset[str]:
        self.take("(")
        labels = self.expression()
        words = []
        for _ in range(4):
            self.take(",")
            words.append(self.take("string")[1:-1])
        self.take(")")
        made, _, source, _ = words
        if source not in labels:
            raise self.fault(f"label_replace from {source}: no such label")
        return labels | {made}

    def aggregation(self, name: str) -> frozenset[str]:
        how, named = "by", frozenset[str]()
        if is_before := self.is_next(*GROUPINGS):
            how, named = self.take(), self.labels_in_parentheses()
        labels = frozenset().union(*self.arguments())
        if not is_before and self.is_next(*GROUPINGS):
            how, named = self.take(), self.labels_in_parentheses()
            is_before = True
        if how == "by" and (unknown := named - labels):
            raise self.fault(f"{name} by ({', '.join(sorted(unknown))}): no such label")
        if name in {"topk", "bottomk"} and not is_before:
            return labels
        return named if how == "by" else labels - named

    def arguments(self) -> list[frozenset[str]]:
        self.take("(")
        found = []
        while not self.is_next(")"):
            found.append(self.expression())
            if not self.is_next(")"):
                self.take(",")
        self.take(")")
        return found

    def labels_in_parentheses(self) -> frozenset[str]:
        self.take("(")
        found = set()
        while not self.is_next(")"):
            found.add(self.take("name"))
            if not self.is_next(")"):
                self.take(",")
        self.take(")")
        return frozenset(found)

    def selector(self, name: str) -> frozenset[str]:
        if name not in self.exported:
            raise self.fault(f"nothing exports {name}")
        self.metrics.add(name)
        metric = self.exported[name]
        if self.is_next("{"):
            self.take()
            while not self.is_next("}"):
                self.matcher(name, metric)
                if not self.is_next("}"):
                    self.take(",")
            self.take("}")
        return frozenset(metric.labels) | INFRASTRUCTURE

    def matcher(self, name: str, metric: Metric) -> None:
        label = self.take("name")
        operator = self.take("=", "!=", "=~", "!~")
        value = self.take("string")[1:-1]
        if label not in metric.labels and label not in INFRASTRUCTURE:
            raise self.fault(f"{name} has no label {label}")
        known = metric.labels.get(label)
        if known is None or "$" in value:
            return
        wanted = value.split("|") if "~" in operator else [value]
        for one in wanted:
            pattern = one if "~" in operator else re.escape(one)
            if not any(re.fullmatch(pattern, each) for each in known):
                raise self.fault(f"{name} never has {label}={one!r}")


@dataclass(frozen=True)
class Asked:
    """What an expression asks for."""

    metrics: frozenset[str]
    labels: frozenset[str]
    """That its result can have."""


def read(text: str, exported: Exported) -> Asked:
    """Check an expression against what is exported.

    Raises:
        PromqlError: it names a metric, a label, a value or a function that there is not, or can't be read.
    """
    reader = _Reader(text, exported)
    labels = reader.expression()
    if reader.peek()[0] != "end":
        raise reader.fault(f"{reader.peek()[1]!r} after the end")
    return Asked(frozenset(reader.metrics), labels)


def templated(text: str) -> Iterable[str]:
    """Labels that a template of an annotation names: `{{ $labels.variant }}`."""
    return re.findall(r"\$labels\.(\w+)", text)
