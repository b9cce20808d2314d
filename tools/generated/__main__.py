"""`python -m tools.generated`: write every generated file; with `--check`, exit 1 if one was stale.

A stale file is current afterwards in either case: what is left to do is to read and commit it.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from tests.unit.states import page
from tools.chart import generate as chart
from tools.chart import rights, version
from tools.crds import generate as crds
from tools.crds import reference
from tools.monitoring import dashboard
from tools.settings import reference as settings

REPOSITORY = Path(__file__).parents[2]


def generated() -> list[Path]:
    """Return every file that a generator writes, in its order: the chart copies the CRDs."""
    pages = (reference.TARGET / f"{kind}.md" for kind in reference.KINDS)
    manifests = (crds.TARGET / f"{kind}.yaml" for kind in crds.KINDS)
    charts = (version.CHART, *chart.copies(), *chart.sources(), *chart.texts(), chart.INSTALL, rights.PAGE)
    others = (page.PAGE, settings.TARGET, dashboard.TARGET)
    return sorted({*manifests, *pages, *charts, *others})


def generate() -> None:
    """Write all of them."""
    crds.main()
    reference.main()
    settings.main()
    version.main()
    dashboard.main()
    chart.main()
    page.main()


def stale() -> list[Path]:
    """Write all of them and return those that have changed, appeared or gone."""
    before = _contents(generated())
    generate()
    after = _contents(generated())
    return sorted(path for path in before | after if before.get(path) != after.get(path))


def _contents(paths: Iterable[Path]) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.exists() else None for path in paths}


def main() -> int:
    """Return the exit status."""
    changed = stale()
    for path in changed:
        sys.stderr.write(f"{path.relative_to(REPOSITORY)} was stale and is now current: commit it\n")
    return 1 if changed and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
