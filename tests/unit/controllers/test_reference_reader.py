"""Objects that engines refer to: read once for all slots, again at a bounded pace, reported on change."""

import asyncio

import pytest
from tests.unit.controllers.clock import HandClock
from tests.unit.controllers.objects import KEY, raw_trial

from lcm_operator.controllers.key import Key
from lcm_operator.controllers.reference_reader import ReferenceReader
from lcm_operator.controllers.references import MOST_A_PASS
from lcm_operator.controllers.slot_cache import SlotCache
from lcm_operator.domain.snapshot import Reference, Settings
from lcm_operator.kube.errors import NotFoundError, RejectedError

SECRET = Reference("Secret", "chat")
OTHER = Key("lab", "other")


class Lab:
    """An API server with Secrets, and the reader of a store."""

    def __init__(self):
        self.secrets = {}
        self.error = None
        self.reads = []
        self.clock = HandClock()
        self.cache = SlotCache(Settings(), self.clock)
        self.cache.put_trial(raw_trial())
        self.cache.put_trial(raw_trial("other", "trial-2"))
        self.reader = ReferenceReader(self, self.cache, self.clock)

    async def get(self, resource, namespace, name):
        self.reads.append((resource.kind, namespace, name))
        if self.error is not None:
            raise self.error
        if name not in self.secrets:
            raise NotFoundError(404, "NotFound", "")
        return {"data": dict.fromkeys(self.secrets[name], "s3cret")}

    def watch(self, *keys, objects=frozenset({SECRET})):
        for key in keys:
            asyncio.run(self.reader.read(key, objects))

    def pause(self, seconds):
        """Let time pass, with one pass of the reader; return the slots that are decided about."""
        self.clock.advance(seconds)
        looked = []

        async def examine(keys):
            looked.extend(keys)

        async def one_pass():
            running = asyncio.create_task(self.reader.run(examine))
            await asyncio.sleep(0)
            for _ in range(50):
                await asyncio.sleep(0)
            running.cancel()

        asyncio.run(one_pass())
        return looked

    @property
    def known(self):
        found = self.cache.references.in_namespace("lab").get(SECRET)
        return found and found.value


@pytest.fixture
def lab():
    return Lab()


def test_an_object_is_read_once_for_all_slots(lab):
    lab.secrets["chat"] = ["url"]
    lab.watch(KEY, OTHER)

    assert lab.reads == [("Secret", "lab", "chat")]
    assert lab.known == {"url"}
    assert lab.cache.snapshot(KEY).watched == {SECRET}


def test_of_a_secret_only_the_names_of_its_keys_are_kept(lab):
    lab.secrets["chat"] = ["url"]
    lab.watch(KEY)

    assert "s3cret" not in str(lab.cache.snapshot(KEY).references)


def test_a_missing_object_is_read_again_and_both_slots_hear_of_it(lab):
    lab.watch(KEY, OTHER)
    assert lab.cache.snapshot(KEY).references[SECRET].value is None

    lab.secrets["chat"] = ["url"]
    assert lab.pause(1.9) == []
    assert set(lab.pause(0.2)) == {KEY, OTHER}
    assert lab.known == {"url"}


def test_an_object_that_stays_as_it_is_leads_to_no_decision(lab):
    lab.secrets["chat"] = ["url"]
    lab.watch(KEY)

    assert lab.pause(6) == []
    assert len(lab.reads) == 2


def test_an_object_that_loses_its_key_leads_to_a_decision(lab):
    lab.secrets["chat"] = ["url"]
    lab.watch(KEY)
    lab.secrets["chat"] = ["uri"]

    assert lab.pause(6) == [KEY]


def test_an_object_whose_read_is_rejected_is_unknown_and_read_once(lab):
    lab.error = RejectedError(403, "Forbidden", "no")
    lab.watch(KEY, OTHER)

    assert len(lab.reads) == 1
    assert SECRET not in lab.cache.snapshot(KEY).references


def test_an_object_that_no_waiting_trial_needs_is_forgotten(lab):
    lab.secrets["chat"] = ["url"]
    lab.watch(KEY)
    lab.cache.drop_trial("lab", "example", "trial-1")

    assert lab.pause(6) == []
    assert len(lab.reads) == 1
    assert SECRET not in lab.cache.references.in_namespace("lab")
    assert lab.cache.references.watched(KEY) == frozenset()


def test_a_pass_reads_only_so_many_objects(lab):
    many = frozenset(Reference("Secret", f"s{number}") for number in range(3 * MOST_A_PASS))
    lab.watch(KEY, objects=many)
    lab.reads.clear()

    lab.pause(3)
    assert len(lab.reads) == MOST_A_PASS


def test_a_new_term_reads_anew(lab):
    lab.watch(KEY)
    lab.cache.begin_term()

    assert lab.cache.snapshot(KEY).watched == frozenset()
    assert dict(lab.cache.references.in_namespace("lab")) == {}


@pytest.mark.parametrize("name", ["../../other/secrets/chat", "a/b", "Chat", "", "a" * 254])
def test_a_name_that_no_object_can_have_is_never_requested(lab, name):
    odd = Reference("Secret", name)
    lab.watch(KEY, objects=frozenset({odd}))

    assert lab.reads == []
    assert lab.cache.snapshot(KEY).references[odd].value is None


def test_missing_objects_take_turns(lab):
    many = frozenset(Reference("Secret", f"s{number:02}") for number in range(2 * MOST_A_PASS))
    lab.watch(KEY, objects=many)
    lab.reads.clear()

    lab.pause(3)
    lab.pause(1)
    assert {name for _, _, name in lab.reads} == {each.name for each in many}
