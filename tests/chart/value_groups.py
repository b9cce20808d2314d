"""The cases of all values of the chart, in groups that can be set together."""

from typing import Any

import yaml
from tests.chart.value_cases import (
    ABSENT,
    CERTIFICATES,
    DIGEST,
    OPERATOR,
    POD,
    REST,
    Group,
    account,
    case,
    placement,
    workload,
)
from tests.chart.value_parts import engines, rest_interface
from tools.chart import values
from tools.chart.generate import DEPLOY

CONTAINER = f"Deployment/{OPERATOR}:{POD}.containers[operator]"
SIDECAR_CONTAINER = f"Deployment/{OPERATOR}:{POD}.containers[rest]"
SERVICE = f"Service/{REST}"
POLICY = f"NetworkPolicy/{OPERATOR}:spec"
PEERS = [{"namespaceSelector": {"matchLabels": {"team": "lab"}}}]
RULES = yaml.safe_load((DEPLOY / "monitoring" / "rules.yaml").read_text(encoding="utf-8"))
THRESHOLDS = [path for path, _ in values.leaves(values.load()) if path.startswith("monitoring.rules.thr")]
ENGINE = f"{CONTAINER}.env[LCM_ENGINE_TEMPLATE].value"
GROUPS = {
    "the engines": Group(engines(ENGINE)),
    "the operator": Group(
        [
            *workload("operator", OPERATOR),
            *account("operator", OPERATOR),
            *account("engine", "lcm-engine"),
            case("operator.replicas", 1, f"Deployment/{OPERATOR}:spec.replicas"),
            case("operator.armLeadSeconds", 90, f"{CONTAINER}.env[LCM_ARM_LEAD_SECONDS].value", "90"),
            case("operator.leaseNamespace", "leases", f"{CONTAINER}.env[LCM_LEASE_NAMESPACE].value"),
            case("logFormat", "json", f"{CONTAINER}.env[LCM_LOG_FORMAT].value"),
            case("logLevel", "DEBUG", f"{SIDECAR_CONTAINER}.env[LCM_LOG_LEVEL].value"),
            case("commonLabels", {"team": "lab"}, f"{SERVICE}:metadata.labels[team]", "lab"),
            case(
                "commonAnnotations", {"owner": "ops"}, f"Role/{OPERATOR}:metadata.annotations[owner]", "ops"
            ),
            case(
                "extraObjects",
                [
                    {
                        "apiVersion": "v1",
                        "kind": "ConfigMap",
                        "metadata": {"name": '{{ include "lcm.fullname" . }}-own', "namespace": "lcm-home"},
                    }
                ],
                f"ConfigMap/{OPERATOR}-own:apiVersion",
                "v1",
            ),
        ]
    ),
    "the REST interface apart": Group(
        [
            *workload("rest", REST),
            *account("rest", REST),
            case("rest.replicas", 3, f"Deployment/{REST}:spec.replicas"),
            case(
                "rest.apiLevel", "1.0.2", f"Deployment/{REST}:{POD}.containers[rest].env[LCM_API_LEVEL].value"
            ),
        ],
        {"rest": {"standalone": True}},
    ),
    "monitoring": Group(
        [
            case(
                "monitoring.serviceMonitor.enabled",
                True,
                f"ServiceMonitor/{OPERATOR}:spec.endpoints[0].port",
                "health",
            ),
            case(
                "monitoring.serviceMonitor.labels",
                {"release": "stack"},
                f"ServiceMonitor/{OPERATOR}:metadata.labels[release]",
                "stack",
            ),
            case(
                "monitoring.serviceMonitor.interval",
                "15s",
                f"ServiceMonitor/{OPERATOR}:spec.endpoints[1].interval",
            ),
            case(
                "monitoring.rules.enabled",
                True,
                f"PrometheusRule/{OPERATOR}:spec.groups[1].name",
                "lcm-operator",
            ),
            case(
                "monitoring.rules.labels",
                {"release": "stack"},
                f"PrometheusRule/{OPERATOR}:metadata.labels[release]",
                "stack",
            ),
            case(
                "monitoring.rules.runbookURL",
                "https://docs.example/",
                f"PrometheusRule/{OPERATOR}:spec.groups[0].rules[0].annotations.runbook_url",
                "https://docs.example/trial-missed.md",
            ),
            *(
                case(
                    f"monitoring.rules.thresholds.{rule['alert']}",
                    0.75,
                    f"PrometheusRule/{OPERATOR}:spec.groups[{group}].rules[{number}].expr",
                    rule["expr"].rpartition(" ")[0] + " 0.75",
                )
                for group, rules in enumerate(RULES["groups"])
                for number, rule in enumerate(rules["rules"])
                if f"monitoring.rules.thresholds.{rule['alert']}" in THRESHOLDS
            ),
            case("monitoring.dashboard.enabled", True, f"ConfigMap/{OPERATOR}-dashboard:apiVersion", "v1"),
            case(
                "monitoring.dashboard.labels",
                {"dashboards": "on"},
                f"ConfigMap/{OPERATOR}-dashboard:metadata.labels[dashboards]",
                "on",
            ),
            case(
                "monitoring.dashboard.annotations",
                {"grafana_folder": "LCM"},
                f"ConfigMap/{OPERATOR}-dashboard:metadata.annotations[grafana_folder]",
                "LCM",
            ),
        ]
    ),
    "what all pods have": Group(
        [
            *placement("", f"Deployment/{OPERATOR}:{POD}"),
            case(
                "podAnnotations",
                {"e": "f"},
                f"Deployment/{OPERATOR}:spec.template.metadata.annotations[e]",
                "f",
            ),
            case("podLabels", {"team": "lab"}, f"Pod/{OPERATOR}-test:metadata.labels[team]", "lab"),
            case(
                "podSecurityContext",
                {"runAsUser": 1000},
                f"Job/{OPERATOR}-pre-delete:{POD}.securityContext.runAsUser",
                1000,
            ),
            case(
                "securityContext",
                {"runAsNonRoot": True},
                f"{SIDECAR_CONTAINER}.securityContext.runAsNonRoot",
                expected=True,
            ),
            case("proxy.http", "http://proxy.example:3128", f"{CONTAINER}.env[HTTP_PROXY].value"),
            case("proxy.https", "http://proxy.example:3129", f"{SIDECAR_CONTAINER}.env[https_proxy].value"),
            case(
                "proxy.no",
                ["10.0.0.0/8", "lab.example"],
                f"{CONTAINER}.env[NO_PROXY].value",
                f"10.0.0.0/8,lab.example,localhost,127.0.0.1,::1,.svc,.cluster.local,{REST}.lcm-home",
            ),
            case(
                "caBundle.configMap",
                "ca-bundle",
                f"Deployment/{OPERATOR}:{POD}.volumes[lcm-ca]",
                CERTIFICATES,
            ),
            case(
                "caBundle.key",
                "bundle.pem",
                f"{CONTAINER}.env[SSL_CERT_FILE].value",
                "/etc/lcm/ca/bundle.pem",
            ),
            case("image.registry", "registry.example", f"{CONTAINER}.image", "registry.example/team/lcm:9"),
            case(
                "image.repository",
                "team/lcm",
                f"{CONTAINER}.env[LCM_ENGINE_IMAGE].value",
                "registry.example/team/lcm:9",
            ),
            case(
                "image.tag",
                "9",
                f"Pod/{OPERATOR}-test:spec.containers[test].image",
                "registry.example/team/lcm:9",
            ),
            case("image.pullPolicy", "Always", f"{CONTAINER}.imagePullPolicy"),
            case(
                "imagePullSecrets",
                [{"name": "pull"}],
                f"Deployment/{OPERATOR}:{POD}.imagePullSecrets[0].name",
                "pull",
            ),
            case(
                "global.imagePullSecrets",
                ["mirror"],
                "ServiceAccount/lcm-engine:imagePullSecrets[1].name",
                "mirror",
            ),
        ]
    ),
    "a registry for all charts": Group(
        [case("global.imageRegistry", "mirror.example", f"{CONTAINER}.image", "mirror.example/team/lcm:9")],
        {"image": {"repository": "registry.example/team/lcm", "tag": "9"}},
    ),
    "a digest": Group([case("image.digest", DIGEST, f"{CONTAINER}.image", f"lcm-operator@{DIGEST}")]),
    "certificates from a Secret": Group(
        [case("caBundle.secret", "ca", f"Deployment/{OPERATOR}:{POD}.volumes[lcm-ca].secret.secretName")]
    ),
    "OpenShift": Group(
        [
            case(
                "openshift",
                given=True,
                place=f"Deployment/{OPERATOR}:{POD}.securityContext.runAsUser",
                expected=ABSENT,
            )
        ]
    ),
    "another name": Group([case("nameOverride", "starter", "Deployment/lcm-starter:spec.replicas", 2)]),
    "another full name": Group([case("fullnameOverride", "starter", "Deployment/starter:spec.replicas", 2)]),
    "another namespace": Group(
        [case("namespaceOverride", "elsewhere", f"Deployment/{OPERATOR}:metadata.namespace")]
    ),
    "no budgets": Group(
        [
            case(
                f"{component}.podDisruptionBudget.enabled",
                given=False,
                place=f"PodDisruptionBudget/{name}",
                expected=ABSENT,
            )
            for component, name in (("operator", OPERATOR), ("rest", REST))
        ],
        {"rest": {"standalone": True}},
    ),
    "other budgets and accounts": Group(
        [
            *(
                case(
                    f"{component}.podDisruptionBudget.minAvailable",
                    1,
                    f"PodDisruptionBudget/{name}:spec.minAvailable",
                )
                for component, name in (("operator", OPERATOR), ("rest", REST))
            ),
            case("operator.serviceAccount.name", "own", f"Deployment/{OPERATOR}:{POD}.serviceAccountName"),
            case("rest.serviceAccount.name", "own-rest", f"Deployment/{REST}:{POD}.serviceAccountName"),
        ],
        {"rest": {"standalone": True}},
    ),
    "no accounts": Group(
        [
            case(
                f"{component}.serviceAccount.create",
                given=False,
                place=f"ServiceAccount/{name}",
                expected=ABSENT,
            )
            for component, name in (("operator", OPERATOR), ("rest", REST), ("engine", "lcm-engine"))
        ],
        {"rest": {"standalone": True}},
    ),
    "all namespaces": Group(
        [
            case(
                "clusterWide",
                given=True,
                place=f"ClusterRole/lcm-home-{OPERATOR}:kind",
                expected="ClusterRole",
            ),
            case(
                "crds.keep",
                given=False,
                place="CustomResourceDefinition/trials.lcm.5gdrones.eu:metadata.annotations[helm.sh/resource-policy]",
                expected=ABSENT,
            ),
            case(
                "aggregateRoles", given=False, place=f"ClusterRole/lcm-home-{OPERATOR}-edit", expected=ABSENT
            ),
            case(
                "admissionPolicies",
                given=False,
                place="ValidatingAdmissionPolicy/lcm-request-annotations",
                expected=ABSENT,
            ),
        ]
    ),
    "no CRDs, network policies and REST interface": Group(
        [
            case(
                "crds.enabled",
                given=False,
                place="CustomResourceDefinition/trials.lcm.5gdrones.eu",
                expected=ABSENT,
            ),
            case("networkPolicy.enabled", given=False, place=f"NetworkPolicy/{OPERATOR}", expected=ABSENT),
            case("rest.enabled", given=False, place=SERVICE, expected=ABSENT),
        ]
    ),
    "other namespaces": Group(
        [
            case(
                "watchNamespaces",
                ["lab-b"],
                f"{CONTAINER}.env[LCM_WATCH_NAMESPACES].value",
                "lab-a,lab-b,lcm-home",
            ),
            case("trialNamespace", "lab-a", f"{SIDECAR_CONTAINER}.env[LCM_NAMESPACE].value"),
        ]
    ),
    "the REST interface": Group(rest_interface()),
    "plans, registry and connections": Group(
        [
            case("plans.demo", {"enabled": True}, "TrialPlan/demo:kind", "TrialPlan"),
            case(
                "plans.5gdrones",
                {"enabled": True, "parameters": {"lcmUrl": "https://lcm.example"}},
                "TrialPlan/5gdrones:spec.parameters[lcmUrl].default",
                "https://lcm.example",
            ),
            case(
                "trialRegistry.enabled", given=True, place="TrialRegistry/lab:kind", expected="TrialRegistry"
            ),
            case("trialRegistry.name", "lab", "TrialRegistry/lab:metadata.name"),
            case(
                "trialRegistry.spec",
                {"url": "https://registry.example:8443"},
                "TrialRegistry/lab:spec.url",
                "https://registry.example:8443",
            ),
            case("networkPolicy.restFrom", PEERS, f"{POLICY}.ingress[0].from"),
            case(
                "networkPolicy.metricsFrom",
                [{"ipBlock": {"cidr": "10.1.0.0/16"}}],
                f"{POLICY}.ingress[1].from[1].ipBlock.cidr",
                "10.1.0.0/16",
            ),
            case("networkPolicy.dnsPorts", [5353], f"{POLICY}.egress[0].ports[0].port", 5353),
            case("networkPolicy.apiServerPorts", [16443], f"{POLICY}.egress[1].ports[0].port", 16443),
            case("networkPolicy.registryPorts", [8080], f"{POLICY}.egress[1].ports[1].port", 8080),
            case("networkPolicy.extraIngress", [{"from": PEERS}], f"{POLICY}.ingress[2].from", PEERS),
            case("networkPolicy.extraEgress", [{"to": PEERS}], f"{POLICY}.egress[2].to", PEERS),
        ]
    ),
}


def values_of(group: Group) -> dict[str, Any]:
    """Return the values of a group's cases, together with those that they need."""
    values: dict[str, Any] = {}
    for name, given in [*flattened(group.needs), *((each.value, each.given) for each in group.cases)]:
        inside = values
        *sections, last = name.split(".")
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[last] = given
    return values


def flattened(values: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Return the values with their paths."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        found += flattened(value, f"{path}{name}.") if isinstance(value, dict) else [(f"{path}{name}", value)]
    return found
