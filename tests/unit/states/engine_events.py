"""What engine and node can do to a trial: each changes the harness, or returns why it can't happen there."""

from datetime import timedelta

from tests.unit.states.harness import ACTIVE_DEADLINE, FINALLY, GIVE_UP, KEY, PLAN, Harness


def _can_act(harness: Harness) -> str | None:
    return None if harness.granted and not harness.node_lost else "no engine may act"


def success(harness: Harness) -> str | None:
    if why := _can_act(harness):
        return why
    if harness.reporting:
        return "it has failed"
    harness.save(**dict.fromkeys((*PLAN, FINALLY), "Succeeded"))
    harness.end_pod("Succeeded")
    return None


def failure(harness: Harness) -> str | None:
    if why := _can_act(harness):
        return why
    if harness.slow:
        harness.save(free="Failed")
        harness.end_pod("Succeeded")
    else:
        harness.save(two="Failed")
        harness.end_pod("Failed")
    return None


def _has_pod(harness: Harness) -> str | None:
    if harness.pod is None:
        return "there is no pod"
    return (
        "its pod has ended" if harness.pod.get("status", {}).get("phase") in ("Succeeded", "Failed") else None
    )


def pod_ends(harness: Harness) -> str | None:
    if why := _has_pod(harness):
        return why
    harness.end_pod("Failed")
    return None


def engine_ends_beside_others(harness: Harness) -> str | None:
    if why := _has_pod(harness):
        return why
    containers = [
        {"name": "engine", "state": {"terminated": {"exitCode": 137}}},
        {"name": "proxy", "state": {"running": {}}},
    ]
    harness.end_pod("Running", containerStatuses=containers)
    assert harness.pod is not None
    # No watch shows it: the pod is read because its Lease is late, or because its attempt is over.
    harness.operator.cache.doubt_pod(KEY, harness.pod["metadata"]["uid"])
    return None


def pod_disrupted(harness: Harness) -> str | None:
    if why := _has_pod(harness):
        return why
    harness.end_pod("Failed", conditions=[{"type": "DisruptionTarget", "status": "True"}])
    return None


def pod_gone(harness: Harness) -> str | None:
    if harness.pod is None:
        return "there is no pod"
    harness.api.remove("pods", harness.pod["metadata"]["name"])
    return None


def no_first_beat(harness: Harness) -> str | None:
    if why := _can_act(harness):
        return why
    harness.beats(begun=False)
    harness.now += timedelta(seconds=121)
    return None


def silence(harness: Harness) -> str | None:
    if why := _can_act(harness):
        return why
    harness.beats(begun=True, silent=61)
    harness.now += timedelta(seconds=61)
    return None


def active_deadline(harness: Harness) -> str | None:
    if why := _can_act(harness):
        return why
    if harness.slow:
        return "it was stopped"
    harness.now += timedelta(seconds=ACTIVE_DEADLINE)
    return None


def give_up_passes(harness: Harness) -> str | None:
    status = (harness.engine or {}).get("status") or {}
    if "giveUpAfterSeconds" not in (harness.engine or {"spec": {}})["spec"].get("engine", {}):
        return "`giveUpAfterSeconds` is not set"
    if "stop" in status:
        return "it is being given up"
    harness.now += timedelta(seconds=GIVE_UP + 1)
    return None


def finally_times_out(harness: Harness) -> str | None:
    if not harness.slow:
        return "`finally` is not running"
    harness.now += timedelta(seconds=311)
    return None
