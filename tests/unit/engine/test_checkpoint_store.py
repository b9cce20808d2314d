"""Saving against an API server that conflicts, goes away, loses answers or refuses."""

import asyncio
from dataclasses import dataclass, field

import pytest
from tests.unit.engine.builders import NOW, POD, engine, nap

from lcm_operator.api.storage import parse, serialise
from lcm_operator.engine import checkpoint_store
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.checkpoint_store import CheckpointStore
from lcm_operator.engine.outcome import Ending, EngineEndedError
from lcm_operator.kube import backoff
from lcm_operator.kube.errors import Conflict, NotFound, Refused, Unavailable

GRANT = {"name": "example-1", "uid": POD, "notBefore": "2026-11-24T10:00:00Z"}
AWAY = Unavailable(0, "Unreachable", "connection refused")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(backoff, "_FIRST_SECONDS", 0.0)


@dataclass
class ApiServer:
    """One TrialEngine with its resourceVersion; each patch does the next of `troubles`, then works."""

    troubles: list = field(default_factory=list)
    patches: list = field(default_factory=list)
    version: int = 1
    status: dict = field(default_factory=lambda: {"podRef": GRANT})
    uid: str = "u"
    reads: int = 0

    def object(self):
        raw = serialise(engine(nap("one"), nap("two"), uid=self.uid, resourceVersion=str(self.version)))
        return raw | {"status": dict(self.status)}

    async def get(self, *_):
        self.reads += 1
        return self.object()

    async def json_patch(self, _resource, _namespace, _name, operations, *, subresource):
        assert subresource == "status"
        self.patches.append(operations)
        trouble = self.troubles.pop(0) if self.troubles else None
        if callable(trouble):
            trouble = trouble(operations)
        if trouble is not None:
            raise trouble
        self.apply(operations)
        return self.object()

    def apply(self, operations):
        guard, *fields = operations
        if guard["value"] != str(self.version):
            raise Conflict(409, "Conflict", "modified")
        self.status |= {
            operation["path"].removeprefix("/status/"): operation["value"] for operation in fields
        }
        self.version += 1

    def change(self, **status):
        """Let somebody else write the status."""
        self.status |= status
        self.version += 1


def save(server):
    """Save one checkpoint as an engine does that was granted when the server stood as it was made.

    Return the versions of the TrialEngine that were observed.
    """
    observed = []

    async def scenario():
        granted = parse(ApiServer().object(), type(engine()))
        checkpoint = Checkpoint.from_storage(granted.status, ["one", "two"]).began("one", NOW).stamped(NOW)
        await CheckpointStore(server, granted, POD, observed.append).save(checkpoint)

    asyncio.run(scenario())
    return observed


def test_save_writes_the_engines_own_fields_guarded_by_their_version():
    server = ApiServer()

    save(server)

    guard, *fields = server.patches[0]
    assert guard == {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}
    assert [f["path"] for f in fields] == ["/status/activities", "/status/checkpoint"]
    assert server.status["podRef"] == GRANT
    assert server.status["checkpoint"] == {
        "version": 1, "sequence": 1, "activity": "one", "savedTime": "2026-11-24T10:00:00.123456Z",
    }  # fmt: skip


def test_save_after_a_conflict_is_repeated_with_the_new_version():
    server = ApiServer()
    server.change(phase="Running")

    save(server)

    assert [operations[0]["value"] for operations in server.patches] == ["1", "2"]
    assert server.patches[0][1:] == server.patches[1][1:]
    assert server.status["phase"] == "Running"


def test_while_the_api_server_is_away_it_tries_again():
    server = ApiServer(troubles=[AWAY] * 20)

    save(server)

    assert len(server.patches) == 21


def test_a_write_whose_answer_was_lost_is_recognised_and_not_written_twice():
    server = ApiServer()

    def applied_but_unanswered(operations):
        server.apply(operations)
        return AWAY

    server.troubles = [applied_but_unanswered]
    save(server)

    assert len(server.patches) == 1
    assert server.status["checkpoint"]["sequence"] == 1


def test_write_whose_answer_was_lost_is_recognised_after_writes_of_others():
    server = ApiServer()

    def applied_but_unanswered(operations):
        server.apply(operations)
        server.change(phase="Running")
        return AWAY

    server.troubles = [applied_but_unanswered]
    save(server)

    assert len(server.patches) == 1


def test_write_that_arrives_late_is_recognised_as_its_repetition_conflicts():
    server, late = ApiServer(), []

    def delayed(operations):
        late.append(operations)
        return AWAY

    def overtaken(_operations):
        server.apply(late[0])
        return Conflict(409, "Conflict", "modified")

    server.troubles = [delayed, overtaken]
    save(server)

    assert len(server.patches) == 2
    assert server.status["checkpoint"]["sequence"] == 1


def gone(server):
    async def not_found(*_):
        raise NotFound(404, "NotFound", "gone")

    server.get = not_found


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        pytest.param(
            lambda server: server.change(podRef=GRANT | {"name": "example-2", "uid": "other"}),
            "the grant is that of pod example-2",
            id="another pod was granted",
        ),
        pytest.param(
            lambda server: server.change(podRef=None),
            "the grant was taken back for a restore",
            id="a restore has begun",
        ),
        pytest.param(
            lambda server: server.change(
                checkpoint={"version": 1, "sequence": 9, "savedTime": "2026-11-24T10:00:00Z"}
            ),
            "somebody else has written the checkpoint",
            id="somebody else wrote a checkpoint",
        ),
        pytest.param(
            lambda server: (server.change(), setattr(server, "uid", "another")),
            "another TrialEngine has its name",
            id="the TrialEngine was made anew",
        ),
        pytest.param(lambda server: (server.change(), gone(server)), "gone", id="the TrialEngine is gone"),
    ],
)
def test_a_save_ends_the_engine_when(meanwhile, why):
    server = ApiServer()
    meanwhile(server)

    with pytest.raises(EngineEndedError, match=why) as ended:
        save(server)

    assert ended.value.ending is Ending.WITHDRAWN
    assert len(server.patches) == 1


def test_a_deletion_does_not_keep_it_from_saving_what_is_over_but_is_told_of(mocker):
    server = ApiServer()
    server.change()
    whole = server.object()
    whole["metadata"]["deletionTimestamp"] = "2026-11-24T10:00:00Z"
    mocker.patch.object(server, "object", return_value=whole)
    mocker.patch.object(server, "get", return_value=whole)
    observed = save(server)

    assert len(server.patches) == 2
    assert all(version.metadata.deletion_timestamp is not None for version in observed)
    assert observed


def test_a_refusal_that_passes_is_waited_for():
    server = ApiServer(troubles=[Refused(403, "Forbidden", "no")] * 3)

    save(server)

    assert len(server.patches) == 4


def test_a_refusal_that_does_not_pass_ends_the_engine(monkeypatch):
    monkeypatch.setattr(checkpoint_store, "_REFUSED_SECONDS", 0.0)
    server = ApiServer(troubles=[Refused(422, "Invalid", "status.activities: Too many")])

    with pytest.raises(EngineEndedError, match="Too many") as ended:
        save(server)

    assert ended.value.ending is Ending.CHECKPOINT_REFUSED
