"""How objects are called after a trial ID."""

import re

import pytest

from lcm_operator.api.names import engine_name, hashed_name, pod_name, slug

TEN_HEX = re.compile(r"-[0-9a-f]{10}$")


@pytest.mark.parametrize(
    ("trial_id", "expected"),
    [
        pytest.param("trial-1", "trial-1", id="what can stand stays"),
        pytest.param("Trial", "trial", id="capitals become small"),
        pytest.param("a__b//c", "a-b-c", id="each run of anything else is one dash"),
        pytest.param("a--b", "a-b", id="dashes are such a run too"),
        pytest.param("-a-", "a", id="dashes at both ends go"),
        pytest.param("Ünder", "nder", id="what is not ASCII goes"),
        pytest.param("日本", "trial", id="nothing left: trial"),
        pytest.param("", "trial", id="nothing at all: trial"),
        pytest.param("x" * 60, "x" * 39, id="cut at 39"),
        pytest.param("x" * 38 + "/y", "x" * 38, id="a dash left by the cut goes"),
        pytest.param("/" + "x" * 60, "x" * 38, id="cut before the dash in front goes"),
    ],
)
def test_a_slug(trial_id, expected):
    assert slug(trial_id) == expected


@pytest.mark.parametrize(
    "trial_id",
    [
        pytest.param("a", id="one letter"),
        pytest.param("0", id="one digit"),
        pytest.param("a-b--c", id="dashes within"),
        pytest.param("x" * 50, id="fifty characters"),
        pytest.param("a-012345678", id="nine hex digits at the end"),
        pytest.param("a-0123456789a", id="eleven hex digits at the end"),
        pytest.param("a-012345678g", id="ten characters at the end that are not all hex"),
        pytest.param("0123456789", id="ten hex digits and no dash"),
        pytest.param("a-0123456789-1", id="ten hex digits in the middle"),
    ],
)
def test_an_engine_is_called_by_the_id_itself_if_that_is_a_label_of(trial_id):
    assert engine_name(trial_id) == trial_id


@pytest.mark.parametrize(
    "trial_id",
    [
        pytest.param("Trial", id="a capital"),
        pytest.param("a.b", id="a dot"),
        pytest.param("a b", id="a space"),
        pytest.param("-a", id="a dash in front"),
        pytest.param("a-", id="a dash at the end"),
        pytest.param("a\n", id="a line's end behind it"),
        pytest.param("é", id="a letter that is not ASCII"),
        pytest.param("x" * 51, id="fifty-one characters"),
        pytest.param("a-0123456789", id="a dash and ten hex digits at the end"),
        pytest.param("a-abcdefabcd", id="a dash and ten letters that are hex at the end"),
        pytest.param("", id="nothing"),
        pytest.param("x" * 253, id="253 characters"),
    ],
)
def test_an_engine_is_called_by_slug_and_hash_if_the_id_has(trial_id):
    name = engine_name(trial_id)
    assert name == hashed_name(trial_id)
    assert name == f"{slug(trial_id)}{TEN_HEX.search(name)[0]}"


def test_ids_that_differ_in_case_only_get_names_that_differ():
    assert len({engine_name(trial_id) for trial_id in ("trial", "Trial", "TRIAL")}) == 3


def test_the_name_made_for_one_id_is_never_the_name_of_another_id_itself():
    name = engine_name("Trial 1")
    assert engine_name(name) != name


def test_the_hash_is_that_of_the_bytes_of_the_id():
    assert hashed_name("é") == "trial-4a99557e40"


@pytest.mark.parametrize(
    "trial_id", [pytest.param("x" * 50, id="plain"), pytest.param("y" * 253, id="hashed")]
)
def test_pod_name_of_a_thousandth_attempt_is_a_dns_label(trial_id):
    name = pod_name(engine_name(trial_id), 1000)
    assert name.endswith("-1000")
    assert len(name) <= 63
