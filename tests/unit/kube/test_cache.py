"""The object cache: what is older changes nothing, what was deleted stays deleted."""

import pytest

from lcm_operator.kube import cache as module
from lcm_operator.kube.cache import ObjectCache

A = ("lab", "a")


@pytest.fixture
def cache():
    filled = ObjectCache()
    assert filled.put(A, "u-1", "5", "five")
    return filled


@pytest.mark.parametrize(("version", "new"), [(4, False), (5, False), (6, True), ("10", True)])
def test_newest_version_wins(cache, version, new):
    assert cache.put(A, "u-1", version, "other") is new
    assert cache.get(A) == ("other" if new else "five")


def test_deleted_object_stays_deleted(cache):
    assert cache.drop(A, "u-1") == "five"
    assert not cache.put(A, "u-1", 9, "late")
    assert cache.get(A) is None


def test_object_that_was_never_seen_can_be_deleted(cache):
    assert cache.drop(("lab", "b"), "u-2") is None
    assert not cache.put(("lab", "b"), "u-2", 9, "late")


def test_object_of_the_same_name_takes_its_place(cache):
    assert cache.put(A, "u-2", 6, "another")
    assert not cache.put(A, "u-1", 7, "late")
    assert cache.get(A) == "another"
    assert cache.drop(A, "u-1") is None
    assert cache.get(A) == "another"


def test_older_object_of_the_same_name_is_passed_over(cache):
    assert not cache.put(A, "u-0", 4, "older")
    assert cache.get(A) == "five"


def test_oldest_deletions_are_forgotten_first(cache, monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED_DELETIONS", 2)
    for uid in ("u-1", "u-2", "u-3"):
        cache.drop(A, uid)
    assert [cache.is_news(A, uid, 9) for uid in ("u-1", "u-2", "u-3")] == [True, False, False]


def test_all_of_it_can_be_gone_through(cache):
    cache.put(("lab", "b"), "u-2", 6, "six")
    assert (len(cache), list(cache)) == (2, ["five", "six"])
    before = cache.entries()
    cache.drop(A, "u-1")
    assert {key: entry.uid for key, entry in before.items()} == {A: "u-1", ("lab", "b"): "u-2"}


@pytest.mark.parametrize(
    ("uid", "version", "news"),
    [("u-1", "5", False), ("u-1", "4", False), ("u-1", "6", True), ("u-2", "4", False), ("u-2", "6", True)],
)
def test_head_of_a_list_is_news_or_not(cache, uid, version, news):
    assert cache.is_news(A, uid, version) is news
