"""What the local node refuses, field by field, and what it takes."""

import copy

import pytest

from devcluster.node.refusals import refusals

LABELS = {"kubernetes.io/hostname": "local"}


def pod(*, container=(), **spec):
    engine = {"name": "engine", "image": "any", "command": ["true"], **dict(container)}
    return {"metadata": {"name": "p"}, "spec": {"restartPolicy": "Never", "containers": [engine], **spec}}


def volume(**source):
    return {"volumes": [{"name": "v", **source}]}


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        pytest.param(pod(restartPolicy="Always"), "restartPolicy Always", id="restartPolicy Always"),
        pytest.param(pod(restartPolicy="OnFailure"), "restartPolicy OnFailure", id="restartPolicy OnFailure"),
        pytest.param(pod(hostNetwork=True), "hostNetwork", id="the network of the host"),
        pytest.param(pod(hostPID=True), "hostPID", id="the processes of the host"),
        pytest.param(pod(hostIPC=True), "hostIPC", id="the IPC of the host"),
        pytest.param(pod(hostAliases=[{"ip": "1.2.3.4"}]), "hostAliases", id="entries of /etc/hosts"),
        pytest.param(pod(runtimeClassName="kata"), "runtimeClassName", id="a runtime class"),
        pytest.param(pod(readinessGates=[{"conditionType": "x"}]), "readinessGates", id="readiness gates"),
        pytest.param(pod(resourceClaims=[{"name": "gpu"}]), "resourceClaims", id="claimed devices"),
        pytest.param(pod(os={"name": "windows"}), "os windows", id="another operating system"),
        pytest.param(pod(securityContext={"sysctls": [{"name": "a"}]}), "sysctls", id="sysctls"),
        pytest.param(pod(nodeSelector={"disk": "ssd"}), "nodeSelector disk=ssd", id="labels that it hasn't"),
        pytest.param(
            pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"a": 1}}}),
            "affinity.nodeAffinity",
            id="required affinity",
        ),
        pytest.param(pod(**volume(hostPath={"path": "/"})), "volume v: hostPath", id="a folder of the host"),
        pytest.param(
            pod(**volume(persistentVolumeClaim={"claimName": "c"})),
            "persistentVolumeClaim",
            id="a claimed volume",
        ),
        pytest.param(pod(**volume(csi={"driver": "d"})), "volume v: csi", id="a CSI volume"),
        pytest.param(pod(**volume(image={"reference": "r"})), "volume v: image", id="an image volume"),
        pytest.param(
            pod(**volume(projected={"sources": [{"clusterTrustBundle": {"path": "p"}}]})),
            "volume v: clusterTrustBundle",
            id="a projected trust bundle",
        ),
        pytest.param(
            pod(
                **volume(
                    downwardAPI={"items": [{"path": "p", "resourceFieldRef": {"resource": "limits.cpu"}}]}
                )
            ),
            "volume v: resourceFieldRef",
            id="resources in a downward API volume",
        ),
        pytest.param(
            pod(
                **volume(
                    projected={
                        "sources": [
                            {"downwardAPI": {"items": [{"resourceFieldRef": {"resource": "limits.cpu"}}]}}
                        ]
                    }
                )
            ),
            "volume v: resourceFieldRef",
            id="resources in a projected volume",
        ),
        pytest.param(pod(container={"command": []}), "there are no images", id="no command"),
        pytest.param(pod(container={"startupProbe": {"exec": {}}}), "startupProbe", id="a startup probe"),
        pytest.param(pod(container={"lifecycle": {"preStop": {}}}), "lifecycle", id="lifecycle hooks"),
        pytest.param(pod(container={"volumeDevices": [{"name": "v"}]}), "volumeDevices", id="block devices"),
        pytest.param(pod(container={"stdin": True}), "stdin", id="stdin"),
        pytest.param(pod(container={"tty": True}), "tty", id="a terminal"),
        pytest.param(
            pod(container={"restartPolicy": "Never"}), "restartPolicy", id="a container's restartPolicy"
        ),
        pytest.param(
            pod(initContainers=[{"name": "s", "image": "i", "command": ["x"], "restartPolicy": "Always"}]),
            "init container s: restartPolicy Always: sidecars",
            id="a native sidecar",
        ),
        pytest.param(
            pod(initContainers=[{"name": "i", "image": "i"}]),
            "init container i: no command",
            id="an init image",
        ),
        pytest.param(
            pod(container={"securityContext": {"privileged": True}}),
            "privileged",
            id="a privileged container",
        ),
        pytest.param(
            pod(container={"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}),
            "capabilities NET_ADMIN",
            id="an added capability",
        ),
        pytest.param(
            pod(container={"volumeMounts": [{"name": "v", "mountPath": "/"}]}), "mountPath /", id="a new root"
        ),
        pytest.param(
            pod(container={"volumeMounts": [{"name": "v", "mountPath": "/a", "subPathExpr": "$(A)"}]}),
            "subPathExpr",
            id="a subPath with variables",
        ),
        pytest.param(
            pod(
                container={
                    "volumeMounts": [{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}]
                }
            ),
            "propagate",
            id="mount propagation",
        ),
        pytest.param(
            pod(
                container={
                    "env": [{"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]
                }
            ),
            "env E: resourceFieldRef",
            id="resources in the environment",
        ),
        pytest.param(
            pod(container={"ports": [{"containerPort": 80, "hostPort": 8080}]}),
            "hostPort 8080",
            id="a mapped port",
        ),
        pytest.param(
            pod(container={"resources": {"limits": {"nvidia.com/gpu": 1}}}), "nvidia.com/gpu", id="a device"
        ),
    ],
)
def test_what_it_cannot_give_is_refused_by_name(refused, said):
    assert any(said in reason for reason in refusals(refused, LABELS)), refusals(refused, LABELS)


def test_all_reasons_are_reported_at_once():
    found = refusals(pod(restartPolicy="Always", hostPID=True, container={"command": []}), LABELS)

    assert len(found) == 3


@pytest.mark.parametrize(
    "accepted",
    [
        pytest.param(pod(), id="a command"),
        pytest.param(
            pod(
                securityContext={
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                container={
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    }
                },
            ),
            id="what Pod Security restricted asks for",
        ),
        pytest.param(
            pod(container={"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}}),
            id="cpu and memory",
        ),
        pytest.param(pod(container={"livenessProbe": {"exec": {}}, "readinessProbe": {}}), id="other probes"),
        pytest.param(pod(nodeSelector={"kubernetes.io/hostname": "local"}), id="labels that it has"),
        pytest.param(
            pod(affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{}]}}),
            id="preferred affinity",
        ),
        pytest.param(
            pod(
                volumes=[
                    {"name": "a", "emptyDir": {}},
                    {"name": "b", "configMap": {"name": "c"}},
                    {"name": "c", "secret": {"secretName": "s"}},
                    {"name": "d", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "x"}}]}},
                    {"name": "e", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
                ]
            ),
            id="volumes that are files",
        ),
    ],
)
def test_what_it_can_give_or_documents_as_not_enforced_is_taken(accepted):
    before = copy.deepcopy(accepted)

    assert refusals(accepted, LABELS) == []
    assert accepted == before
