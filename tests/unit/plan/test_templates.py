"""What the texts of a plan become."""

import re
from datetime import UTC, datetime

import pytest

from lcm_operator.plan.templates import Scope
from lcm_operator.plan.values import TemplateError, Undefined

SEEN = Scope(
    {
        "parameters": {"name": "alpha", "number": "5", "curly": "{{ values.x }}", "empty": ""},
        "trial": {"id": "T 1", "startTime": datetime(2026, 11, 23, 22, 25, 45, tzinfo=UTC), "attempt": 2},
        "outputs": {
            "get-info": {"items": [1, 2], "nst": "{'a': 1, 'b': [True, None]}", "none": None, "ok": True}
        },
        "values": {"x": "secret"},
        "now": datetime(2026, 11, 24, 10, 0, 0, 123456, tzinfo=UTC),
        "response": {"status": 201, "json": Undefined("the response is not JSON")},
    }
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param("plain {text} %}", "plain {text} %}", id="text without expressions is left alone"),
        pytest.param("{# no comment #}\n", "{# no comment #}\n", id="there are no comments"),
        pytest.param("{{ trial.attempt }}", 2, id="a single expression keeps a number"),
        pytest.param("{{ outputs['get-info'].ok }}", True, id="a single expression keeps a boolean"),
        pytest.param("{{ outputs['get-info'].none }}", None, id="a single expression keeps null"),
        pytest.param("{{ parameters.number }}", "5", id="text that looks like a number stays text"),
        pytest.param("{{ outputs['get-info'] ['items'] }}", [1, 2], id="a single expression keeps a list"),
        pytest.param("{{ outputs['get-info'].items }}", [1, 2], id="a member is no method of dict"),
        pytest.param("{{ trial.attempt }}\n", "2\n", id="with text around it is text, to the last newline"),
        pytest.param("{{ 1 }}{{ 2 }}", "12", id="two expressions are text"),
        pytest.param("is {{ outputs['get-info'].ok }}", "is true", id="booleans in text are those of JSON"),
        pytest.param("a{{ outputs['get-info'].none }}b", "ab", id="null in text is nothing"),
        pytest.param("x{{ {'a': [1]} }}", 'x{"a":[1]}', id="objects in text are JSON"),
        pytest.param("{{ parameters.curly }}", "{{ values.x }}", id="a result is not rendered again"),
        pytest.param("{{ '{{' }}x", "{{x", id="braces can be written"),
        pytest.param("{{ '{%' }}", "{%", id="statement braces can be written"),
        pytest.param("{{ trial.startTime }}", "2026-11-23T22:25:45.000000Z", id="times are RFC 3339"),
        pytest.param("{{ now | strftime('%Y-%m-%dT%H:%M:%S') }}", "2026-11-24T10:00:00", id="now by a form"),
        pytest.param("{{ '2026-11-24T10:00:00+02:00' | strftime('%H%z') }}", "10+0200", id="text of a time"),
        pytest.param(
            "{{ outputs['get-info'].nst | literal }}", {"a": 1, "b": [True, None]}, id="a Python literal"
        ),
        pytest.param("{{ 'yes' if trial.attempt > 1 else 'no' }}", "yes", id="a choice"),
        pytest.param("{{ parameters.nope | default('other') }}", "other", id="a default for the undefined"),
        pytest.param("{{ 4 / 2 }}", 2, id="a whole number is an integer, as the API server gives it back"),
        pytest.param("{{ range(3) | list }}", [0, 1, 2], id="a small range"),
        pytest.param("{{ (1, 2) }}", [1, 2], id="tuples are lists"),
        pytest.param("{{-trial.attempt-}}", 2, id="with signs that trim blanks"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_text_says(source, value):
    said = SEEN.value(source)

    assert (said, type(said)) == (value, type(value))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param("{{ nope }}", "'nope' is undefined in `{{ nope }}`", id="an unknown name"),
        pytest.param(
            "a{{ nope.x }}", "'nope' is undefined in `a{{ nope.x }}`", id="a member of an unknown name"
        ),
        pytest.param("{{ outputs.other.id }}", "the object has no field 'other'", id="a missing output"),
        pytest.param(
            "{{ [nope] }}", "StrictUndefined is not a JSON value", id="an unknown name within a list"
        ),
        pytest.param("{{ response.json.id }}", "the response is not JSON", id="JSON that is none"),
        pytest.param("{{ a b }}", "expected token `}}`, got 'b' in", id="bad syntax"),
        pytest.param("{{ a", "unexpected end of text, expected `}}` in `{{ a`", id="an open end"),
        pytest.param(
            "{{ a | uper }}", "there is no filter uper, did you mean upper? in", id="a typo in a filter"
        ),
        pytest.param("{{ a | xyz }}", "there is no filter xyz in", id="an unknown filter"),
        pytest.param(
            "{% for i in range(9) %}{% endfor %}", "statements {% %} are not supported", id="a loop"
        ),
        pytest.param("{% raw %}{{ a }}{% endraw %}", "statements {% %} are not supported", id="a raw block"),
        pytest.param("{{ 1 / 0 }}", "ZeroDivisionError in `{{ 1 / 0 }}`", id="a division by nought"),
        pytest.param("{{ ''.__class__ }}", "unsafe", id="a way out of the sandbox"),
        pytest.param("{{ outputs.update({'a': 1}) }}", "unsafe|not safely", id="a change of what it sees"),
        pytest.param("{{ parameters.name.upper }}", "is not a JSON value", id="a method"),
        pytest.param("{{ range(10 ** 9) }}", "OverflowError", id="a huge range"),
        pytest.param("{{ 'x' * 10 ** 9 }}", "too long", id="a huge text"),
        pytest.param("{{ [1] * 10 ** 9 }}", "too long", id="a huge list"),
        pytest.param("{{ 9 ** 99999 }}", "too large", id="a huge number"),
        pytest.param("{{ 2 ** 64 }}", "more than 64 bits", id="a number that cannot be stored"),
        pytest.param("{{ 1e999 }}", "NameError", id="infinity, which jinja2 cannot write"),
        pytest.param("{{ 'x[' | literal }}", "expects a Python literal", id="no Python literal"),
        pytest.param("{{ 'soon' | strftime('%Y') }}", "expects a time", id="no time"),
        pytest.param("{{ 'a' ~ 'x' * 1000000 }}{{ 'x' * 1000000 }}", "longer than", id="too long a text"),
    ],
)
def test_it_is_an_error_that_names_the_expression(source, why):
    with pytest.raises(TemplateError, match="(?s)" + re.sub("[{*?]", r"[\g<0>]", why)):
        SEEN.value(source)


def test_errors_do_not_repeat_values():
    with pytest.raises(TemplateError) as error:
        SEEN.value("{{ values.x + 1 }}")

    assert "secret" not in str(error.value)


def test_text_is_asked_for_as_text():
    assert SEEN.text("{{ trial.attempt }}") == "2"
    assert SEEN.text("{{ outputs['get-info'].none }}") == ""


def test_of_several_texts_the_empty_ones_are_left_out():
    texts = {"A": "{{ parameters.name }}", "B": "{{ parameters.empty }}", "C": "{{ none }}", "D": ""}

    assert SEEN.texts(texts) == {"A": "alpha"}


def test_a_tree_is_rendered_in_its_values_only():
    tree = {"{{ a }}": ["{{ trial.attempt }}", {"n": 5, "b": None}, "x{{ parameters.number }}"]}

    assert SEEN.tree(tree) == {"{{ a }}": [2, {"n": 5, "b": None}, "x5"]}


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("{{ true }}", True),
        ("{{ none }}", False),
        ("{{ 0 }}", False),
        ("{{ [0] }}", True),
        ("{{ trial.attempt > 1 }}\n", True),
        ("False", False),
        ("", False),
    ],
)
def test_conditions(source, holds):
    assert SEEN.condition(source) is holds


def test_text_that_says_neither_true_nor_false_is_no_condition():
    with pytest.raises(TemplateError, match="must be true or false"):
        SEEN.condition("{{ parameters.name }}")
