"""Saving to an API server that reports conflicts, is unavailable, loses answers or refuses."""

import asyncio

import pytest
from tests.harness.api_server import ApiServer
from tests.harness.client import AWAY, Connection
from tests.unit.engine.builders import NOW, POD, engine, nap

from lcm_operator.api.storage import parse, serialise
from lcm_operator.engine import checkpoint_store
from lcm_operator.engine.checkpoint import Checkpoint
from lcm_operator.engine.checkpoint_store import CheckpointStore
from lcm_operator.engine.outcome import Ending, EngineEndedError
from lcm_operator.kube import backoff
from lcm_operator.kube.errors import ConflictError, RejectedError

GRANT = {"name": "example-1", "uid": POD, "notBefore": "2026-11-24T10:00:00Z"}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(backoff, "_FIRST_SECONDS", 0.0)


class Server:
    """An API server with one TrialEngine; each patch meets the next of `troubles`, then works."""

    def __init__(self, *troubles):
        self.api = ApiServer()
        self.connection = Connection(self.api, self._meet)
        self.troubles = list(troubles)
        self.patches = []
        self.create()

    def create(self, uid="u"):
        raw = serialise(engine(nap("one"), nap("two"), uid=uid))
        self.api.put("trialengines", raw | {"status": {"podRef": GRANT}})

    def _meet(self, request):
        if request.verb == "json":
            assert request.subresource == "status"
            self.patches.append(request.body)
            trouble = self.troubles.pop(0) if self.troubles else None
            if callable(trouble):
                trouble = trouble(request.body)
            if trouble is not None:
                raise trouble

    def apply(self, operations):
        self.api.json_patch("trialengines", "example", operations, subresource="status")

    def change(self, **status):
        """Let somebody else write the status, or if there is nothing to write an annotation."""
        if status:
            self.api.merge_patch("trialengines", "example", {"status": status}, subresource="status")
        else:
            self.annotate(seen="by me")

    def annotate(self, **annotations):
        self.api.merge_patch("trialengines", "example", {"metadata": {"annotations": annotations}})

    def remove(self):
        self.api.remove("trialengines", "example")

    @property
    def raw(self):
        return self.api.get("trialengines", "example")

    @property
    def status(self):
        return self.raw["status"]


def save(server):
    """Save one checkpoint as an engine does that was granted when the server stood as it was made.

    Return the versions of the TrialEngine that were observed.
    """
    observed = []

    async def scenario():
        granted = parse(Server().raw, type(engine()))
        checkpoint = Checkpoint.from_storage(granted.status, ["one", "two"]).began("one", NOW).stamped(NOW)
        client = server.connection.client()
        await CheckpointStore(client, granted, POD, observed.append).save(checkpoint)

    asyncio.run(scenario())
    return observed


def test_save_writes_the_engines_own_fields_guarded_by_their_version():
    server = Server()

    save(server)

    guard, *fields = server.patches[0]
    assert guard == {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}
    assert [f["path"] for f in fields] == ["/status/activities", "/status/checkpoint"]
    assert server.status["podRef"] == GRANT
    assert server.status["checkpoint"] == {
        "version": 1, "sequence": 1, "activity": "one", "savedTime": "2026-11-24T10:00:00.123456Z",
    }  # fmt: skip


def test_save_after_a_conflict_is_repeated_with_the_new_version():
    server = Server()
    server.change(phase="Running")

    save(server)

    assert [operations[0]["value"] for operations in server.patches] == ["1", "2"]
    assert server.patches[0][1:] == server.patches[1][1:]
    assert server.status["phase"] == "Running"


def test_while_the_api_server_is_away_it_tries_again():
    server = Server(*[AWAY] * 20)

    save(server)

    assert len(server.patches) == 21


def test_a_write_whose_answer_was_lost_is_recognised_and_not_written_twice():
    server = Server()

    def applied_but_unanswered(operations):
        server.apply(operations)
        return AWAY

    server.troubles = [applied_but_unanswered]
    save(server)

    assert len(server.patches) == 1
    assert server.status["checkpoint"]["sequence"] == 1


def test_write_whose_answer_was_lost_is_recognised_after_writes_of_others():
    server = Server()

    def applied_but_unanswered(operations):
        server.apply(operations)
        server.change(phase="Running")
        return AWAY

    server.troubles = [applied_but_unanswered]
    save(server)

    assert len(server.patches) == 1


def test_write_that_arrives_late_is_recognised_as_its_repetition_conflicts():
    server, late = Server(), []

    def delayed(operations):
        late.append(operations)
        return AWAY

    def overtaken(_operations):
        server.apply(late[0])
        return ConflictError(409, "Conflict", "modified")

    server.troubles = [delayed, overtaken]
    save(server)

    assert len(server.patches) == 2
    assert server.status["checkpoint"]["sequence"] == 1


def remade(server):
    server.remove()
    server.create(uid="another")


def gone_after_a_conflict(server):
    server.troubles = [ConflictError(409, "Conflict", "modified")]
    server.remove()


@pytest.mark.parametrize(
    ("meanwhile", "why"),
    [
        pytest.param(
            lambda server: server.change(podRef=GRANT | {"name": "example-2", "uid": "other"}),
            "pod example-2 has the grant",
            id="another pod was granted",
        ),
        pytest.param(
            lambda server: server.change(podRef=None),
            "the grant was withdrawn for a restore",
            id="a restore has begun",
        ),
        pytest.param(
            lambda server: server.change(
                checkpoint={"version": 1, "sequence": 9, "savedTime": "2026-11-24T10:00:00Z"}
            ),
            "another process has written the checkpoint",
            id="somebody else wrote a checkpoint",
        ),
        pytest.param(remade, "deleted and created again", id="the TrialEngine was made anew"),
        pytest.param(Server.remove, "was deleted", id="the TrialEngine is gone"),
        pytest.param(gone_after_a_conflict, "was deleted", id="the TrialEngine is gone after a conflict"),
    ],
)
def test_a_save_ends_the_engine_when(meanwhile, why):
    server = Server()
    meanwhile(server)

    with pytest.raises(EngineEndedError, match=why) as ended:
        save(server)

    assert ended.value.ending is Ending.WITHDRAWN
    assert len(server.patches) == 1


def test_a_deletion_does_not_keep_it_from_saving_and_is_reported():
    server = Server()
    server.api.merge_patch("trialengines", "example", {"metadata": {"finalizers": ["example.com/hold"]}})
    server.api.delete("trialengines", "example")
    observed = save(server)

    assert len(server.patches) == 2
    assert all(version.metadata.deletion_timestamp is not None for version in observed)
    assert observed


def test_a_refusal_that_passes_is_waited_for():
    server = Server(*[RejectedError(403, "Forbidden", "no")] * 3)

    save(server)

    assert len(server.patches) == 4


def test_a_refusal_that_does_not_pass_ends_the_engine(monkeypatch):
    monkeypatch.setattr(checkpoint_store, "_REFUSED_SECONDS", 0.0)
    server = Server(RejectedError(422, "Invalid", "status.activities: Too many"))

    with pytest.raises(EngineEndedError, match="Too many") as ended:
        save(server)

    assert ended.value.ending is Ending.CHECKPOINT_REFUSED
