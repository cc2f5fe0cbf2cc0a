"""What metrics there are (read from the Rust source), and what a PromQL expression asks for."""

import re
from functools import cache
from pathlib import Path

MACRO = re.compile(r"\b(counter|gauge|histogram)!\s*\(")
LITERAL = re.compile(r'"((?:\\.|[^"\\])*)"')
# What Prometheus and the cluster add to each series.
TARGET = {"namespace", "pod", "job", "instance", "container", "service", "endpoint", "node"}
# Prometheus' own.
OWN = {
    "up": set(),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
# Values that no source holds as a word.
FREE = {"le", "quantile", "status", "severity", "alertstate", "alertname", "version", "slo"}


class Metric:
    def __init__(self, kind):
        self.kind = kind
        self.labels = set()
        self.values = {}


def arguments(text, start):
    """What stands between a macro's parentheses; `start` is behind the first one."""
    depth, at = 1, start
    while depth and at < len(text):
        if text[at] == '"':
            at = LITERAL.match(text, at).end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
    return text[start : at - 1]


@cache
def in_source(root):
    """All metrics by name, and all words that stand in the source between quotes."""
    metrics, words = {}, set()
    for folder in ("services", "libs"):
        for path in sorted(Path(root, folder).glob("*/src/**/*.rs")):
            text = path.read_text()
            words.update(LITERAL.findall(text))
            unnamed = []
            for macro in MACRO.finditer(text):
                inside = arguments(text, macro.end())
                labels = set(re.findall(r'"(\w+)"\s*=>', inside))
                name = re.match(r'\s*"(\w+)"', inside)
                if name:
                    note(metrics, name[1], macro[1], labels)
                else:
                    unnamed.append((macro[1], labels))
            # `counter!(name, …)`: the names stand somewhere in the same file.
            for kind, labels in unnamed:
                for name in set(re.findall(r'"(ccm_\w+)"', text)) - set(metrics):
                    note(metrics, name, kind, labels)
    return metrics, words


def note(metrics, name, kind, labels):
    metrics.setdefault(name, Metric(kind)).labels |= labels


def to_come(path):
    """Lines `kind name label=value|value label`, `#` begins a comment."""
    metrics = {}
    for line in Path(path).read_text().splitlines():
        line = line.split("#")[0].split()
        if not line:
            continue
        kind, name, *labels = line
        metric = metrics.setdefault(name, Metric(kind))
        for label in labels:
            label, _, values = label.partition("=")
            metric.labels.add(label)
            if values:
                metric.values[label] = set(values.split("|"))
    return metrics


TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
    r"|\$\{\w+(?::\w+)?\}|\$\w+|[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][\w.]*|=~|!~|!=|[{}()\[\],=]|\S"
)
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan", "Inf", "NaN", "start", "end"}


def asked(expression):
    """What an expression asks for: `[(metric, [(label, operator, value)])]`, and the labels it groups by."""
    expression = re.sub(r"^\s*#.*$", "", expression, flags=re.M)
    tokens = TOKEN.findall(expression)
    selectors, grouped, at = [], set(), 0
    while at < len(tokens):
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else ""
        if token == "[":
            at = tokens.index("]", at)
        elif token in GROUPING and following == "(":
            end = tokens.index(")", at)
            grouped |= {t for t in tokens[at + 2 : end] if t != ","}
            at = end
        elif re.match(r"[a-zA-Z_:]", token) and following not in {"(", "by", "without"} and token not in KEYWORDS | GROUPING:
            matchers = []
            if following == "{":
                end = tokens.index("}", at)
                inside = [t for t in tokens[at + 2 : end] if t != ","]
                matchers = [(inside[i], inside[i + 1], inside[i + 2][1:-1]) for i in range(0, len(inside), 3)]
                at = end
            selectors.append((token, matchers))
        at += 1
    return selectors, grouped


class Known:
    """Judges expressions by what there is."""

    def __init__(self, root, folder):
        self.source, self.words = in_source(root)
        self.coming = to_come(Path(folder, "metrics-to-come.txt"))
        self.recorded = {}

    def record(self, rules):
        for rule in rules:
            if "record" in rule:
                selectors, grouped = asked(rule["expr"])
                labels = grouped | set(rule.get("labels", {}))
                for name, _ in selectors:
                    labels |= self.recorded.get(name, set())
                self.recorded[rule["record"]] = self.recorded.get(rule["record"], set()) | labels

    def labels(self, name):
        """The labels that a series may have, or None if there is none of that name."""
        if name in OWN:
            return OWN[name]
        if name in self.recorded:
            return self.recorded[name]
        base, more = name, set()
        for suffix in ("_bucket", "_count", "_sum"):
            stem = name.removesuffix(suffix)
            if stem != name and self.kind(stem) == "histogram":
                base, more = stem, {"le"} if suffix == "_bucket" else set()
        metrics = [m[base] for m in (self.source, self.coming) if base in m]
        if not metrics:
            return None
        if base == name and self.kind(name) == "histogram":
            # Without buckets (names that do not end in _seconds) the exporter gives quantiles.
            if name.endswith("_seconds"):
                return None
            more = {"quantile"}
        return set().union(more, *(m.labels for m in metrics))

    def kind(self, name):
        for metrics in (self.source, self.coming):
            if name in metrics:
                return metrics[name].kind
        return None

    def done(self):
        """What is still called to come and stands in the source."""
        for name, metric in self.coming.items():
            if name in self.source and metric.labels <= self.source[name].labels:
                yield name

    def wrong_with(self, expression):
        selectors, grouped = asked(expression)
        together = set(TARGET)
        for name, matchers in selectors:
            labels = self.labels(name)
            if labels is None:
                yield f"{name} is no metric of ours"
                continue
            together |= labels
            for label, operator, value in matchers:
                if label not in labels | TARGET:
                    yield f"{name} has no label {label}"
                elif label not in FREE | TARGET:
                    yield from self.wrong_values(name, label, operator, value)
        # label_replace gives labels of its own.
        together |= set(re.findall(r'label_replace\(.*?,\s*"(\w+)"', expression, flags=re.S))
        for label in sorted(grouped - together):
            yield f"nothing in it has the label {label}"

    def wrong_values(self, name, label, operator, value):
        values = value.split("|") if operator in ("=~", "!~") else [value]
        coming = self.coming.get(name, Metric("")).values.get(label)
        for value in values:
            if "$" in value or not re.fullmatch(r"\w+", value):
                continue
            if value not in (coming or self.words):
                yield f"{label} of {name} is never {value}"
