"""The software: pinned with hashes that pip insists on; conda files pinned alike and complete."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import yaml

from poreflux.learning import learners, splits
from poreflux.learning.learners import gp
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


# What imports more than the light form of the library has, as soon as it is imported.
HEAVY = {
    "report": {"report"},
    "study": {
        "learning.boosting",
        "learning.learners.ensemble",
        "learning.learners.mlp",
        "learning.learners.xgboost",
        "learning.learners.xgboost_weighted",
        "learning.variants",
        "run.crosscheck",
        "synthesis",
    },
}


@pytest.fixture(scope="module")
def forms(root):
    """Packages by form of installation: ``""`` is the light one; extras hold it, too."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]

    def names(requirements):
        found = set()
        for text in requirements:
            name, extras = re.match(r"([\w.-]+)(?:\[(.*?)\])?", text).groups()
            if name == "poreflux":
                for extra in extras.split(","):
                    found |= names(project["optional-dependencies"][extra])
            else:
                found.add(name.lower())
        return found

    light = names(project["dependencies"])
    extras = project["optional-dependencies"].items()
    return {"": light} | {extra: light | names(packages) for extra, packages in extras}


def test_every_form_of_installation_is_pinned(forms, pins):
    assert {"reference", "study", "report", "structures"} < set(forms)
    assert {name for packages in forms.values() for name in packages} <= set(pins)


def test_the_light_form_holds_what_it_imports(root, forms):
    """Modules that need an extra are those listed; no other imports one at once."""
    library = root / "workflow" / "poreflux"
    heavy = {name: extra for extra, names in HEAVY.items() for name in names}
    lacking = {}
    for path in library.rglob("*.py"):
        parts = path.relative_to(library).with_suffix("").parts
        dotted = [".".join(parts[: n + 1]) for n in range(len(parts))]
        extra = next((heavy[name] for name in dotted if name in heavy), "")
        if missing := third_party(path) - forms[extra]:
            lacking[".".join(parts)] = missing
    assert not lacking


def test_engines_and_predictions_run_in_the_light_form(root, forms, cifs, tmp_path):
    """With all else that the tests have out of reach."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 4))
    split = splits.Split(np.arange(20), np.arange(20, 25), np.arange(25, 30))
    (tmp_path / "gp.npz").write_bytes(gp.fit(x, x.sum(axis=1), [split], seeds=[1]).to_bytes())
    np.save(tmp_path / "x.npy", x)
    packages = set().union(*forms.values()) - forms[""]
    modules = {PACKAGE: MODULE for MODULE, PACKAGE in PACKAGES.items()}
    hidden = sorted(modules.get(name, name.replace("-", "_")) for name in packages)
    script = f"""
import sys
sys.modules.update(dict.fromkeys({hidden!r}))
import numpy as np
import poreflux.diffusion, poreflux.energy, poreflux.geometry, poreflux.percolation, poreflux.uptake
from poreflux.learning.learners import get_learner
cif = {str(cifs / "JIVFUQ_clean.cif")!r}
assert poreflux.diffusion.self_diffusivity(cif, target_error=0.2).d_m2_s > 0
assert poreflux.geometry.describe(cif).lcd_A > 0
stack = get_learner("gp").load().from_bytes(open("gp.npz", "rb").read())
assert np.isfinite(stack.predict(np.load("x.npy"))).all()
from poreflux.run.cli import main
assert main(["predict", cif]) == 0
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


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
