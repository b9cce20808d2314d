"""`lcm plan check`: several files and documents, silent changes, and files that are too much."""

import pytest
from tests.unit.cli.manifests import PLAN, TRIAL

from lcm_operator.cli import plan_check

STEP = "  activities:\n  - {name: a, sleep: {seconds: 1}}\n"


def warned(check, text, **options):
    code, lines = check(text, **options)
    return code, [line for line in lines if ": warning: " in line]


@pytest.mark.parametrize(
    ("json", "warning"),
    [
        ("{y: 10}", '8: warning: spec.activities[0].http.json.true: the key y is read as "true"'),
        ("{0777: 10}", '8: warning: spec.activities[0].http.json.511: the key 0777 is read as "511"'),
        ("{a: yes}", "8: warning: spec.activities[0].http.json.a: yes is read as true; for text put it in"),
        ("{a: [0777]}", "8: warning: spec.activities[0].http.json.a[0]: 0777 is read as 511"),
        ("{a: 1.10}", "8: warning: spec.activities[0].http.json.a: 1.10 is read as 1.1"),
        ("{a: null}", "8: warning: spec.activities[0].http.json.a: kubectl apply drops a null"),
        ("{a: }", "8: warning: spec.activities[0].http.json.a: kubectl apply drops a null; to send one"),
        ("8988211000000000001", "8: warning: spec.activities[0].http.json: Helm, and kubectl apply when it"),
        ("{a: 89882110000000000001}", "8: warning: spec.activities[0].http.json.a: Helm, and kubectl"),
    ],
)
def test_what_kubectl_or_helm_changes_silently_is_a_warning(check, json, warning):
    plan = f'{PLAN}  activities:\n  - {{name: a, http: {{url: "http://x/", json: {json}}}}}\n'

    code, lines = warned(check, plan)
    assert code == 0
    assert any(line.startswith(warning) for line in lines)
    assert warned(check, plan, strict=True)[0] == 1


@pytest.mark.parametrize(
    "json", ["{a: true, b: 1, c: 1.5, d: text, e: 12:30, f: [null]}", '{"y": "yes", "null": "1.10"}']
)
def test_what_reaches_the_partner_as_written_is_no_warning(check, json):
    plan = f'{PLAN}  activities:\n  - {{name: a, http: {{url: "http://x/", json: {json}}}}}\n'

    assert check(plan, strict=True) == (0, [])


def test_the_items_of_a_list_are_checked_beside_other_documents(check):
    items = "".join(
        f"- {line}\n" if not index else f"  {line}\n" for index, line in enumerate(PLAN.splitlines())
    )
    plan = f"apiVersion: v1\nkind: List\nitems:\n{items}    activities:\n    - {{name: A, sleep: {{}}}}\n"

    code, lines = check(f"{plan}---\n{PLAN}{STEP}")

    assert code == 1
    assert [line.partition(":")[0] for line in lines] == ["11", "11"]


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        (
            "{name: survey, labels: {team: 5}}",
            "3: metadata.labels.team: must be of type string: put it in quotes",
        ),
        ("{name: survey, labels: {a b: c}}", "3: metadata.labels.a b: is not the name of a label"),
        ("{name: survey, annotations: {a: true}}", "3: metadata.annotations.a: must be of type string"),
        ("{name: Survey}", "3: metadata.name: must consist of lower-case letters, digits, - and ."),
        ("{labels: {a: b}}", "3: metadata.name: is required"),
        ("{name: survey, lables: {a: b}}", "3: metadata.lables: unknown field, did you mean labels?"),
    ],
)
def test_metadata_is_checked_as_by_the_api_server(check, metadata, fault):
    code, lines = check(PLAN.replace("{name: survey}", metadata) + STEP)

    assert code == 1
    assert lines[0].startswith(fault)


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("TrailPlan", ", did you mean TrialPlan?"), ("TrialSettings", ", did you mean TrialRegistry?")],
)
def test_a_kind_that_does_not_exist_is_named_with_the_nearest_one(check, kind, hint):
    code, lines = check(PLAN.replace("TrialPlan", kind) + STEP)

    assert (code, lines) == (1, [f"2: kind: there is no kind {kind}{hint}"])


def test_files_folders_and_stdin_are_checked_together(tmp_path, capsys):
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "one.yaml").write_text(PLAN + STEP)
    (tmp_path / "plans" / "two.yml").write_text(PLAN.replace("survey", "other") + STEP)
    (tmp_path / "plans" / "notes.txt").write_text("no YAML: [")
    (tmp_path / "trial.yaml").write_text(TRIAL + "  planRef: {name: survey}\n")

    assert plan_check.run(str(tmp_path / "plans"), str(tmp_path / "trial.yaml")) == 1
    assert capsys.readouterr().out == f"{tmp_path}/trial.yaml:4: spec.parameters.url: required by the plan\n"
    assert plan_check.run(str(tmp_path / "plans")) == 0
    assert (
        capsys.readouterr().out == "OK: 1 activity in TrialPlan survey\nOK: 1 activity in TrialPlan other\n"
    )


def test_the_errors_of_other_files_are_shown_beside_one_that_is_unreadable(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text("a: [\n")
    (tmp_path / "b.yaml").write_text(PLAN)

    assert plan_check.run(str(tmp_path)) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"{tmp_path}/a.yaml:2: ")
    assert said.out.startswith(f"{tmp_path}/b.yaml:4: spec.activities: is required")


def test_a_trial_whose_plan_is_in_no_file_is_said_not_to_be_compared(tmp_path, capsys):
    (tmp_path / "trial.yaml").write_text(TRIAL + "  planRef: {name: elsewhere}\n")

    assert plan_check.run(str(tmp_path / "trial.yaml")) == 0
    assert "OK: Trial one, not compared with TrialPlan elsewhere" in capsys.readouterr().out


def test_the_trials_of_a_registry_are_compared_with_their_plan(check):
    registry = """\
---
apiVersion: lcm.5gdrones.eu/v1alpha1
kind: TrialRegistry
metadata: {name: default}
spec:
  url: http://registry:5001
  import: All
  trialTemplate:
    planRef: {name: survey}
    parameters: {uri: "http://x"}
"""
    code, lines = check(PLAN + STEP + registry)

    assert code == 1
    assert lines == [
        "18: spec.trialTemplate.parameters.uri: not declared by the plan, did you mean url?",
        "18: spec.trialTemplate.parameters.url: required by the plan",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n  " + "[" * 5000, "2: nests deeper than 200 levels"),
        ('{"a":\n' + "[" * 5000, "2: nests deeper than 200 levels"),
        ('{"a":\n' + "[" * 300 + "]" * 300 + "}", "2: nests deeper than 200 levels"),
        ("a: " + "x" * 10_000_000, "1: the document is larger than the 3 MiB"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n"
                for a, b in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            ": aliases make the document too large",
        ),
    ],
    ids=["brackets", "brackets in JSON", "deep JSON", "10 MB", "aliases"],
)
def test_a_file_that_is_too_much_gets_a_message_with_its_place(check, text, said):
    code, (line,) = check(text)

    assert code == 2
    assert said in line


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", "300"), ("1.5h", "5400"), ("200ms", "0.2"), ("7 s", "7")]
)
def test_a_duration_with_a_unit_is_answered_with_the_seconds(check, text, seconds):
    code, (line,) = check(f'{PLAN}  activities:\n  - {{name: a, sleep: {{seconds: "{text}"}}}}\n')

    assert code == 1
    assert line.endswith(f': for "{text}" write {seconds}')


def test_nulls_count_as_fields_that_are_not_set(check):
    activity = '{name: a, when: ~, http: {url: "http://x/", expect: null, headers: , timeoutSeconds: null}}'

    assert check(f"{PLAN}  activities:\n  - {activity}\n") == (0, [])
