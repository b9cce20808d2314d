"""The pod of an engine."""

import msgspec
from tests.unit.domain.builders import engine, trial
from tests.unit.domain.templates import ALLOWED

from lcm_operator.api import names
from lcm_operator.api.engine import Parameter
from lcm_operator.api.plan import SecretKeyRef
from lcm_operator.domain.manifests import engine_pod


def pod_of(template=None, attempt=1, variables=(), user_id=65532, **spec):
    made = engine(trial(engine={"template": template or {}}, **spec))
    return engine_pod(made, attempt, "image:1", variables, user_id)


def container(pod, name="engine"):
    return next(each for each in pod["spec"]["containers"] if each["name"] == name)


def test_a_pod_is_named_and_labelled_after_engine_and_attempt():
    metadata = pod_of(attempt=3)["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("example-3", "lab")
    assert metadata["labels"] == {names.LABEL_TRIAL: "example", names.LABEL_ATTEMPT: "3"}


def test_a_pod_belongs_to_its_engine():
    (owner,) = pod_of()["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "TrialEngine",
        "example",
        "engine-1",
        True,
    )


def test_pod_never_restarts_and_runs_as_the_engine_account_with_own_token():
    spec = pod_of()["spec"]
    assert spec["restartPolicy"] == "Never"
    assert spec["serviceAccountName"] == "lcm-engine"
    assert spec["automountServiceAccountToken"] is False
    (token,) = [
        source["serviceAccountToken"]
        for volume in spec["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    ]
    assert token["path"] == "token"


def test_only_a_pod_whose_plan_needs_it_gets_a_token_for_the_sidecar():
    ask = {"name": "ask", "http": {"url": "http://lcm", "podToken": True}}
    pod = pod_of(activities=[ask])
    own = container(pod)
    (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "lcm-account"]
    tokens = [source["serviceAccountToken"] for source in volume["projected"]["sources"][:2]]
    assert [(token["path"], token.get("audience")) for token in tokens] == [
        ("token", None),
        ("rest-token", "lcm-rest"),
    ]
    (folder,) = [mount["mountPath"] for mount in own["volumeMounts"] if mount["name"] == "lcm-account"]
    assert {"name": "LCM_REST_TOKEN_FILE", "value": f"{folder}/rest-token"} in own["env"]
    assert "LCM_REST_TOKEN_FILE" not in str(pod_of())


def test_a_pod_fits_the_restricted_pod_security_standard():
    pod = pod_of(ALLOWED)
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    own = container(pod)["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]}


def test_pod_has_the_user_that_the_operator_was_told():
    security = pod_of(user_id=4000)["spec"]["securityContext"]
    assert [security[field] for field in ("runAsUser", "runAsGroup", "fsGroup")] == [4000] * 3


def test_pod_without_a_user_leaves_it_to_the_platform_and_is_never_root():
    assert pod_of(user_id=None)["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_security_context_of_the_template_counts_field_by_field():
    own = {"runAsUser": 1000, "supplementalGroups": [5], "seccompProfile": {"type": "Localhost"}}
    assert pod_of({"spec": {"securityContext": own}})["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "supplementalGroups": [5],
        "seccompProfile": {"type": "Localhost"},
    }


def test_the_engine_is_the_operators_image_and_knows_its_object_and_its_pod():
    own = container(pod_of())
    assert own["image"] == "image:1"
    assert own["command"] == ["python", "-m", "lcm_operator.engine"]
    environment = {entry["name"]: entry for entry in own["env"]}
    assert environment["LCM_TRIAL_ENGINE"]["value"] == "example"
    assert environment["LCM_POD_UID"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


def test_the_engine_logs_as_the_operator_does_unless_its_template_decides():
    variables = (("LCM_LOG_LEVEL", "DEBUG"), ("LCM_LOG_FORMAT", "json"))
    chosen = {"name": "LCM_LOG_LEVEL", "value": "ERROR"}
    template = {"spec": {"containers": [{"name": "engine", "env": [chosen]}]}}

    found = container(pod_of(template, variables=variables))["env"]

    assert [entry for entry in found if entry["name"].startswith("LCM_LOG")] == [
        chosen,
        {"name": "LCM_LOG_FORMAT", "value": "json"},
    ]


def test_every_mount_of_the_engine_has_its_volume():
    pod = pod_of(ALLOWED)
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container(pod)["volumeMounts"]} <= volumes


def test_the_template_is_kept_beside_what_the_operator_sets():
    pod = pod_of(ALLOWED)
    assert pod["metadata"]["labels"]["team"] == "five"
    assert pod["metadata"]["annotations"] == {"note": "x"}
    for field in ALLOWED["spec"].keys() - {"containers", "securityContext", "volumes"}:
        assert pod["spec"][field] == ALLOWED["spec"][field]
    assert [volume["name"] for volume in pod["spec"]["volumes"]][:3] == ["data", "known", "kept"]
    own = container(pod)
    assert own["resources"] == {"limits": {"memory": "64Mi"}}
    assert own["env"][0] == {"name": "TZ", "value": "UTC"}
    assert own["securityContext"]["runAsUser"] == 1000
    assert own["volumeMounts"][0] == {"name": "data", "mountPath": "/data"}


def test_other_containers_are_kept_as_they_are():
    assert container(pod_of(ALLOWED), "side") == ALLOWED["spec"]["containers"][1]


def test_a_secret_s_value_is_named_and_never_shown():
    this = engine()
    parameters = (
        Parameter(name="plain", value="x"),
        Parameter(name="password", secret_key_ref=SecretKeyRef(name="kpi", key="word")),
    )
    spec = msgspec.structs.replace(this.spec, parameters=parameters)
    own = container(engine_pod(msgspec.structs.replace(this, spec=spec), 1, "image:1"))
    assert {
        "name": "LCM_PARAMETER_1",
        "valueFrom": {"secretKeyRef": {"name": "kpi", "key": "word"}},
    } in own["env"]
    assert not any(entry["name"] == "LCM_PARAMETER_0" for entry in own["env"])


def test_a_template_is_not_changed_by_making_a_pod_of_it():
    this = engine(trial(engine={"template": ALLOWED}))
    before = msgspec.json.encode(this.spec.engine.template)
    engine_pod(this, 1, "image:1")
    assert msgspec.json.encode(this.spec.engine.template) == before


def test_files_from_config_maps_are_in_a_volume_of_the_pod():
    def files(*keys):
        listed = [
            {"name": f"f{n}", "configMapKeyRef": {"name": name, "key": key}}
            for n, (name, key) in enumerate(keys)
        ]
        return {"command": ["f0"], "files": [*listed, {"name": "own", "content": "x"}]}

    this = trial(
        activities=[
            {"name": "one", "exec": files(("b", "x.sh"), ("a", "y"))},
            {"name": "two", "exec": files(("b", "x.sh"))},
        ],
        **{"finally": [{"name": "three", "exec": files(("b", "a"))}]},
    )

    pod = engine_pod(engine(this), 1, "image")["spec"]

    assert pod["volumes"][-1] == {
        "name": "lcm-files",
        "projected": {
            "sources": [
                {"configMap": {"name": "a", "items": [{"key": "y", "path": "a/y"}]}},
                {
                    "configMap": {
                        "name": "b",
                        "items": [{"key": "a", "path": "b/a"}, {"key": "x.sh", "path": "b/x.sh"}],
                    }
                },
            ]
        },
    }
    (container,) = pod["containers"]
    mount = {"name": "lcm-files", "mountPath": "/var/run/lcm/files", "readOnly": True}
    assert mount in container["volumeMounts"]
    assert {"name": "LCM_FILES_DIRECTORY", "value": "/var/run/lcm/files"} in container["env"]


def test_pod_without_files_from_config_maps_has_no_volume_for_them():
    assert "lcm-files" not in str(engine_pod(engine(), 1, "image"))
