"""Registries that hang, vanish or refuse: nobody else waits for them, and what went wrong is shown."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from tests.cluster.operator_harness import Trial, condition
from tests.cluster.registry_harness import FAR, LATER, RegistryHarness
from tests.cluster.rest_harness import TrialRegistry

MANY = 25
HANGING = 48


@contextmanager
def silent_server() -> Iterator[str]:
    """A port at which every connection is taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=4 * HANGING) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_every_trial_that_vanishes_has_its_turn(field: RegistryHarness):
    by_hand = [field.trial(f"by-hand-{number}") for number in range(MANY)]
    field.serve_times(**{f"imported-{number}": FAR for number in range(MANY)})
    field.serve(**{"import": "All", "onVanished": "Suspend"})
    field.harness.wait(lambda: all(field.imported(f"imported-{number}") for number in range(MANY)))

    for trial in by_hand:
        content = f'{{"start_time": "{FAR}"}}'.encode()
        field.registry.answer[f"/trial/{trial.name}/"] = (200, content)
    field.serve_times()

    def suspended() -> int:
        return sum(trial.obj["spec"].get("suspend", False) for trial in field.harness.trials())

    field.harness.wait(lambda: suspended() == MANY)
    field.harness.wait(lambda: all(field.start_times()[trial.name] for trial in by_hand))


def test_moves_do_not_wait_for_trials_that_are_asked_for_singly(field: RegistryHarness):
    for number in range(20):
        field.registry.delays[f"/trial/slow-{number}/"] = 20
        field.trial(f"slow-{number}")
    trial = field.trial("survey")
    field.serve_times(survey=FAR)
    field.serve()
    field.until_start(trial, FAR)

    field.serve_times(survey=LATER)

    field.until_start(trial, LATER)


def test_registries_that_hang_keep_no_other_from_being_asked(field: RegistryHarness):
    with silent_server() as url:
        field.serve()
        field.until_asked_again()
        for number in range(HANGING):
            hanging = {"url": url, "intervalSeconds": 1}
            field.harness.create(TrialRegistry, f"hanging-{number}", hanging)
        seen = field.registry.asked.count("/trial/")
        field.harness.wait(lambda: field.registry.asked.count("/trial/") >= seen + 15)

        late = field.harness.create(
            TrialRegistry, "late", {"url": f"{field.registry.url}", "intervalSeconds": 1}
        )
        field.harness.until(late, lambda _: condition(late, "Synced")[1] == "Synced")
        hung = field.harness.create(TrialRegistry, "one-more", {"url": url, "intervalSeconds": 1})
        field.harness.until(hung, lambda _: condition(hung, "Synced")[1] == "RegistryUnreachable")


def test_creates_that_a_quota_refuses_are_shown_and_made_once_there_is_room(field: RegistryHarness):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": field.harness.namespace},
        "spec": {"hard": {"count/trials.lcm.5gdrones.eu": "1"}},
    }
    kubectl = field.harness.cluster.kubectl
    kubectl("apply", "--filename=-", stdin=yaml.safe_dump(quota))
    few = ("resourcequota", "few", f"--namespace={field.harness.namespace}")
    field.harness.wait(lambda: kubectl.get(*few).get("status", {}).get("hard"))
    field.serve_times(first=FAR, second=FAR, third=FAR)
    registry = field.serve(**{"import": "All"})

    status = field.harness.until_condition(registry, "Imported", "False", "ImportFailed")

    assert condition(registry, "Synced") == ("True", "Synced")
    assert (status["listed"], status["imported"], status["notImported"]) == (3, 1, 2)
    assert status["failed"] == 2
    (shown,) = [found for found in status["conditions"] if found["type"] == "Imported"]
    assert "exceeded quota: few" in shown["message"]
    field.harness.wait(lambda: field.harness.events("ImportFailed"))

    kubectl("delete", *few)
    status = field.harness.until_condition(registry, "Imported", "True", "Imported")
    assert field.names() == {"first", "second", "third"}
    assert (status["imported"], "notImported" in status, "failed" in status) == (3, False, False)


def refusal(namespace: str) -> list[dict[str, Any]]:
    """Return a policy by which nobody may resume the Trial `stuck`."""
    name = f"stuck-{namespace}"
    rule = {"apiGroups": ["lcm.5gdrones.eu"], "apiVersions": ["*"], "operations": ["UPDATE"]}
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule | {"resources": ["trials"]}]},
        "validations": [
            {"expression": "object.metadata.name != 'stuck' || object.spec.suspend", "message": "it stays"}
        ],
    }
    chosen = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": chosen}
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    return [
        api | {"kind": "ValidatingAdmissionPolicy", "spec": policy},
        api | {"kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
    ]


@pytest.fixture
def stubborn(field: RegistryHarness) -> Iterator[RegistryHarness]:
    """A namespace in which the Trial `stuck` can't be resumed."""
    kubectl, objects = field.harness.cluster.kubectl, yaml.safe_dump_all(refusal(field.harness.namespace))
    kubectl("apply", "--filename=-", stdin=objects)
    yield field
    kubectl("delete", "--filename=-", stdin=objects)


def test_a_refused_patch_keeps_no_other_from_its_own_and_is_shown(stubborn: RegistryHarness):
    field = stubborn
    field.serve_times(stuck=FAR, survey=FAR)
    registry = field.serve(**{"import": "All", "onVanished": "Suspend"})
    field.harness.wait(lambda: field.names() == {"stuck", "survey"})
    field.serve_times()
    trials = {trial.name: trial for trial in field.harness.trials()}
    for trial in trials.values():
        field.harness.until_condition(trial, "Scheduled", "False", "Suspended")

    field.serve_times(stuck=FAR, survey=FAR)

    field.harness.until_condition(trials["survey"], "Scheduled", "True", "StartTimeKnown")
    status = field.harness.until(registry, lambda status: status.get("failed"))
    assert (status["failed"], status["trials"]) == (1, 2)
    assert "it stays" in next(found["message"] for found in status["conditions"] if found["type"] == "Synced")
    assert condition(trials["stuck"], "Scheduled") == ("False", "Suspended")
    field.harness.wait(lambda: field.harness.events("WritesFailed"))


def test_no_more_than_the_limit_are_imported_the_soonest_first(field: RegistryHarness):
    times = {f"trial-{number}": f"2031-07-{10 + number}T08:00:00Z" for number in reversed(range(8))}
    field.serve_times(**times)
    registry = field.serve(**{"import": "All", "importLimit": 3})

    status = field.harness.until_condition(registry, "Imported", "False", "ImportLimitReached")
    assert field.names() == {"trial-0", "trial-1", "trial-2"}
    assert (status["imported"], status["notImported"]) == (3, 5)

    registry.patch({"spec": {"importLimit": 100}})
    field.harness.until_condition(registry, "Imported", "True", "Imported")
    assert field.names() == set(times)


HOSTILE = {
    "depth": (b'[{"id": "a", "more": ' + b"[" * 200_000, "nests too deeply"),
    "another encoding": ('[{"id": "a"}]'.encode("utf-16"), "it is not JSON"),
    "an entry without end": (b'[{"id": "' + b"a" * 1_000_000, "has more than 65536 characters"),
    "too much": (b"[" + b" " * 34_000_000, "it is larger than 32 MiB"),
}


@pytest.mark.parametrize(("content", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_list_is_an_error_with_its_reason(field: RegistryHarness, content: bytes, why: str):
    field.registry.answer["/trial/"] = (200, content)
    registry = field.serve()

    field.until_synced(registry, "RegistryReplyMalformed")

    (shown,) = [found for found in registry.obj["status"]["conditions"] if found["type"] == "Synced"]
    assert why in shown["message"]


def test_a_long_list_is_read_and_only_what_counts_is_imported(field: RegistryHarness):
    content = ",".join(f'{{"id": "t-{number}", "start_time": "{FAR}"}}' for number in range(100_000))
    field.registry.answer["/trial/"] = (200, f"[{content}]".encode())
    trial = field.trial("mine", trialID="t-99999")
    registry = field.serve(**{"import": "All", "importLimit": 5, "intervalSeconds": 5})

    field.until_start(trial, FAR)
    status = field.harness.until(registry, lambda status: status.get("notImported"))

    assert (status["trials"], status["imported"], status["notImported"]) == (100_000, 5, 99_994)
    assert len(Trial.objects(field.harness.api, namespace=field.harness.namespace)) == 6
