"""`lcm plan check FILE…`: reports every error in the TrialPlans, Trials and TrialRegistries of files.

    FILE:LINE: field.path: message
    FILE:LINE: warning: field.path: message

Warnings are about what kubectl or Helm changes without a word; they go to stderr. Parameters of a Trial are
compared with its TrialPlan if that is in one of the files. The exit code is 0 without errors, 1 with errors
(with `strict` also for warnings), and 2 if a file is unreadable, no file has a plan, or the cluster to ask
can't be asked.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from lcm_operator.cli.checks import Plans, faults
from lcm_operator.cli.cluster import Cluster, ClusterError
from lcm_operator.cli.cluster_check import ClusterCheck
from lcm_operator.cli.document import UnreadableError
from lcm_operator.cli.documents import decoded, read
from lcm_operator.cli.manifests import Manifest, kind_faults, manifests, missing_fields
from lcm_operator.cli.silent_changes import silent_changes
from lcm_operator.plan.faults import Fault
from lcm_operator.plan.rules import activities

FINE, FAULTY, UNREADABLE = 0, 1, 2
_SUFFIXES = {".yaml", ".yml", ".json"}


def run_command(given: argparse.Namespace) -> int:
    """Check what the arguments name, and return the exit code."""
    cluster = None
    if given.cluster:
        try:
            cluster = ClusterCheck(Cluster(given.context, given.namespace, given.kubeconfig))
        except ClusterError as error:
            print(f"the cluster can't be asked: {error}", file=sys.stderr)
            return UNREADABLE
    return run(*given.files, strict=given.strict, cluster=cluster)


def run(*names: str, strict: bool = False, cluster: ClusterCheck | None = None) -> int:
    """Print the errors of files, or of the files in a folder, and return the exit code; `-` is stdin."""
    found: list[Manifest] = []
    is_unreadable = False
    for name in _files(names):
        try:
            found += _read(name)
        except (UnreadableError, OSError) as error:
            line = f":{error.line}" if isinstance(error, UnreadableError) and error.line is not None else ""
            print(f"{_shown(name)}{line}: {error}", file=sys.stderr)
            is_unreadable = True
    checked = [one for one in found if one.kind or one.is_merged or list(kind_faults(one))]
    if not checked and not is_unreadable:
        print(f"{', '.join(map(_shown, names))}: {_no_plan(names)}", file=sys.stderr)
    if not checked:
        return UNREADABLE
    try:
        is_faulty = _report(found, cluster, strict=strict)
    except ClusterError as error:
        print(f"the cluster can't be asked: {error}", file=sys.stderr)
        return UNREADABLE
    return UNREADABLE if is_unreadable else FAULTY if is_faulty else FINE


def _shown(name: str) -> str:
    return "stdin" if name == "-" else name


def _no_plan(names: tuple[str, ...]) -> str:
    where = "the file contains" if len(names) == 1 and not Path(names[0]).is_dir() else "the files contain"
    return f"{where} no TrialPlan and no Trial"


def _files(names: Iterable[str]) -> Iterator[str]:
    """Yield the files, and those of the folders that kubectl would read."""
    for name in names:
        if name != "-" and Path(name).is_dir():
            yield from sorted(str(file) for file in Path(name).iterdir() if file.suffix in _SUFFIXES)
        else:
            yield name


def _read(name: str) -> Iterator[Manifest]:
    content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    return manifests(_shown(name), read(decoded(content)))


def _report(found: list[Manifest], cluster: ClusterCheck | None, *, strict: bool) -> bool:
    """Print what there is to say about the manifests, and return whether anything is wrong."""
    plans = {one.name: one.value for one in found if one.kind == "TrialPlan" and one.name is not None}
    is_faulty = False
    for manifest in found:
        wrong, changed = (
            list(_faults(manifest, plans)),
            list(silent_changes(manifest) if manifest.kind else ()),
        )
        if cluster is not None and manifest.kind and not wrong:
            wrong, unseen = cluster.check(manifest, plans, found)
            changed += unseen
        for fault in _in_order(manifest, wrong):
            print(f"{manifest.file}:{manifest.line(fault.place)}: {fault}")
        for change in _in_order(manifest, changed):
            print(f"{manifest.file}:{manifest.line(change.place)}: warning: {change}", file=sys.stderr)
        is_faulty = is_faulty or bool(wrong) or (strict and bool(changed))
    if not is_faulty:
        _confirm([one for one in found if one.kind], plans, is_complete=cluster is not None)
    return is_faulty


def _in_order(manifest: Manifest, found: Iterable[Fault]) -> list[Fault]:
    """Return each of the faults once, in the order of lines."""
    return sorted(
        set(found),
        key=lambda each: (manifest.line(each.place), [str(key) for key in each.place], each.message),
    )


def _faults(manifest: Manifest, plans: Plans) -> Iterator[Fault]:
    if manifest.kind or manifest.is_merged:
        yield from manifest.repeated_keys()
    if manifest.is_merged:
        return
    if manifest.kind:
        yield from faults(manifest, plans)
    else:
        yield from kind_faults(manifest)
        yield from missing_fields(manifest)


def _confirm(checked: list[Manifest], plans: Plans, *, is_complete: bool) -> None:
    """Print how many activities each plan has, and which Trials could not be compared with their plan."""
    counts = [(one, sum(1 for _ in activities(spec))) for one in checked for spec in one.plans()]
    if len(counts) == 1 or not counts:
        print(f"OK: {_number(counts[0][1] if counts else 0)}")
    else:
        for manifest, count in counts:
            print(f"OK: {_number(count)} in {manifest}")
    for manifest in () if is_complete else checked:
        for _, spec in manifest.trial_specs():
            match spec:
                case {"planRef": {"name": str(name)}} if name not in plans:
                    print(f"OK: {manifest}, not compared with TrialPlan {name}, which no file contains")


def _number(count: int) -> str:
    return f"{count} {'activity' if count == 1 else 'activities'}"
