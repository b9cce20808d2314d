"""The admission policies know the same annotations as the operator."""

import re
from pathlib import Path

import yaml

from lcm_operator.api import names

POLICIES = Path(__file__).parents[2] / "deploy" / "policies"
OF_OTHER_KINDS = {names.ANNOTATION_SYNC, names.ANNOTATION_ORIGIN}


def variables() -> dict[str, str]:
    policy = next(yaml.safe_load_all((POLICIES / "annotations.yaml").read_text()))
    return {each["name"]: each["expression"] for each in policy["spec"]["variables"]}


def test_the_policy_knows_every_annotation_of_trials_and_engines():
    ours = {value for name, value in vars(names).items() if name.startswith("ANNOTATION_")} - OF_OTHER_KINDS
    expressions = variables()
    listed = re.findall(r"'([a-z-]+)'", expressions["requests"] + expressions["known"])

    assert expressions["group"] == f"'{names.GROUP}/'"
    assert {f"{names.GROUP}/{name}" for name in listed} == ours


def test_no_policy_rejects_anything():
    bindings = [
        each
        for file in POLICIES.glob("*.yaml")
        for each in yaml.safe_load_all(file.read_text())
        if each["kind"].endswith("Binding")
    ]

    assert bindings
    assert all(binding["spec"]["validationActions"] == ["Warn"] for binding in bindings)
