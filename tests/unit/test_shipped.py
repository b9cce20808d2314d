"""What ships: the files of the wheel and of the operator's image, and of nothing that is for development."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

REPOSITORY = Path(__file__).parents[2]
DEVELOPMENT = {"benchmarks", "devcluster", "dummies", "tests", "tools"}
CRDS = {f"deploy/crds/{file.name}" for file in (REPOSITORY / "deploy" / "crds").glob("*.yaml")}


def tracked() -> list[str]:
    """Return all files of the repository as it is now, but those that Git ignores."""
    list_files = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(list_files, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [file for file in done.stdout.splitlines() if (REPOSITORY / file).is_file()]


PRODUCT = {file for file in tracked() if file.startswith("operator/")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build the wheel and return the names of its files."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, capture_output=True, check=True)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built).namelist()


def instructions() -> Iterator[list[str]]:
    """Yield the words of each instruction of the Dockerfile."""
    text = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.split()


@cache
def is_in_context(path: str) -> bool:
    """Return whether .dockerignore lets a file into the build context: the last line that fits decides."""
    folders = [path, *map(str, PurePosixPath(path).parents)]
    included = True
    for line in (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if any(fnmatchcase(part, pattern.removeprefix("**/")) for part in folders):
            included = line.startswith("!")
    return included


def copied() -> set[str]:
    """Return the files of the repository that the Dockerfile copies into any of its stages."""
    sources = [
        source.rstrip("/")
        for name, *words in instructions()
        if name in {"ADD", "COPY"} and not any(word.startswith("--from=") for word in words)
        for source in words[:-1]
    ]
    return {
        file
        for file in tracked()
        if is_in_context(file)
        and any(file == source or file.startswith(f"{source}/") or source == "." for source in sources)
    }


def for_development(files: set[str]) -> list[str]:
    """Return the files that lie in a folder for development, at any depth."""
    return sorted(file for file in files if DEVELOPMENT.intersection(PurePosixPath(file).parts))


def test_the_wheel_holds_the_product_and_the_crds_alone(wheel):
    metadata = {file for file in wheel if file.partition("/")[0].endswith(".dist-info")}
    product = {file.removeprefix("operator/") for file in PRODUCT}
    crds = {file.replace("deploy", "lcm_operator", 1) for file in CRDS}

    assert for_development(set(wheel)) == []
    assert set(wheel) - metadata == product | crds
    assert {"METADATA", "RECORD"} <= {Path(file).name for file in metadata}


def test_the_image_is_built_from_the_product_and_the_crds_alone():
    packaging = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "requirements/build.txt",
        "requirements/runtime.txt",
    }

    assert for_development(copied()) == []
    assert copied() == PRODUCT | CRDS | packaging


def test_the_image_itself_holds_only_what_is_installed():
    last_stage: list[list[str]] = []
    for instruction in instructions():
        last_stage = [] if instruction[0] == "FROM" else [*last_stage, instruction]

    assert [words for words in last_stage if words[0] in {"ADD", "COPY", "RUN"}] == [
        ["COPY", "--from=build", "/opt/lcm", "/opt/lcm"]
    ]


@pytest.mark.parametrize("folder", sorted(DEVELOPMENT))
def test_a_folder_for_development_is_not_in_the_build_context(folder):
    files = [file for file in tracked() if file.startswith(f"{folder}/")]

    assert files
    assert [file for file in files if is_in_context(file)] == []


def test_the_source_root_is_no_package():
    assert not (REPOSITORY / "operator" / "__init__.py").exists()
    assert {file.split("/")[1] for file in PRODUCT} == {"lcm_operator"}


def test_development_packages_import_from_any_folder(tmp_path):
    code = "import devcluster, dummies, operator; operator.add"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={})
