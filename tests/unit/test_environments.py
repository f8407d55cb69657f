"""The conda files of the rules: pinned as the tested set, with all that their scripts import."""

import ast
import re
import sys

import pytest
import yaml

from poreflux import learning, stages
from poreflux.store import _imports, _module_file

# Modules that go by another name than their package.
PACKAGES = {"sklearn": "scikit-learn", "xgboost": "xgboost-cpu", "yaml": "pyyaml", "PIL": "pillow"}


@pytest.fixture(scope="module")
def pins(root):
    lines = (root / "envs" / "requirements.txt").read_text().splitlines()
    found = dict(line.lower().split("==") for line in lines if "==" in line)
    assert len(found) > 100
    return found


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


def imported(path, package):
    """Modules that a file imports as soon as it is imported itself."""
    tree = ast.parse(path.read_text())
    now = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return _imports(ast.Module(now, []), package)


def third_party(root, script):
    """Packages that a script and the library modules that it draws on import at once."""
    todo, seen = imported(root / "scripts" / f"{script}.py", ""), set()
    while todo:
        name = todo.pop()
        path = _module_file(name)
        if name not in seen and path:
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            todo += [*imported(path, package), package]
        seen.add(name)
    modules = {name.split(".")[0] for name in seen if name} - {*sys.stdlib_module_names, "poreflux"}
    return {PACKAGES.get(name, name).lower().replace("_", "-") for name in modules}


def test_engines_that_are_imported_when_called_are_there(root):
    packages = packages_of(root / "envs" / "simulation.yaml")
    for stage in stages.STAGES.values():
        for names in stage.packages.values():
            assert set(names) <= set(packages)
    assert set(learning.PACKAGES.values()) <= set(packages_of(root / "envs" / "learning.yaml"))


@pytest.mark.parametrize("name", ["simulation", "learning", "report"])
def test_an_environment_is_pinned_and_complete(root, pins, name):
    scripts = scripts_by_environment(root)
    assert set(scripts) == {"simulation", "learning", "report"}
    packages = packages_of(root / "envs" / f"{name}.yaml")
    assert packages == {package: pins[package] for package in packages}
    needed = {script: third_party(root, script) for script in sorted(scripts[name])}
    assert all("pandas" in p for p in needed.values())
    assert not {s: lacking for s, p in needed.items() if (lacking := p - set(packages))}
