"""Files that a reader, a catalogue or a citation manager expects at the top of a project."""

import json
import re
import subprocess
import tomllib
from importlib.metadata import metadata

import jsonschema
import pytest
import yaml

import poreflux

# How the licences page calls what packages state in words of their own.
SAME = {
    "GPL-2.0": "GNU General Public License v2",
    "Apache-2.0": "Apache",
    "MPL-2.0": "MPL-2.0",
    "BSD-2-Clause": "BSD",
    "BSD-3-Clause": "BSD",
    "LGPL-2.1-or-later": "LGPL-2.1-or-later",
    "MIT": "MIT",
}


def test_the_citation_is_valid_and_of_this_version(root):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    schema = json.loads((root / "tests" / "data" / "cff-1.2.0.json").read_text())
    jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker()).validate(citation)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"] == poreflux.__version__
    assert citation["license"] == project["license"]


def test_the_changelog_is_in_the_usual_format(root):
    text = (root / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)", text, flags=re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", h) for h in headings[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)", text, flags=re.MULTILINE)) <= kinds


def test_the_catalogue_of_workflows_can_read_its_file(root):
    usage = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert set(usage["software-stack-deployment"]) == {"conda", "apptainer", "apptainer+conda"}
    assert (root / "config" / "README.md").is_file()


def test_licences_are_those_that_the_packages_state(root):
    """Each row of the table names a package and its licence."""
    text = (root / "docs" / "licences.md").read_text()
    rows = re.findall(r"^\| `([\w.-]+)` \| ([\w.-]+)", text, flags=re.MULTILINE)
    assert len(rows) > 15
    for package, licence in rows:
        found = metadata(package)
        stated = [found["License-Expression"], found["License"]]
        stated += [c for c in found.get_all("Classifier") or [] if c.startswith("License")]
        if licence == "its":  # own
            continue
        assert any(SAME[licence] in words for words in stated if words), (package, stated)


def test_every_direct_need_has_its_licence_listed(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    needs = [need for needs in (project["dependencies"], *extras) for need in needs]
    names = {re.match(r"[\w.-]+", need)[0] for need in needs} - {"poreflux"}
    text = (root / "docs" / "licences.md").read_text()
    assert not {name for name in names if f"`{name}`" not in text}


@pytest.fixture(scope="module")
def dockerfile(root):
    """Instructions of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n", " ", (root / "Dockerfile").read_text())
    return [line.split(None, 1) for line in text.splitlines() if line and line[0] != "#"]


def test_the_dockerfile_does_what_ci_does(root, dockerfile):
    """No engine of containers runs here: its steps are those that CI takes on bare Debian."""
    known = {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "CMD"}
    assert {name for name, _ in dockerfile} <= known and dockerfile[0][0] == "FROM"
    steps = [rest for name, rest in dockerfile if name == "RUN"]
    for step in steps:
        assert subprocess.run(["bash", "-n", "-c", step], check=False).returncode == 0, step
    needed = re.findall(r"need\+=\((.*?)\)", (root / ".ci" / "run").read_text())
    for packages in needed:
        if "slurm" not in packages and "chromium" not in packages:  # for tests alone
            assert set(packages.split()) <= set(steps[0].split()), packages
    assert "make setup" in steps[1]
    copied = [rest for name, rest in dockerfile if name == "COPY"]
    ignored = (root / ".dockerignore").read_text().split()
    assert copied == [". ."] and {".git", ".venv", ".poreflux"} <= set(ignored)
