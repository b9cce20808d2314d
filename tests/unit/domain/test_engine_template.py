"""Which fields a template of an engine's pod may have, and how templates are merged."""

from copy import deepcopy

import pytest
from tests.unit.domain.templates import ALLOWED

from lcm_operator.api import names
from lcm_operator.api.engine_template import merged
from lcm_operator.domain.engine_template import default_faults, template_faults


def projected(token):
    return {"name": "a", "projected": {"sources": [{"serviceAccountToken": token}]}}


def side(**parts):
    return {"spec": {"containers": [{"name": "engine"}, {"name": "side", "image": "side"} | parts]}}


def of_engine(**parts):
    return {"spec": {"containers": [{"name": "engine"} | parts]}}


def engine_of(template):
    return next(each for each in template["spec"]["containers"] if each["name"] == "engine")


# --- fields


def test_what_is_on_the_allow_list_is_not_refused():
    assert template_faults(ALLOWED) == []


@pytest.mark.parametrize(
    ("template", "named"),
    [
        pytest.param({"kind": "Pod"}, "template.kind", id="beside metadata and spec"),
        pytest.param({"metadata": {"name": "mine"}}, "template.metadata.name", id="of metadata"),
        pytest.param(
            {"metadata": {"labels": {names.LABEL_TRIAL: "x"}}}, names.LABEL_TRIAL, id="a label of ours"
        ),
        pytest.param({"spec": {"hostPID": True}}, "template.spec.hostPID", id="of the host"),
        pytest.param(
            {"spec": {"serviceAccountName": "admin"}},
            "template.spec.serviceAccountName",
            id="another ServiceAccount",
        ),
        pytest.param({"spec": {"initContainers": []}}, "initContainers", id="init containers"),
        pytest.param(
            {"spec": {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {}}]}},
            "template.spec.volumes[1].hostPath",
            id="a volume of the host",
        ),
        pytest.param(
            {"spec": {"volumes": [projected({"path": "token"})]}},
            "volumes[0].projected.sources[0].serviceAccountToken.audience: is required",
            id="a token for the API server",
        ),
        pytest.param(
            {"spec": {"volumes": [projected({"path": "token", "audience": "lcm-rest"})]}},
            "volumes[0].projected.sources[0].serviceAccountToken.audience",
            id="a token for the REST interface",
        ),
        pytest.param(
            {"metadata": {"labels": {"app.kubernetes.io/component": "operator"}}},
            "template.metadata.labels.app.kubernetes.io/component: 'operator' is for the operator's own",
            id="a label that the operator's Services select by",
        ),
        pytest.param(
            {"metadata": {"annotations": {"lcm.5gdrones.eu/restore": "x"}}},
            "lcm.5gdrones.eu/restore is reserved",
            id="an annotation of ours",
        ),
        pytest.param({"spec": {"securityContext": {"runAsUser": 0}}}, "securityContext.runAsUser", id="root"),
        pytest.param({"spec": {"securityContext": {"sysctls": []}}}, "securityContext.sysctls", id="sysctls"),
        pytest.param(
            {"spec": {"securityContext": {"runAsNonRoot": False}}},
            "securityContext.runAsNonRoot: must be true",
            id="a user that may be root",
        ),
        pytest.param(
            side(securityContext={"privileged": True}),
            "containers[1].securityContext.privileged: must be false",
            id="a privileged container",
        ),
        pytest.param(
            side(securityContext={"capabilities": {"add": ["NET_ADMIN"]}}),
            "containers[1].securityContext.capabilities.add[0]: must be NET_BIND_SERVICE",
            id="a capability",
        ),
        pytest.param(
            side(securityContext={"seccompProfile": {"type": "Unconfined"}}),
            "seccompProfile.type: must be RuntimeDefault or Localhost",
            id="no seccomp profile",
        ),
        pytest.param(
            side(resources={"limits": {"memory": "much"}}),
            "containers[1].resources.limits.memory: must be a quantity",
            id="what is no quantity",
        ),
        pytest.param(
            {"spec": {"terminationGracePeriodSeconds": 0}},
            "terminationGracePeriodSeconds: must be a number from 5 to 600",
            id="too little time to save a checkpoint",
        ),
        pytest.param(
            {"spec": {"nodeSelector": {"gpu": True}}}, "nodeSelector.gpu: must be text", id="what is no text"
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "side", "image": "side"}]}},
            "containers: must contain one named engine",
            id="without an engine",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "engine", "volumeMount": []}]}},
            "did you mean volumeMounts?",
            id="a misspelt field",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "lcm-tmp", "emptyDir": {}}]}},
            "volumes[0].name: lcm-tmp is a volume of the operator",
            id="a volume of ours",
        ),
        pytest.param(
            {
                "spec": {
                    "containers": [
                        {
                            "name": "engine",
                            "volumeMounts": [{"name": "a", "mountPath": "/var/run/lcm/files/"}],
                        }
                    ]
                }
            },
            "volumeMounts[0].mountPath: /var/run/lcm/files/ is mounted by the operator",
            id="a mount of ours",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "engine", "lifecycle": {}}]}},
            "template.spec.containers[0].lifecycle",
            id="of a container",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "engine", "image": "mine"}]}},
            "template.spec.containers[0].image",
            id="an engine of another image",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "engine", "args": ["-v"]}]}},
            "template.spec.containers[0].args",
            id="an engine with other arguments",
        ),
    ],
)
def test_a_template_is_refused_with_the_field_named_for_something(template, named):
    (fault,) = template_faults(template)
    assert named in str(fault)


def test_all_faults_of_a_template_are_named_at_once():
    containers = [{"name": "engine", "lifecycle": {}, "image": "mine"}]
    volumes = [{"name": "host", "hostPath": {}}]
    template = {"kind": "Pod", "spec": {"hostPID": True, "containers": containers, "volumes": volumes}}
    assert [fault.place[-1] for fault in template_faults(template)] == [
        "kind",
        "hostPID",
        "hostPath",
        "lifecycle",
        "image",
    ]


@pytest.mark.parametrize("spec", ["text", {"containers": "text"}, {"volumes": {"a": 1}}, {"containers": [5]}])
def test_a_template_of_other_types_is_one_fault(spec):
    assert len(template_faults({"spec": spec})) == 1


# --- merging


@pytest.mark.parametrize(
    ("weak", "strong", "expected"),
    [
        pytest.param(
            {"metadata": {"labels": {"a": "1", "b": "1"}}},
            {"metadata": {"labels": {"b": "2"}}},
            {"metadata": {"labels": {"a": "1", "b": "2"}}},
            id="labels by key",
        ),
        pytest.param(
            {"spec": {"nodeSelector": {"pool": "flights", "zone": "a"}}},
            {"spec": {"nodeSelector": {"pool": None}}},
            {"spec": {"nodeSelector": {"zone": "a"}}},
            id="a null removes a key",
        ),
        pytest.param(
            {"spec": {"priorityClassName": "high"}},
            {"spec": {"priorityClassName": None}},
            {"spec": {}},
            id="a null removes a field",
        ),
        pytest.param(
            {"spec": {"tolerations": [{"key": "a"}, {"key": "b"}]}},
            {"spec": {"tolerations": [{"key": "c"}, {"key": "a"}]}},
            {"spec": {"tolerations": [{"key": "b"}, {"key": "c"}, {"key": "a"}]}},
            id="tolerations of both",
        ),
        pytest.param(
            {"spec": {"volumes": [{"name": "ca", "secret": {}}, {"name": "x", "emptyDir": {}}]}},
            {"spec": {"volumes": [{"name": "ca", "configMap": {}}]}},
            {"spec": {"volumes": [{"name": "x", "emptyDir": {}}, {"name": "ca", "configMap": {}}]}},
            id="volumes by name, as a whole",
        ),
        pytest.param(
            of_engine(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]),
            of_engine(env=[{"name": "A", "valueFrom": {}}]),
            of_engine(env=[{"name": "B", "value": "1"}, {"name": "A", "valueFrom": {}}]),
            id="env by name, as a whole",
        ),
        pytest.param(
            of_engine(volumeMounts=[{"name": "a", "mountPath": "/data/"}]),
            of_engine(volumeMounts=[{"name": "b", "mountPath": "/data"}]),
            of_engine(volumeMounts=[{"name": "b", "mountPath": "/data"}]),
            id="mounts by path",
        ),
        pytest.param(
            of_engine(resources={"requests": {"memory": "1Gi", "cpu": "1"}, "limits": {"cpu": "2"}}),
            of_engine(resources={"limits": {"memory": "64Mi"}}),
            of_engine(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "64Mi"}}),
            id="resources one by one: a default request may exceed a Trial's limit",
        ),
        pytest.param(
            of_engine(livenessProbe={"httpGet": {"port": 1}}),
            of_engine(livenessProbe={"exec": {"command": ["true"]}}),
            of_engine(livenessProbe={"exec": {"command": ["true"]}}),
            id="probes as a whole",
        ),
        pytest.param(
            side(command=["old"], image="old"),
            side(image="new"),
            side(image="new"),
            id="other containers as a whole",
        ),
        pytest.param(
            side(),
            of_engine(),
            {"spec": {"containers": [{"name": "side", "image": "side"}, {"name": "engine"}]}},
            id="containers by name",
        ),
        pytest.param(ALLOWED, {}, ALLOWED, id="an empty template changes nothing"),
    ],
)
def test_templates_are_merged(weak, strong, expected):
    before = deepcopy((weak, strong))
    assert merged(weak, strong) == expected
    assert (weak, strong) == before


def test_three_templates_are_merged_in_their_order():
    def level(text):
        return of_engine(env=[{"name": "LEVEL", "value": text}])

    assert engine_of(merged(level("default"), level("plan"), level("trial")))["env"] == [
        {"name": "LEVEL", "value": "trial"}
    ]


def test_what_is_allowed_stays_allowed_when_it_is_merged():
    assert template_faults(merged(ALLOWED, side(), of_engine())) == []
    assert template_faults(merged(side(), ALLOWED)) == []


# --- the operator's default


def test_default_template_is_checked_like_any_other():
    (fault,) = default_faults({"spec": {"hostPID": True}})
    assert str(fault).startswith("spec.hostPID: not allowed")
    assert default_faults(ALLOWED) == []


def test_default_template_must_have_the_volumes_that_it_mounts():
    template = of_engine(volumeMounts=[{"name": "ca", "mountPath": "/ca"}])
    (fault,) = default_faults(template)
    assert str(fault) == "spec.containers[0].volumeMounts[0].name: must name one of volumes"
    assert template_faults(template) == [], "the volume of a Trial's mount may come from its plan"
