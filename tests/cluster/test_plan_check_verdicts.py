"""`lcm plan check` and an API server judge alike what kubectl sends: scalars in the fields of our kinds."""

import json

import pytest
from kubernetes import client, config
from tests.cluster.kubectl_reader import KubectlReader

from lcm_operator.cli import plan_check
from lcm_operator.cli.schema import PLURALS

SCALARS = """
y N yes No on Off true TRUE false ~ null '' "5" = 1 0 -1 007 08 0777 0o17 0x1F 1_000 1e3 1E3 1e2 60.0 1.5 .5
1e400 .inf .nan 12:30 12:30:00 9007199254740993 18446744073709551615 89882110000000000001 2001-01-01 v1.2 a-b
é << 2031-01-01T10:00:00Z 2031-01-01T10:00:00+02:00 !!binary%aGk= [] [a] {} {a:%b}
"""
PLAN = (
    "apiVersion: lcm.5gdrones.eu/v1alpha1\nkind: TrialPlan\nmetadata: {name: example}\nspec:\n  activities:\n"
)
TRIAL = (
    "apiVersion: lcm.5gdrones.eu/v1alpha1\nkind: Trial\nmetadata: {name: example}\nspec:\n"
    '  startTime: "2031-01-01T10:00:00Z"\n'
)
ASK = '  - name: a\n    http:\n      url: "http://x/"\n'
POSITIONS = {
    "a label": PLAN.replace("{name: example}", "{name: example, labels: {team: @}}")
    + "  - {name: a, sleep: {seconds: 1}}\n",
    "an annotation": PLAN.replace("{name: example}", "{name: example, annotations: {team: @}}")
    + "  - {name: a, sleep: {seconds: 1}}\n",
    "a name": PLAN.replace("{name: example}", "{name: @}") + "  - {name: a, sleep: {seconds: 1}}\n",
    "a text": PLAN + "  - name: a\n    exec:\n      command: [x]\n      env: {A: @}\n",
    "a key": PLAN + "  - name: a\n    exec:\n      command: [x]\n      capture:\n        @: b\n",
    "an integer": PLAN + ASK + "      expect: {status: [@]}\n",
    "a count": PLAN + "  - name: a\n    sleep: {seconds: 1}\n  engine:\n    maxRestores: @\n",
    "a number": PLAN + "  - name: a\n    sleep: {seconds: @}\n",
    "a boolean": PLAN + ASK + "      podToken: @\n",
    "JSON": PLAN + ASK + "      json: {a: @}\n",
    "JSON itself": PLAN + ASK + "      json: @\n",
    "a key of JSON": PLAN + ASK + "      json:\n        @: b\n",
    "an optional object": PLAN + ASK + "      expect: @\n",
    "a list": PLAN + ASK + "      secretCapture: @\n",
    "a required field": PLAN + "  - name: @\n    sleep: {seconds: 1}\n",
    "a parameter": TRIAL + "  parameters: {a: @}\n",
    "a time": TRIAL.replace('"2031-01-01T10:00:00Z"', "@"),
}


@pytest.fixture(scope="module")
def is_accepted(cluster):
    """Whether the API server accepts what kubectl reads, by a dry run with strict fields."""
    raw = cluster.kubectl("config", "view", "--raw", "--flatten", "-o", "json").stdout
    objects = client.CustomObjectsApi(config.new_client_from_config_dict(json.loads(raw)))

    def ask(documents):
        if not documents:
            return False
        (manifest,) = documents
        place = ("lcm.5gdrones.eu", "v1alpha1", "default", PLURALS[manifest["kind"]], manifest)
        try:
            objects.create_namespaced_custom_object(*place, dry_run="All", field_validation="Strict")
        except client.ApiException as error:
            if error.status not in {400, 422}:
                raise
            return False
        return True

    return ask


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS.keys())
def test_a_scalar_is_judged_as_by_the_api_server(is_accepted, tmp_path, capsys, position):
    file = tmp_path / "manifest.yaml"
    texts = [position.replace("@", scalar.replace("%", " ")) for scalar in SCALARS.split()]
    differences = []

    for text, documents in zip(texts, KubectlReader()([text.encode() for text in texts]), strict=True):
        file.write_text(text)
        is_fine = plan_check.run(str(file)) == 0
        said = capsys.readouterr()
        if is_fine != is_accepted(documents):
            differences.append(f"{text}\nsays {said.out}{said.err}, kubectl reads {documents}")

    assert not differences, "\n".join(differences)
