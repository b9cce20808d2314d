"""`lcm plan check`: what is wrong with the plans in a file, each fault with its line."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.unit.cli.manifests import PLAN

from lcm_operator.cli import documents, plan_check
from lcm_operator.plan.rules import RULES

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "file",
    [
        *sorted((REPOSITORY / "deploy" / "plans").glob("*.yaml")),
        *sorted((REPOSITORY / "examples").glob("plan-*.yaml")),
        *sorted((REPOSITORY / "examples").glob("trial-*.yaml")),
    ],
    ids=lambda file: file.name,
)
def test_our_own_plans_are_fine(check, file):
    assert check(file.read_text()) == (0, [])


FAULTS = {
    "a field that there is not": (
        "  - {name: a, slep: {seconds: 1}, sleep: {seconds: 1}}",
        "8: spec.activities[0].slep: unknown field, did you mean sleep?",
    ),
    "a value of another type": (
        "  - name: a\n    sleep: {seconds: soon}",
        "9: spec.activities[0].sleep.seconds: must be a number, or text with an expression {{ }}",
    ),
    "a name that is no DNS label": (
        "  - {name: A b, sleep: {seconds: 1}}",
        "8: spec.activities[0].name: must consist of lower-case letters, digits and -, such as",
    ),
    "a field that is missing": (
        "  - {name: a, http: {method: POST}}",
        "8: spec.activities[0].http.url: is required",
    ),
    "an activity of two kinds": (
        "  - name: a\n    sleep: {seconds: 1}\n    exec: {command: [x]}",
        "8: spec.activities[0]: an activity must have exactly one of http, wait, sleep and exec",
    ),
    "a name twice, in two lists": (
        "  - {name: a, sleep: {seconds: 1}}\n  finally:\n  - {name: a, sleep: {seconds: 1}}",
        "10: spec.finally[0].name: names must be unique across activities, onFailure and finally",
    ),
    "a finish that jumps nowhere": (
        "  - {name: a, sleep: {seconds: 1}}\n  finishAt: b",
        "9: spec.finishAt: finishAt must be the name of one of activities",
    ),
    "a signal that is no DNS label": (
        "  - {name: a, wait: {signal: Slice.ready}}",
        "8: spec.activities[0].wait.signal: Slice.ready must be a DNS label: lower-case letters",
    ),
    "a number out of its bounds, as text": (
        '  - {name: a, http: {url: "http://x/", timeoutSeconds: "86401"}}',
        "8: spec.activities[0].http.timeoutSeconds: expected a number above 0",
    ),
    "a number with an unknown name": (
        '  - {name: a, sleep: {seconds: "{{ parameters.x | number }}"}}',
        "8: spec.activities[0].sleep.seconds: the parameter x is not declared",
    ),
    "a list for a number": (
        "  - {name: a, sleep: {seconds: [1]}}",
        "8: spec.activities[0].sleep.seconds: must be a number, or text with an expression {{ }}",
    ),
    "a failure before there can be one": (
        '  - {name: a, when: "{{ failure }}", sleep: {seconds: 1}}',
        "8: spec.activities[0].when: failure exists only in onFailure and finally",
    ),
    "an unknown member of the failure": (
        (
            "  - {name: a, sleep: {seconds: 1}}\n"
            '  finally: [{name: b, when: "{{ failure.reason }}", sleep: {seconds: 1}}]'
        ),
        "9: spec.finally[0].when: failure has no reason",
    ),
    "an expression as the name of a program": (
        '  - {name: a, exec: {command: ["{{ trial.id }}"]}}',
        "8: spec.activities[0].exec.command[0]: only arguments may contain expressions",
    ),
    "the output of a program before it runs": (
        '  - {name: a, exec: {command: [x, "{{ stdout.text }}"]}}',
        "8: spec.activities[0].exec.command[1]: stdout does not exist yet here",
    ),
    "a file without content": (
        "  - {name: a, exec: {command: [x], files: [{name: x}]}}",
        "8: spec.activities[0].exec.files[0]: a file must have exactly one of content and configMapKeyRef",
    ),
    "a wait for active with no label": (
        "  - {name: a, wait: {signal: active}}",
        "8: spec.activities[0].wait.signal: active is accepted while kpiLabel is Idle, but no earlier",
    ),
    "a wait since an activity that comes later": (
        "  - {name: a, wait: {signal: slice, after: b}}\n  - {name: b, sleep: {seconds: 1}}",
        "8: spec.activities[0].wait.after: b must come before this wait",
    ),
    "a header of the engine's own": (
        '  - name: a\n    http:\n      url: "http://x/"\n      headers:\n        Idempotency-Key: mine',
        "12: spec.activities[0].http.headers.Idempotency-Key: the engine sets this header itself",
    ),
    "an expression that is none": (
        '  - name: a\n    when: "{{ 1 + }}"\n    sleep: {seconds: 1}',
        "9: spec.activities[0].when: unexpected `}}` in `{{ 1 + }}`",
    ),
    "a statement": (
        '  - name: a\n    exec: {command: [x], env: {A: "{% if 1 %}"}}',
        "9: spec.activities[0].exec.env.A: statements {% %} are not supported, only ",
    ),
    "a condition that is neither true nor false": (
        "  - name: a\n    when: perhaps\n    sleep: {seconds: 1}",
        "9: spec.activities[0].when: ",
    ),
    "a parameter that is not declared": (
        '  - {name: a, http: {url: "{{ parameters.uri }}/x"}}',
        "8: spec.activities[0].http.url: the parameter uri is not declared",
    ),
    "the output of an activity that comes later": (
        (
            '  - {name: a, when: "{{ outputs.b is defined }}", sleep: {seconds: 1}}\n'
            "  - {name: b, sleep: {seconds: 1}}"
        ),
        "8: spec.activities[0].when: no earlier activity is named b",
    ),
    "an output that its activity does not leave": (
        (
            '  - {name: a, http: {url: "http://x/", capture: {one: "{{ response.text }}"}}}\n'
            "  - {name: b, when: \"{{ outputs['a'].two }}\", sleep: {seconds: 1}}"
        ),
        "9: spec.activities[1].when: a has no output two",
    ),
    "a response before it is there": (
        '  - {name: a, http: {url: "http://x/{{ response.status }}"}}',
        "8: spec.activities[0].http.url: response does not exist yet here",
    ),
    "a value that nothing sets": (
        '  - {name: a, when: "{{ values.label }}", sleep: {seconds: 1}}',
        "8: spec.activities[0].when: no earlier activity sets label",
    ),
    "a template with a field that engines can't have": (
        (
            "  - {name: a, sleep: {seconds: 1}}\n"
            "  engine:\n    template:\n      spec:\n        hostNetwork: true"
        ),
        "12: spec.engine.template.spec.hostNetwork: not allowed; allowed fields: ",
    ),
    "an engine setting that is too small": (
        "  - {name: a, sleep: {seconds: 1}}\n  engine: {giveUpAfterSeconds: 0}",
        "9: spec.engine.giveUpAfterSeconds: must be at least 1",
    ),
    "a finish that jumps into a block": (
        "  - {name: a, branch: x, sleep: {seconds: 1}}\n  finishAt: a",
        "9: spec.finishAt: finishAt must name an activity without branch, the jump ends all branches",
    ),
    "a branch in onFailure": (
        "  - {name: a, sleep: {seconds: 1}}\n  onFailure:\n  - {name: b, branch: x, sleep: {seconds: 1}}",
        "10: spec.onFailure[0].branch: onFailure must not have branches",
    ),
    "a branch in finally": (
        "  - {name: a, sleep: {seconds: 1}}\n  finally:\n  - {name: b, branch: x, sleep: {seconds: 1}}",
        "10: spec.finally[0].branch: finally must not have branches",
    ),
    "a branch that is no DNS label": (
        "  - {name: a, branch: A b, sleep: {seconds: 1}}",
        "8: spec.activities[0].branch: must consist of lower-case letters, digits and -, such as",
    ),
    "the output of another branch": (
        (
            "  - {name: a, branch: x, exec: {command: [x]}}\n"
            '  - {name: b, branch: z, when: "{{ outputs.a.exitCode == 0 }}", sleep: {seconds: 1}}'
        ),
        "9: spec.activities[1].when: a runs in a parallel branch; its outputs exist only after the block",
    ),
    "a value that another branch sets": (
        (
            "  - {name: a, branch: x, sleep: {seconds: 1}, set: {label: one}}\n"
            "  - {name: b, branch: z, when: \"{{ values.label == 'one' }}\", sleep: {seconds: 1}}"
        ),
        "9: spec.activities[1].when: no earlier activity sets label",
    ),
    "a wait since an activity of another branch": (
        (
            "  - {name: a, branch: x, sleep: {seconds: 1}}\n"
            "  - {name: b, branch: z, wait: {signal: slice, after: a}}"
        ),
        "9: spec.activities[1].wait.after: a must come before this wait, but it runs in a parallel branch",
    ),
    "a host out of a reply": (
        (
            '  - {name: a, http: {url: "http://x/", capture: {h: "{{ response.text }}"}}}\n'
            '  - {name: b, http: {url: "http://{{ outputs.a.h }}/"}}'
        ),
        "9: spec.activities[1].http.url: url must take scheme, host and port from literal text or parameters",
    ),
    "a port that is none": (
        '  - {name: a, http: {url: "http://x:99999/"}}',
        "8: spec.activities[0].http.url: not a URL, the port must be a number from 1 to 65535",
    ),
    "a line end in a header": (
        '  - name: a\n    http:\n      url: "http://x/"\n      headers: {X: "a\\nb"}',
        "11: spec.activities[0].http.headers.X: a header must not contain a line end",
    ),
    "a program without a name": (
        '  - {name: a, exec: {command: [""]}}',
        "8: spec.activities[0].exec.command[0]: must be the name of a program",
    ),
    "a variable with a sign": (
        "  - {name: a, exec: {command: [x], env: {A=B: c}}}",
        "8: spec.activities[0].exec.env.A=B: the name of a variable must not contain =",
    ),
    "a key twice": (
        "  - name: a\n    sleep: {seconds: 1}\n    name: b",
        "10: spec.activities[0].name: is a repeated key",
    ),
}


@pytest.mark.parametrize(("activities", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_a_plan_may_not_have(check, activities, fault):
    code, lines = check(f"{PLAN}  activities:\n{activities}\n")

    assert code == 1
    assert len(lines) == 1, lines
    assert lines[0].strip().startswith(fault.strip())


def test_outputs_of_the_own_branch_and_of_a_block_before_are_seen(check):
    activities = """\
  - {name: a, branch: x, exec: {command: [x]}}
  - {name: b, branch: z, sleep: {seconds: 1}, set: {label: one}}
  - {name: c, branch: x, when: "{{ outputs.a.exitCode == 0 }}", sleep: {seconds: 1}}
  - {name: d, when: "{{ outputs.a.exitCode == 0 and values.label == 'one' }}", sleep: {seconds: 1}}
"""
    assert check(f"{PLAN}  activities:\n{activities}") == (0, [])


def test_all_faults_of_all_documents_are_reported_at_once_in_their_order(check):
    other = "apiVersion: v1\nkind: ConfigMap\n"
    bad = f"{PLAN}  activities:\n  - {{name: A, sleep: {{}}}}\n"

    code, lines = check(f"{bad}---\n{other}---\n{bad}")

    assert code == 1
    assert [int(line.partition(":")[0]) for line in lines] == [8, 8, 20, 20]


NO_PLAN = " the file contains no TrialPlan and no Trial"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: [\n", "2: did not find expected node content", id="no YAML"),
        pytest.param("&a [*a]\n", "1: an alias refers to a node that contains it", id="a list within itself"),
        pytest.param("", NO_PLAN, id="nothing"),
        pytest.param("apiVersion: v1\nkind: Pod\n", NO_PLAN, id="a Pod"),
    ],
)
def test_what_holds_no_plan_is_reported(check, text, said):
    assert check(text) == (2, [said])


def test_a_file_that_is_not_there_is_reported(tmp_path, capsys):
    assert plan_check.run(str(tmp_path / "none.yaml")) == 2
    assert "No such file" in capsys.readouterr().err


def test_a_plan_comes_in_by_stdin():
    done = subprocess.run(
        [sys.executable, "-m", "lcm_operator.cli", "plan", "check", "-"],
        input=f"{PLAN}  activities:\n  - {{name: A, sleep: {{seconds: 1}}}}\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.partition(": must")[0]) == (1, "stdin:8: spec.activities[0].name")


def rules_of(schema):
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"]:
            yield rule["message"]
    below = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    for each in below:
        if isinstance(each, dict):
            yield from rules_of(each)


def test_every_rule_of_the_crds_is_known_here_and_no_other():
    known = set()
    for plural in ("trials", "trialplans", "trialregistries"):
        crd = yaml.safe_load((REPOSITORY / "deploy" / "crds" / f"{plural}.yaml").read_text())
        known |= set(rules_of(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))

    assert known == set(RULES)


def test_a_plan_without_errors_is_answered_with_its_number_of_activities(tmp_path, capsys):
    file = tmp_path / "plan.yaml"
    file.write_text(
        PLAN + "  activities:\n  - {name: a, sleep: {seconds: 1}}\n  - {name: b, sleep: {seconds: 1}}\n"
    )

    assert plan_check.run(str(file)) == 0
    assert capsys.readouterr().out == "OK: 2 activities\n"


def test_bare_braces_are_answered_with_the_quotes_that_they_need(check):
    plan = (
        PLAN
        + "  activities:\n  - name: a\n    exec:\n      command: [x]\n      env: {A: {{ parameters.url }}}\n"
    )

    assert check(plan) == (2, ['11: an expression must be in quotes: "{{ … }}"'])


def test_manifests_without_a_line_between_them_are_one_with_repeated_keys(check):
    activities = "  activities:\n  - {name: a, sleep: {seconds: 1}}\n"
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"

    code, lines = check(f"{PLAN}{activities}{other}")

    assert code == 1
    assert lines[1] == "10: kind: is a repeated key; put a line --- between two manifests"


def test_y_and_n_are_booleans_as_for_kubectl(check):
    activities = """\
  activities:
  - {name: y, sleep: {seconds: 1}}
  - {name: a, when: n, sleep: {seconds: 1}}
"""
    code, lines = check(PLAN + activities)
    assert code == 1
    assert lines[0].startswith("8: spec.activities[0].name: must be of type string")
    assert lines[1].startswith("9: spec.activities[1].when: must be of type string")


def test_y_as_a_key_is_the_text_true_as_for_kubectl():
    (document,) = documents.read("capture: {y: 1, N: 2, yes please: Y}")
    assert document.value == {"capture": {"true": 1, "false": 2, "yes please": True}}
