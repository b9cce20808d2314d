"""What is copied into the chart or made from it is current; `make chart` makes it so."""

import yaml
from tools.chart import rights, version
from tools.chart.generate import INSTALL, copies, install, sources, texts


def test_the_chart_has_a_true_copy_of_each_crd_role_and_plan():
    assert copies() == sorted(sources())
    assert [copy for copy, source in sources().items() if copy.read_bytes() != source.read_bytes()] == []


def test_chart_has_the_version_of_the_project():
    chart = yaml.safe_load(version.CHART.read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (version.current(), version.current())


def test_schema_defaults_and_reference_of_the_values_are_current():
    assert [path.name for path, text in texts().items() if path.read_text(encoding="utf-8") != text] == []


def test_the_page_of_all_rights_is_current_and_complete():
    rules = [
        rule
        for file in rights.ACCOUNTS
        for found in yaml.safe_load_all((rights.RBAC / file).read_text(encoding="utf-8"))
        for rule in found.get("rules", ())
    ]

    assert rights.PAGE.read_text(encoding="utf-8") == rights.page()
    assert rights.page().count("\n| `") == len(rules) > 0


def test_install_yaml_is_current():
    assert INSTALL.read_text(encoding="utf-8") == install()
