"""The cases of the engines' defaults and of the REST interface's own values."""

from tests.chart.value_cases import POD, RESOURCES, REST, SIDECAR, SPREAD, Case, case, placement

INGRESS = f"Ingress/{REST}"
ROUTE = f"HTTPRoute/{REST}"
SERVICE = f"Service/{REST}"


def engines(template: str) -> list[Case]:
    """Return the cases of the engines' template, which is at a place in the operator's environment."""
    return [
        *placement("engine.", f"{template}.spec"),
        case("engine.resources", RESOURCES, f"{template}.spec.containers[engine].resources"),
        case("engine.annotations", {"mesh": "off"}, f"{template}.metadata.annotations[mesh]", "off"),
        case("engine.labels", {"tier": "flight"}, f"{template}.metadata.labels"),
        case("engine.env", [{"name": "A", "value": "b"}], f"{template}.spec.containers[engine].env"),
        case(
            "engine.envFrom",
            [{"secretRef": {"name": "more"}}],
            f"{template}.spec.containers[engine].envFrom",
        ),
        case("engine.volumes", [{"name": "own", "emptyDir": {}}], f"{template}.spec.volumes"),
        case(
            "engine.volumeMounts",
            [{"name": "own", "mountPath": "/own"}],
            f"{template}.spec.containers[engine].volumeMounts",
        ),
        case(
            "engine.extraContainers",
            [SIDECAR | {"name": "agent"}],
            f"{template}.spec.containers[agent].image",
            "agent:1",
        ),
        case(
            "engine.podSecurityContext",
            {"supplementalGroups": [1000]},
            f"{template}.spec.securityContext",
        ),
        case(
            "engine.securityContext",
            {"readOnlyRootFilesystem": True},
            f"{template}.spec.containers[engine].securityContext",
        ),
        case(
            "engine.topologySpreadConstraints",
            [SPREAD],
            f"{template}.spec.topologySpreadConstraints",
        ),
    ]


def rest_interface() -> list[Case]:
    """Return the cases of the REST interface apart, with everything in front of it."""
    return [
        case("rest.standalone", given=True, place=f"Deployment/{REST}:kind", expected="Deployment"),
        case(
            "rest.autoscaling.enabled",
            given=True,
            place=f"HorizontalPodAutoscaler/{REST}:kind",
            expected="HorizontalPodAutoscaler",
        ),
        case("rest.autoscaling.minReplicas", 3, f"HorizontalPodAutoscaler/{REST}:spec.minReplicas"),
        case("rest.autoscaling.maxReplicas", 9, f"HorizontalPodAutoscaler/{REST}:spec.maxReplicas"),
        case(
            "rest.autoscaling.targetCPUUtilizationPercentage",
            60,
            f"HorizontalPodAutoscaler/{REST}:spec.metrics[0].resource.target.averageUtilization",
        ),
        case(
            "rest.timezone",
            "Europe/Helsinki",
            f"Deployment/{REST}:{POD}.containers[rest].env[LCM_TIMEZONE].value",
        ),
        case("rest.registry", "lab", f"Deployment/{REST}:{POD}.containers[rest].env[LCM_REGISTRY].value"),
        case(
            "rest.defaultPlan",
            "mine",
            f"Deployment/{REST}:{POD}.containers[rest].env[LCM_DEFAULT_PLAN].value",
        ),
        case("rest.existingSecret", "keys", f"Deployment/{REST}:{POD}.volumes[api-keys].secret.secretName"),
        case(
            "rest.allowedHosts",
            ["lcm.lab"],
            f"Deployment/{REST}:{POD}.containers[rest].env[LCM_ALLOWED_HOSTS].value",
            f"{REST},{REST}.lcm-home,{REST}.lcm-home.svc,{REST}.lcm-home.svc.cluster.local,"
            "a.example,b.example,c.example,lcm.lab",
        ),
        case("rest.service.type", "LoadBalancer", f"{SERVICE}:spec.type"),
        case("rest.service.port", 80, f"{SERVICE}:spec.ports[rest].port"),
        case("rest.service.nodePort", 30500, f"{SERVICE}:spec.ports[rest].nodePort"),
        case("rest.service.annotations", {"a": "b"}, f"{SERVICE}:metadata.annotations"),
        case("rest.service.loadBalancerClass", "example.com/nlb", f"{SERVICE}:spec.loadBalancerClass"),
        case(
            "rest.service.loadBalancerSourceRanges",
            ["10.0.0.0/8"],
            f"{SERVICE}:spec.loadBalancerSourceRanges",
        ),
        case("rest.service.externalTrafficPolicy", "Local", f"{SERVICE}:spec.externalTrafficPolicy"),
        case("rest.service.ipFamilyPolicy", "PreferDualStack", f"{SERVICE}:spec.ipFamilyPolicy"),
        case("rest.service.ipFamilies", ["IPv4"], f"{SERVICE}:spec.ipFamilies"),
        case(
            "rest.tls.existingSecret",
            "tls",
            f"Deployment/{REST}:{POD}.containers[rest].readinessProbe.httpGet.scheme",
            "HTTPS",
        ),
        case("rest.ingress.enabled", given=True, place=f"{INGRESS}:kind", expected="Ingress"),
        case("rest.ingress.className", "nginx", f"{INGRESS}:spec.ingressClassName"),
        case("rest.ingress.annotations", {"c": "d"}, f"{INGRESS}:metadata.annotations"),
        case("rest.ingress.host", "a.example", f"{INGRESS}:spec.rules[0].host"),
        case("rest.ingress.hosts", ["b.example"], f"{INGRESS}:spec.rules[1].host", "b.example"),
        case(
            "rest.ingress.tlsSecret",
            "tls",
            f"{INGRESS}:spec.tls[0]",
            {"secretName": "tls", "hosts": ["a.example", "b.example"]},
        ),
        case("rest.httpRoute.enabled", given=True, place=f"{ROUTE}:kind", expected="HTTPRoute"),
        case("rest.httpRoute.annotations", {"g": "h"}, f"{ROUTE}:metadata.annotations"),
        case("rest.httpRoute.parentRefs", [{"name": "gate"}], f"{ROUTE}:spec.parentRefs"),
        case("rest.httpRoute.hostnames", ["c.example"], f"{ROUTE}:spec.hostnames"),
        case(
            "rest.httpRoute.filters",
            [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["Server"]}}],
            f"{ROUTE}:spec.rules[0].filters[0].type",
            "ResponseHeaderModifier",
        ),
    ]
