"""The import contracts of pyproject.toml: each is kept, and each refuses the imports that it is there for."""

from copy import deepcopy
from functools import cache

import grimp
import pytest
from importlinter import api, configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

configuration.configure()
OPTIONS = api.read_configuration("pyproject.toml")
KINDS = {"forbidden": ForbiddenContract, "layers": LayersContract}
ROOTS = OPTIONS["session_options"]["root_packages"]
CONTRACTS = {options["id"]: options for options in OPTIONS["contracts_options"]}

REFUSED = {
    "layers": [
        ("domain.ownership", "lcm_operator.kube.client"),
        ("controllers.metrics", "lcm_operator.rest.cache.view"),
        ("engine.grant", "lcm_operator.rest.cache.view"),
        ("api.names", "lcm_operator.domain.snapshot"),
        ("kube.client", "lcm_operator.registry.client"),
        ("wire.pool", "lcm_operator.api.names"),
        ("cli.documents", "devcluster.cluster.ports"),
        ("rest.cache.view", "dummies.faults"),
        ("plan.urls", "lcm_operator.domain.snapshot"),
        ("api.engine", "lcm_operator.plan.signals"),
    ],
    "kopf": [("domain.ownership", "kopf"), ("rest.cache.view", "kopf"), ("engine.grant", "kopf")],
    "pure": [
        ("domain.ownership", "lcm_operator.kube.client"),
        ("domain.decide", "asyncio"),
        ("domain.decide", "logging"),
        ("api.times", "time"),
        ("plan.templates", "asyncio"),
    ],
    "trialless": [
        ("kube.follow", "lcm_operator.api.trial"),
        ("kube.election", "lcm_operator.api.reasons"),
    ],
    "light": [
        ("engine.grant", "aiohttp"),
        ("engine.grant", "lcm_operator.kube.session"),
        ("wire.pool", "requests"),
        ("plan.expressions", "yaml"),
    ],
    "official-client": [("kube.client", "kubernetes"), ("rest.cache.view", "kubernetes")],
    "pykube": [("kube.client", "pykube"), ("cli.plan_check", "pykube")],
    "expressions": [("plan.lint", "jinja2"), ("engine.steps", "jinja2")],
    "cli": [("cli.plan_check", "lcm_operator.engine.steps")],
    "domain": [
        ("domain.snapshot", "lcm_operator.domain.actions"),
        ("domain.verdict", "lcm_operator.domain.release"),
        ("domain.grant", "lcm_operator.domain.stop"),
        ("domain.attempt", "lcm_operator.domain.ownership"),
        ("domain.scheduling", "lcm_operator.domain.decide"),
    ],
    "plan": [
        ("plan.expressions", "lcm_operator.plan.templates"),
        ("plan.faults", "lcm_operator.plan.values"),
    ],
    "schemas": [("rest.http.bodies", "jsonschema"), ("plan.rules", "jsonschema")],
    "shipped": [
        ("registry.client", "dummies.registry.dummy"),
        ("controllers.registries", "dummies.partners.journal"),
        ("cli.documents", "devcluster.cluster.ports"),
        ("process", "tests"),
        ("kinds", "tools"),
        ("kube.client", "benchmarks"),
    ],
    "clusterless": [
        ("registry.client", "lcm_operator.kube.client"),
        ("dummies.faults", "lcm_operator.kube.client"),
    ],
    "controllers": [
        ("controllers.slot_cache", "lcm_operator.controllers.apply"),
        ("controllers.due_times", "lcm_operator.controllers.due_queue"),
        ("controllers.health", "lcm_operator.controllers.metrics"),
        ("controllers.settings", "lcm_operator.controllers.reconciler"),
    ],
    "rest": [
        ("rest.http.dispatch", "lcm_operator.rest.services.scheduling"),
        ("rest.http.routing", "lcm_operator.rest.auth.authenticator"),
        ("rest.http.server", "lcm_operator.rest.cache.view"),
        ("rest.services.signals", "lcm_operator.rest.routes"),
        ("rest.routes", "lcm_operator.rest.app"),
        ("rest.auth.tokens", "lcm_operator.rest.services.signals"),
        ("rest.auth.tokens", "lcm_operator.rest.cache.view"),
        ("rest.cache.view", "lcm_operator.rest.auth.keys"),
        ("rest.wording", "lcm_operator.rest.cache.view"),
        ("rest.state", "lcm_operator.rest.auth.tokens"),
    ],
    "rest-rooms": [
        ("rest.services.scheduling", "lcm_operator.rest.services.registry"),
        ("rest.services.signals", "lcm_operator.rest.services.engines"),
        ("rest.auth.tokens", "lcm_operator.rest.auth.authenticator"),
        ("rest.cache.view", "lcm_operator.rest.cache.feed"),
        ("rest.cache.records", "lcm_operator.rest.cache.view"),
        ("rest.http.routing", "lcm_operator.rest.http.dispatch"),
        ("rest.http.replies", "lcm_operator.rest.http.callers"),
    ],
    "engine": [
        ("engine.checkpoint", "lcm_operator.engine.checkpoint_store"),
        ("engine.steps", "lcm_operator.engine.runner"),
        ("engine.grant", "lcm_operator.engine.interrupts"),
    ],
}


@cache
def imports() -> grimp.ImportGraph:
    """Return the graph of all imports of the product, the local cluster and the dummies."""
    return grimp.build_graph(*ROOTS, include_external_packages=True, cache_dir=None)


def contract(name: str) -> ForbiddenContract | LayersContract:
    """Return one contract of pyproject.toml."""
    options = CONTRACTS[name]
    kind = KINDS[options["type"]]
    return kind(name=options["name"], session_options=OPTIONS["session_options"], contract_options=options)


def is_kept(name: str, graph: grimp.ImportGraph) -> bool:
    return contract(name).check(graph, verbose=False).kept


def test_each_contract_has_an_import_that_it_refuses():
    assert REFUSED.keys() == CONTRACTS.keys()


@pytest.mark.parametrize("name", CONTRACTS)
def test_contract_is_kept(name):
    assert is_kept(name, deepcopy(imports()))


@pytest.mark.parametrize(
    ("name", "importer", "imported"),
    [
        pytest.param(name, *forbidden, id=f"{name}: {forbidden[0]} imports {forbidden[1]}")
        for name, pairs in REFUSED.items()
        for forbidden in pairs
    ],
)
def test_forbidden_import_is_refused(name, importer, imported):
    graph = deepcopy(imports())
    if not importer.startswith(("devcluster.", "dummies.")):
        importer = f"lcm_operator.{importer}"
    assert importer in graph.modules
    if imported not in graph.modules:
        graph.add_module(imported, is_squashed=not imported.startswith("lcm_operator"))
    graph.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    assert not is_kept(name, graph)
