"""Read, change, write: what conflicts with others, and what is left as it is."""

import asyncio

import pytest
from tests.harness.api_server import ApiServer
from tests.harness.client import Connection

from lcm_operator.kube import update as module
from lcm_operator.kube.errors import ConflictError, NotFoundError, RejectedError
from lcm_operator.kube.resources import CONFIG_MAPS, TRIALS
from lcm_operator.kube.update import again_on_conflict, update

BLANK = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}


class Server:
    """One ConfigMap. `rivals` are called before the next writes, one each."""

    def __init__(self, text=None):
        self.api = ApiServer()
        self.connection = Connection(self.api, self._rival, self._note)
        self.rivals = []
        self.done = []
        if text is not None:
            self.set(text)

    @property
    def writes(self):
        """What was written, but for what met a Conflict: the verb and the subresource."""
        return [(request.verb, request.subresource) for request in self.done]

    def set(self, text):
        self.api.put("configmaps", BLANK | {"data": {"text": text}})

    def get(self):
        return self.api.get("configmaps", "x")

    def delete(self):
        self.api.remove("configmaps", "x")

    def _rival(self, request):
        if request.writes and self.rivals:
            self.rivals.pop(0)()

    def _note(self, request):
        if request.writes:
            self.done.append(request)


def add(raw):
    return {"data": {"text": raw.get("data", {}).get("text", "") + "a"}}


def run(server, change=add, **options):
    client = server.connection.client()
    return asyncio.run(update(client, CONFIG_MAPS, "lab", "x", change, **options))


def text_of(raw):
    return raw["data"]["text"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_SECONDS", 0.0)


def test_object_is_changed_and_returned_as_it_is_then():
    server = Server("x")
    assert text_of(run(server)) == "xa"
    assert server.writes == [("merge", "")]


def test_change_is_computed_anew_from_what_a_rival_has_written():
    server = Server("x")
    server.rivals = [lambda: server.set("y"), lambda: server.set("z")]
    assert text_of(run(server)) == "za"
    assert server.writes == [("merge", "")]


def test_change_of_a_status_is_computed_anew_as_well():
    def write(phase):
        server.api.put("trials", {"metadata": {"name": "x"}, "status": {"phase": phase}})

    def change(raw):
        return {"status": {"phase": raw["status"]["phase"] + "a"}}

    server = Server()
    write("x")
    server.rivals = [lambda: write("y"), lambda: write("z")]
    client = server.connection.client()
    written = asyncio.run(update(client, TRIALS, "lab", "x", change, subresource="status"))
    assert written["status"] == {"phase": "za"}
    assert server.writes == [("merge", "status")]


def test_object_that_was_just_read_is_not_read_again():
    server = Server("x")
    assert text_of(run(server, lambda _: {"data": {"text": "new"}}, known=server.get())) == "new"
    assert [request.verb for request in server.connection.requests] == ["merge"]


def test_object_that_a_rival_has_changed_since_it_was_read_is_read_again():
    server = Server("x")
    known = server.get()
    server.set("y")
    assert text_of(run(server, known=known)) == "ya"


def test_object_that_was_deleted_since_it_was_read_is_reported():
    server = Server("x")
    known = server.get()
    server.delete()
    with pytest.raises(NotFoundError):
        run(server, known=known)


def test_json_patch_brings_its_own_guard():
    def change(raw):
        version = raw["metadata"]["resourceVersion"]
        guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": version}
        return [guard, {"op": "add", "path": "/data/text", "value": text_of(raw) + "b"}]

    server = Server("x")
    server.rivals = [lambda: server.set("y")]
    assert text_of(run(server, change)) == "yb"
    assert server.writes == [("json", "")]


def test_nothing_is_written_where_nothing_changes():
    server = Server("x")
    assert text_of(run(server, lambda _: None)) == "x"
    assert server.writes == []


def test_missing_object_is_reported():
    with pytest.raises(NotFoundError):
        run(Server())


def test_object_that_is_deleted_before_the_write_is_reported():
    server = Server("x")
    server.rivals = [server.delete]
    with pytest.raises(NotFoundError):
        run(server)


def test_missing_object_is_created_where_that_is_wanted():
    server = Server()
    assert text_of(run(server, missing=BLANK)) == "a"
    assert server.writes == [("create", "")]
    assert server.done[0].body == BLANK | {"data": {"text": "a"}}


def test_missing_object_is_not_created_for_nothing():
    server = Server()
    assert run(server, lambda _: None, missing=BLANK) == BLANK
    assert server.writes == []


def test_object_that_a_rival_creates_first_is_changed():
    server = Server()
    server.rivals = [lambda: server.set("x")]
    assert text_of(run(server, missing=BLANK)) == "xa"


def test_object_that_a_rival_deletes_is_created_again():
    server = Server("x")
    server.rivals = [server.delete]
    assert text_of(run(server, missing=BLANK)) == "a"


def test_gives_up_when_others_keep_being_faster():
    server = Server("x")
    server.rivals = [lambda: server.set("y")] * 100
    with pytest.raises(ConflictError):
        run(server)
    assert len(server.rivals) == 85


def test_other_errors_are_not_tried_again():
    calls = []

    async def attempt():
        calls.append(1)
        raise RejectedError(422, "Invalid", "x")

    with pytest.raises(RejectedError):
        asyncio.run(again_on_conflict(attempt))
    assert len(calls) == 1


def test_error_of_the_change_is_passed_on():
    def change(_):
        raise LookupError

    with pytest.raises(LookupError):
        run(Server("x"), change)


def test_pauses_grow_and_have_a_bound(monkeypatch, mocker):
    monkeypatch.setattr(module, "_FIRST_SECONDS", 0.01)
    sleep = mocker.patch("lcm_operator.kube.backoff.asyncio.sleep")
    server = Server("x")
    server.connection.immediate = True
    server.rivals = [lambda: server.set("y")] * 14
    run(server)
    pauses = [call.args[0] for call in sleep.await_args_list]
    assert len(pauses) == 14
    assert 0.005 <= pauses[0] <= 0.01
    assert all(0.1 <= pause <= 0.2 for pause in pauses[5:])
