"""The software: pinned with hashes that pip insists on; conda files pinned alike and complete."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from poreflux.learning import learners
from poreflux.run import stages
from poreflux.store.code import _file

# Modules that go by another name than their package.
PACKAGES = {"sklearn": "scikit-learn", "xgboost": "xgboost-cpu", "yaml": "pyyaml", "PIL": "pillow"}
# Of a package of one empty module.
WHEEL = "toy-1-py3-none-any.whl"


@pytest.fixture(scope="module")
def pins(root):
    found = pins_of(root / "envs" / "requirements.in")
    assert len(found) > 100
    return found


def pins_of(path):
    """Versions by package, of a file of requirements with or without hashes."""
    pins = re.findall(r"^(\S+)==(\S+)", path.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def packages_of(path):
    (pip,) = (
        d["pip"] for d in yaml.safe_load(path.read_text())["dependencies"] if isinstance(d, dict)
    )
    return dict(line.lower().split("==") for line in pip)


def scripts_by_environment(root):
    found = {}
    for rules in (root / "rules").glob("*.smk"):
        for rule in re.split(r"^rule ", rules.read_text(), flags=re.MULTILINE)[1:]:
            environment = re.search(r'"\.\./envs/(\w+)\.yaml"', rule)
            script = re.search(r'"\.\./scripts/(\w+)\.py"', rule)
            assert environment and script, rule[:100]
            found.setdefault(environment[1], set()).add(script[1])
    return found


def imported(path):
    """Modules that a file imports as soon as it is imported itself."""
    names = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def third_party(path):
    """Packages that a file and the library modules that it draws on import at once."""
    todo, seen = imported(path), set()
    while todo:
        name = todo.pop()
        path = _file(name)
        if name not in seen and path:
            todo += [*imported(path), name.rpartition(".")[0]]
        seen.add(name)
    modules = {name.split(".")[0] for name in seen if name} - {*sys.stdlib_module_names, "poreflux"}
    return {PACKAGES.get(name, name).lower().replace("_", "-") for name in modules}


def test_engines_that_are_imported_when_called_are_there(root):
    packages = packages_of(root / "envs" / "simulation.yaml")
    for stage in stages.STAGES.values():
        for names in stage.packages.values():
            assert set(names) <= set(packages)
    packages = set(packages_of(root / "envs" / "learning.yaml"))
    for learner in map(learners.get_learner, learners.algorithms()):
        assert set(learner.packages) <= packages
        assert third_party(_file(learner.module)) <= packages


@pytest.mark.parametrize("name", ["simulation", "learning", "report"])
def test_an_environment_is_pinned_and_complete(root, pins, name):
    scripts = scripts_by_environment(root)
    assert set(scripts) == {"simulation", "learning", "report"}
    packages = packages_of(root / "envs" / f"{name}.yaml")
    assert packages == {package: pins[package] for package in packages}
    needed = {s: third_party(root / "scripts" / f"{s}.py") for s in sorted(scripts[name])}
    assert all("pandas" in p for p in needed.values())
    assert not {s: lacking for s, p in needed.items() if (lacking := p - set(packages))}


@pytest.mark.parametrize("name", ["requirements", "gpu"])
def test_the_pins_with_hashes_are_the_pins(root, name):
    path = root / "envs" / f"{name}.txt"
    assert pins_of(path) == pins_of(path.with_suffix(".in"))
    for pin in re.split(r"\n(?=\S)", path.read_text())[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", pin), pin
    assert "://" not in path.read_text()


def test_the_other_build_of_torch_is_of_the_same_version(root, pins):
    path = root / "envs" / "torch-cpu.txt"
    assert pins_of(path) == {"torch": pins["torch"] + "+cpu"}
    assert re.search(r"--hash=sha256:[0-9a-f]{64}$", path.read_text().strip())


@pytest.fixture
def checkout(root, tmp_path):
    """The Makefile on a package of nothing, ``toy``, and a virtual environment without one."""
    if not (shutil.which("make") and find_spec("pip") and find_spec("setuptools")):
        pytest.skip("needs make, pip and setuptools")
    shutil.copy(root / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "here"\nversion = "1"\n[tool.setuptools]\npackages = []\n'
    )
    (tmp_path / "envs").mkdir()
    # with no kernels to compile
    (tmp_path / "poreflux" / "run").mkdir(parents=True)
    (tmp_path / "poreflux" / "run" / "compile_kernels.py").touch()
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as wheel:
        wheel.writestr("toy.py", "")
        wheel.writestr("toy-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
        wheel.writestr(
            "toy-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("toy-1.dist-info/RECORD", "")
    venv.create(tmp_path / ".venv")
    return tmp_path


@pytest.mark.slow("makes virtual environments")
@pytest.mark.parametrize("target", ["setup", "gpu"])
@pytest.mark.parametrize("hashed", ["right", "wrong", "not at all"])
def test_make_installs_only_a_file_with_the_hash_that_is_pinned(checkout, target, hashed):
    right = hashlib.sha256((checkout / WHEEL).read_bytes()).hexdigest()
    suffix, says = {
        "right": (f" --hash=sha256:{right}", ""),
        "wrong": (f" --hash=sha256:{right[::-1]}", "THESE PACKAGES DO NOT MATCH THE HASHES"),
        "not at all": ("", "Hashes are required in --require-hashes mode"),
    }[hashed]
    for name in ("requirements", "gpu"):
        (checkout / "envs" / f"{name}.txt").write_text(f"toy==1{suffix}\n")
    (checkout / "envs" / "torch-cpu.txt").write_text("")
    if target == "gpu":  # set up already
        (checkout / ".venv" / ".installed").touch()
    made = subprocess.run(
        ["make", target],
        cwd=checkout,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(find_spec("pip").origin).parents[1]),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(checkout),
        },
        capture_output=True,
        text=True,
    )
    assert (made.returncode == 0) == (hashed == "right"), made.stderr
    assert says in made.stderr
    assert bool([*checkout.glob(".venv/lib/*/site-packages/toy.py")]) == (hashed == "right")
