"""Numbers that a plan gives as text."""

import pytest

from lcm_operator.api.engine import Parameter
from lcm_operator.api.plan import Plan, SecretKeyRef
from lcm_operator.api.storage import parse
from lcm_operator.plan.numbers import number, resolve_numbers
from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError

SECRET = SecretKeyRef(name="kpi", key="n")
PARAMETERS = (
    Parameter(name="minutes", value=" 2.5 "),
    Parameter(name="word", value="soon"),
    Parameter(name="hidden", secret_key_ref=SECRET),
)
SCOPE = Scope({"parameters": {"minutes": "2.5", "word": "soon"}})


@pytest.mark.parametrize(
    ("source", "field", "value"),
    [
        pytest.param(0.3, "sleep.seconds", 0.3, id="a number"),
        pytest.param("12", "sleep.seconds", 12, id="a number as text"),
        pytest.param("{{ parameters.minutes }}", "sleep.seconds", 2.5, id="an expression that gives text"),
        pytest.param("{{ parameters.minutes | number * 60 }}", "wait.timeoutSeconds", 150, id="the filter"),
        pytest.param("{{ 1 + 1 }}", "retry.limit", 2, id="an expression that gives a number"),
        pytest.param("{{ 3 | number + '-1' | number }}", "retry.limit", 2, id="the filter on a number"),
        pytest.param("1{{ 2 }}", "exec.timeoutSeconds", 12, id="a text that is put together"),
    ],
)
def test_number_is(source, field, value):
    assert number(source, field, SCOPE) == value


@pytest.mark.parametrize(
    ("source", "field", "why"),
    [
        pytest.param(
            "{{ 0 }}", "wait.timeoutSeconds", "above 0, up to 315360000, got `0`", id="a time-out of 0"
        ),
        pytest.param("{{ 0 - 1 }}", "sleep.seconds", "a number from 0 to 315360000, got `-1`", id="negative"),
        pytest.param("{{ 86401 }}", "http.timeoutSeconds", "up to 86400, got `86401`", id="more than a day"),
        pytest.param(
            "{{ 1.5 }}", "retry.limit", "a whole number from 0 to 1000, got `1.5`", id="half a retry"
        ),
        pytest.param("{{ true }}", "retry.limit", "got `true`", id="a boolean"),
        pytest.param("{{ parameters.word }}", "sleep.untilSeconds", "got `soon`", id="a word"),
        pytest.param("nan", "sleep.seconds", "got `nan`", id="not a number"),
        pytest.param("{{ [1] }}", "sleep.seconds", "got `[1]`", id="a list"),
        pytest.param(
            "{{ parameters.word | number }}", "sleep.seconds", "the filter number expects", id="filter"
        ),
        pytest.param("{{ '1' * 99 }}", "sleep.seconds", "got `111", id="endless digits"),
    ],
)
def test_error_names_field_range_and_value(source, field, why):
    with pytest.raises(TemplateError) as error:
        number(source, field, SCOPE)
    assert why in str(error.value)
    assert "filter" in why or str(error.value).startswith(f"{field}: expected ")


def resolved(source):
    asked = {"name": "ask", "http": {"url": "http://x/", "timeoutSeconds": source}}
    lists = resolve_numbers(parse({"activities": [], "finally": [asked]}, Plan), PARAMETERS)
    return lists if isinstance(lists, list) else lists["finally_"][0].http.timeout_seconds


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param(30, 30, id="a number stays"),
        pytest.param("7", 7, id="text"),
        pytest.param("{{ parameters.minutes | number * 60 }}", 150, id="plain parameters"),
        pytest.param("{{ parameters['minutes'] | number }}", 2.5, id="by index"),
    ],
)
def test_number_that_plain_parameters_determine_is_resolved_at_arming(source, value):
    assert resolved(source) == value


@pytest.mark.parametrize(
    "source",
    [
        "{{ parameters.hidden | number }}",
        "{{ parameters.hidden | default(5) }}",
        "{{ parameters.minutes | number + outputs.a.n }}",
        "{{ parameters | length }}",
        "{{ parameters[values.which] }}",
        "{{ now.minute }}",
    ],
)
def test_number_that_depends_on_more_stays_an_expression(source):
    assert resolved(source) == source


def test_number_out_of_bounds_is_an_error_at_arming_that_names_its_place():
    (fault,) = resolved("{{ parameters.word }}")
    assert str(fault) == (
        "finally[0].http.timeoutSeconds: expected a number above 0, up to 86400, got `soon`"
    )
