"""The ConfigMap `lcm-rest`: heartbeats in it, several writers, what people write into it."""

import asyncio
import json
from itertools import chain, repeat

import pytest
from tests.harness.waiting import until
from tests.unit.rest.harness import run
from tests.unit.rest.kube import Kube

from lcm_operator.api.storage import MalformedError
from lcm_operator.kube.errors import ConflictError, UnavailableError
from lcm_operator.kube.errors import RejectedError as RefusedByApi
from lcm_operator.rest.http.replies import HttpRefusalError
from lcm_operator.rest.state import MOST, NAME, Content, Heartbeats, SidecarState

TOO_LARGE = RefusedByApi(422, "Invalid", "Too long: must have at most 1048576 bytes")


def stored(kube):
    return json.loads(kube.objects["configmaps", NAME]["data"]["heartbeats"])


def refused(work):
    with pytest.raises(HttpRefusalError) as raised:
        run(work)
    return raised.value.status, raised.value.detail


@pytest.fixture
def kube():
    return Kube()


@pytest.fixture
def heartbeats(kube):
    return Heartbeats(SidecarState(kube, "lab"))


def test_the_config_map_is_made_when_it_is_needed_and_repeats_add_another(kube, heartbeats):
    async def scenario():
        for trial_id in ("a", "ü b", "a"):
            await heartbeats.add(trial_id)

    run(scenario())
    assert stored(kube) == ["a", "ü b", "a"]
    assert heartbeats.known == ("a", "ü b", "a")


def test_removing_takes_one_away_and_leaves_the_rest(kube, heartbeats):
    async def scenario():
        for trial_id in ("a", "b", "a"):
            await heartbeats.add(trial_id)
        await heartbeats.remove("a")

    run(scenario())
    assert stored(kube) == ["a", "b"]


def test_a_heartbeat_that_is_not_there_cannot_be_removed(kube, heartbeats):
    assert refused(heartbeats.remove("a")) == (400, "Heartbeat instance with trial ID: a does not exist.")
    assert kube.writes == 0


def test_a_thousand_are_kept_and_then_the_next_is_refused(kube, heartbeats):
    kube.put("configmaps", NAME, data={"heartbeats": json.dumps(["a"] * MOST)})

    assert refused(heartbeats.add("b"))[0] == 400
    run(heartbeats.remove("a"))
    run(heartbeats.add("b"))
    assert len(stored(kube)) == MOST


def test_ids_that_are_too_long_for_one_config_map_are_refused_as_well(kube, heartbeats):
    def fail():
        raise TOO_LARGE

    kube.before_write = [fail]
    assert refused(heartbeats.add("b"))[0] == 400


def test_of_two_who_make_the_config_map_neither_is_lost(kube, heartbeats):
    kube.before_write = [lambda: kube.put("configmaps", NAME, data={"heartbeats": '["rival"]'})]

    run(heartbeats.add("a"))
    assert stored(kube) == ["rival", "a"]


def test_of_two_who_write_at_once_neither_is_lost(kube, heartbeats):
    run(heartbeats.add("a"))
    kube.before_write = [
        lambda: kube.put("configmaps", NAME, data={"heartbeats": '["a", "rival"]'}),
        lambda: kube.put("configmaps", NAME, data={"heartbeats": '["a", "rival", "again"]'}),
    ]

    run(heartbeats.add("b"))
    assert stored(kube) == ["a", "rival", "again", "b"]


def test_a_config_map_that_is_deleted_meanwhile_is_made_again(kube, heartbeats):
    run(heartbeats.add("a"))
    kube.before_write = [lambda: kube.drop("configmaps", NAME)]

    run(heartbeats.add("b"))
    assert stored(kube) == ["b"]


def test_who_never_gets_through_gives_up_and_says_so(kube, heartbeats):
    kube.before_write = [lambda: kube.put("configmaps", NAME, data={})] * 100

    with pytest.raises(ConflictError, match="ConfigMap lcm-rest is being changed too often"):
        run(heartbeats.add("a"))
    assert len(kube.before_write) > 80


def test_many_at_once_in_one_process_all_get_through(kube, heartbeats):
    async def scenario():
        await asyncio.gather(*(heartbeats.add(str(number)) for number in range(50)))

    run(scenario())
    assert sorted(map(int, stored(kube))) == list(range(50))


@pytest.mark.parametrize("text", ["nonsense", "{}", "[1]", '[{"a": 1}]'])
def test_what_people_have_spoilt_is_not_overwritten(kube, heartbeats, text):
    kube.put("configmaps", NAME, data={"heartbeats": text})

    with pytest.raises(MalformedError, match=f"ConfigMap {NAME}"):
        run(heartbeats.add("a"))
    assert kube.writes == 0


def test_what_others_write_becomes_known(kube):
    notes = SidecarState(kube, "lab")

    async def scenario():
        kube.put("configmaps", NAME, data={"heartbeats": '["a"]'})
        following = asyncio.create_task(notes.follow())
        await notes.filled.wait()
        assert notes.known.heartbeats == ("a",)
        kube.put("configmaps", NAME, data={"heartbeats": '["a", "b"]'})
        await until(lambda: notes.known.heartbeats == ("a", "b"))
        kube.put("configmaps", NAME, data={"heartbeats": "spoilt"})
        kube.put("configmaps", NAME, data={"heartbeats": '["c"]'})
        await until(lambda: notes.known.heartbeats == ("c",))
        kube.drop("configmaps", NAME)
        await until(lambda: notes.known.heartbeats == ())
        following.cancel()

    run(scenario())


def test_what_comes_late_does_not_hide_what_was_written_since(kube):
    notes = SidecarState(kube, "lab")

    async def scenario():
        old = kube.put("configmaps", NAME, data={"heartbeats": "[]"})
        await Heartbeats(notes).add("a")
        notes._take(Content.parse(old), old["metadata"]["resourceVersion"])
        assert notes.known.heartbeats == ("a",)

    run(scenario())


def test_following_continues_when_the_api_server_is_back(kube, mocker):
    answers = chain([UnavailableError(0, "Unreachable", "away")], repeat(mocker.DEFAULT))
    mocker.patch.object(kube, "listed", wraps=kube.listed, side_effect=answers)

    async def scenario():
        notes = SidecarState(kube, "lab")
        following = asyncio.create_task(notes.follow())
        await asyncio.wait_for(notes.filled.wait(), 10)
        following.cancel()

    run(scenario())
