"""The chart's objects for Prometheus and Grafana, for each layout."""

import json
from typing import Any

import pytest
import yaml
from tests.chart.conftest import Helm
from tests.chart.value_cases import OPERATOR, REST
from tools.chart.generate import DEPLOY

MONITORING = DEPLOY / "monitoring"
EVERYTHING = {part: {"enabled": True} for part in ("serviceMonitor", "rules", "dashboard")}
SIDECAR = {"health": 8080, "rest-metrics": 5002}


def test_alerts_of_the_chart_are_those_of_the_rule_file_by_default(find):
    rules = find({"monitoring": EVERYTHING}, "PrometheusRule", OPERATOR)

    assert rules["spec"] == yaml.safe_load((MONITORING / "rules.yaml").read_text(encoding="utf-8"))


def test_dashboard_of_the_chart_is_the_file(find):
    found = find({"monitoring": EVERYTHING}, "ConfigMap", f"{OPERATOR}-dashboard")["data"]

    assert [json.loads(text) for text in found.values()] == [
        json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        pytest.param({}, {f"{OPERATOR}-metrics": SIDECAR}, id="as a sidecar"),
        pytest.param(
            {"standalone": True},
            {f"{OPERATOR}-metrics": {"health": 8080}, f"{REST}-metrics": {"rest-metrics": 5002}},
            id="apart",
        ),
        pytest.param({"enabled": False}, {f"{OPERATOR}-metrics": {"health": 8080}}, id="not there"),
    ],
)
def test_every_port_with_metrics_has_a_service_that_is_scraped(helm: Helm, rest, expected):
    objects = helm.objects({"rest": rest, "monitoring": EVERYTHING})
    (monitor,) = (each["spec"] for each in objects if each["kind"] == "ServiceMonitor")
    scraped = {endpoint["port"] for endpoint in monitor["endpoints"]}
    services = {
        service["metadata"]["name"]: {
            port["name"]: port["port"] for port in service["spec"]["ports"] if port["name"] in scraped
        }
        for service in objects
        if service["kind"] == "Service" and selects(monitor["selector"]["matchLabels"], service)
    }

    assert {name: ports for name, ports in services.items() if ports} == expected
    assert all(endpoint["honorLabels"] for endpoint in monitor["endpoints"])
    for name in expected:
        assert_backed(objects, name)


def selects(labels: dict[str, str], service: dict[str, Any]) -> bool:
    return labels.items() <= service["metadata"]["labels"].items()


def assert_backed(objects, name: str) -> None:
    """Assert that a Deployment's pods have the labels and the ports of a Service."""
    (service,) = (
        each["spec"] for each in objects if (each["kind"], each["metadata"]["name"]) == ("Service", name)
    )
    (pods,) = (
        each["spec"]["template"]
        for each in objects
        if each["kind"] == "Deployment"
        and service["selector"].items() <= each["spec"]["template"]["metadata"]["labels"].items()
    )
    named = {port["name"] for each in pods["spec"]["containers"] for port in each.get("ports", ())}
    assert {port["targetPort"] for port in service["ports"]} <= named


def test_nothing_for_prometheus_is_made_by_default(helm: Helm):
    kinds = {each["kind"] for each in helm.objects({})}

    assert not kinds & {"ServiceMonitor", "PrometheusRule"}
