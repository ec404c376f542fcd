"""The dashboard asks for metrics that the code has."""

import json
import re

from packages import KURTOSIS

PANELS = json.loads((KURTOSIS / "dashboards/fresnel-groups.json").read_text())
ROOT = KURTOSIS.parent
# What Prometheus' language has in the places of metrics.
NOT_METRICS = {"max", "sum", "by", "rate", "histogram_quantile", "label_values"}


def expressions():
    for panel in PANELS["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in PANELS["templating"]["list"]:
        yield variable["query"]


def metrics(expression):
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)", "", expression)
    bare = re.sub(r"(label_values\(\w+), \w+\)", r"\1)", bare)
    return set(re.findall(r"[a-z]\w+", bare)) - NOT_METRICS


def test_every_metric_is_registered_somewhere():
    sources = [path for top in ("beacon_node", "validator_client", "platform") for path in (ROOT / top).rglob("*.rs")]
    code = "\n".join(path.read_text() for path in sources)
    # Names that are put together by the macro of a counter stand there in full.
    registered = set(re.findall(r'"([a-z]\w+)"', code))
    asked = set().union(*map(metrics, expressions()))
    assert "dvt_group_blocks_total" in asked
    for metric in asked:
        name = re.sub("_(bucket|sum|count)$", "", metric)
        assert metric in registered or name in registered, metric


def test_every_group_metric_of_the_code_is_on_the_dashboard():
    code = "\n".join(path.read_text() for path in (ROOT / "beacon_node").rglob("*.rs"))
    shown = "\n".join(expressions())
    for metric in set(re.findall(r'"(dvt_\w+)"', code)):
        assert metric in shown, metric


def test_panels_have_places_of_their_own():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in PANELS["panels"]}) == len(places)
