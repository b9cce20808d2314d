"""`lcm plan check`: Trials, their parameters, and the plan that they use."""

from tests.unit.cli.manifests import PLAN, TRIAL


def test_an_inline_plan_of_a_trial_is_checked_with_its_parameters(check):
    trial = (
        TRIAL
        + """\
  parameters: {known: "1"}
  activities:
  - {name: a, exec: {command: [x], env: {A: "{{ parameters.known }}", B: "{{ parameters.other }}"}}}
"""
    )
    assert check(trial) == (1, ["8: spec.activities[0].exec.env.B: the parameter other is not declared"])


def test_a_number_for_a_text_is_answered_with_quotes(check):
    trial = (
        TRIAL
        + """\
  planRef: {name: survey}
  parameters: {minutes: 5}
"""
    )
    quoted = '7: spec.parameters.minutes: must be of type string: put it in quotes, such as "5"'
    assert check(trial) == (1, [quoted])


def test_parameters_of_a_trial_are_compared_with_its_plan_in_the_file(check):
    plan = PLAN + "  - {name: drone, default: x}\n  activities:\n  - {name: a, sleep: {seconds: 1}}\n"
    trial = (
        "---\n"
        + TRIAL
        + """\
  planRef: {name: survey}
  parameters: {dron: "7"}
"""
    )
    assert check(plan + trial) == (
        1,
        [
            "17: spec.parameters.dron: not declared by the plan, did you mean drone?",
            "17: spec.parameters.url: required by the plan",
        ],
    )


def test_numbers_of_a_trial_are_calculated_with_the_plan_in_the_file(check):
    plan = """\
apiVersion: lcm.5gdrones.eu/v1alpha1
kind: TrialPlan
metadata: {name: survey}
spec:
  parameters:
  - {name: minutes}
  - {name: pause, default: "3"}
  - {name: secret, secretKeyRef: {name: s, key: k}}
  activities:
  - {name: rest, sleep: {seconds: "{{ parameters.pause | number }}"}}
  - {name: hold, sleep: {seconds: "{{ parameters.secret | number }}"}}
  - {name: fly, sleep: {seconds: "{{ parameters.minutes | number * 60 }}"}}
---
apiVersion: lcm.5gdrones.eu/v1alpha1
kind: Trial
metadata: {name: one}
spec:
  startTime: "2031-01-01T10:00:00Z"
  planRef: {name: survey}
  parameters: {minutes: "%s"}
"""
    assert check(plan % "7.5") == (0, [])
    code, (line,) = check(plan % "-1")
    assert code == 1
    assert line == (
        "20: spec.parameters: activities[2].sleep.seconds of TrialPlan survey: "
        "expected a number from 0 to 315360000, got `-60`"
    )
    code, (line,) = check(plan % "abc")
    assert code == 1
    assert line.startswith("20: spec.parameters: activities[2].sleep.seconds of TrialPlan survey: the filter")


def test_numbers_of_an_inline_plan_are_calculated_with_its_parameters(check):
    trial = (
        TRIAL
        + """\
  parameters: {minutes: "abc"}
  activities:
  - {name: fly, sleep: {seconds: "{{ parameters.minutes | number * 60 }}"}}
"""
    )
    code, (line,) = check(trial)
    assert code == 1
    assert line.startswith("8: spec.activities[0].sleep.seconds: the filter number expects a number")
