"""The services of a local cluster: what names their usual addresses is pointed at those that they have."""

from pathlib import Path

from devcluster.cluster.layout import Layout, State
from devcluster.cluster.services import addressed, rest


def layout(folder: Path, **ports: int) -> Layout:
    made = Layout(folder)
    made.state_file.write_text(State(ports).for_storage())
    return made


def test_service_is_found_even_at_the_usual_port_of_another_one(tmp_path: Path):
    moved = layout(tmp_path, rest=5001, registry=5003, partners=5000)

    manifest = addressed(moved, "http://127.0.0.1:5000 http://127.0.0.1:5001/ http://127.0.0.1:5003/trial")

    assert manifest == "http://127.0.0.1:5001 http://127.0.0.1:5003/ http://127.0.0.1:5000/trial"


def test_an_address_that_only_begins_alike_is_left_alone(tmp_path: Path):
    moved = layout(tmp_path, rest=6000, registry=6001, partners=6003)

    assert addressed(moved, "http://127.0.0.1:50001 http://127.0.0.2:5000") == (
        "http://127.0.0.1:50001 http://127.0.0.2:5000"
    )


def test_trials_scheduled_by_rest_use_the_demo_plan_unless_another_is_chosen(tmp_path: Path):
    made = layout(tmp_path, rest=5000, **{"rest-metrics": 5002})
    assert rest(made)["LCM_DEFAULT_PLAN"] == "demo"

    made.state_file.write_text(State(made.ports, rest={"LCM_DEFAULT_PLAN": "5gdrones"}).for_storage())
    assert rest(Layout(tmp_path))["LCM_DEFAULT_PLAN"] == "5gdrones"
