"""Who may import whom: read from the library's imports, those inside functions too."""

import ast
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

# Lowest first. Rooms of one line do not import one another.
LAYERS = (
    ("base",),
    ("store",),
    ("structures",),
    ("fields",),
    ("geometry", "energy", "percolation", "uptake", "diffusion"),
    ("data",),
    ("learning",),
    ("prediction", "synthesis"),
    ("report",),
    ("run",),
)
ROOMS = [room for layer in LAYERS for room in layer]
PHYSICS = {room for layer in LAYERS[2:5] for room in layer}
# Short names for users; the library itself goes by the long ones.
ALIASES = {"poreflux.cli": {"poreflux.run.cli"}, "poreflux.eos": {"poreflux.fields.eos"}}
# Files that run where nothing else is installed, such as on a GPU.
KERNELS = (
    "poreflux.diffusion.cuda",
    "poreflux.diffusion.grid_engine",
    "poreflux.diffusion.harmonic_cuda",
    "poreflux.diffusion.paths",
    "poreflux.fields.grid",
    "poreflux.learning.learners.mlp",
    "poreflux.uptake.cuda",
    "poreflux.uptake.grid",
    "poreflux.uptake.kernels",
)
KERNEL_PACKAGES = {"numpy", "scipy", "numba", "torch"}


class Imports(NamedTuple):
    """Full names that a module imports; ``from a import b`` gives ``a.b``."""

    at_once: frozenset[str]
    when_called: frozenset[str]
    # under ``if TYPE_CHECKING:``, for annotations
    for_types: frozenset[str]


@pytest.fixture(scope="module")
def library(root):
    """Imports of each module of the library, by its name."""
    return read(root / "workflow" / "poreflux")


def read(package: Path) -> dict[str, Imports]:
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        inside = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if inside else parts)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # what relative imports start from
        home = name.split(".") if inside else name.split(".")[:-1]
        found[name] = imports_of(tree, home)
    return found


def imports_of(tree: ast.Module, home: list[str]) -> Imports:
    at_once, when_called, for_types = set(), set(), set()

    def visit(node, names):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            names.update(f"{base}.{alias.name}" for alias in node.names)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names = when_called
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            names = for_types
        for child in ast.iter_child_nodes(node):
            visit(child, names)

    visit(tree, at_once)
    return Imports(frozenset(at_once), frozenset(when_called), frozenset(for_types))


def module_of(name: str, library: dict) -> str | None:
    """The module of the library that an imported name is, or is in."""
    while name and name not in library:
        name = name.rpartition(".")[0]
    return name or None


def targets(module: str, library: dict, lazy: bool = True) -> set[str]:
    """Modules of the library that a module imports, itself left out."""
    imports = library[module]
    names = imports.at_once | (imports.when_called if lazy else frozenset())
    return {m for n in names if (m := module_of(n, library))} - {module}


def packages(module: str, library: dict, lazy: bool = True) -> set[str]:
    """Packages of others that a module imports."""
    imports = library[module]
    names = imports.at_once | (imports.when_called if lazy else frozenset())
    return {n.split(".")[0] for n in names} - {"poreflux", *sys.stdlib_module_names}


def reached(module: str, library: dict, lazy: bool) -> set[str]:
    """A module and all that it imports, or that is imported with it."""
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        if name in seen or name == "":
            continue
        seen.add(name)
        # a package is imported with each module in it
        todo += [*targets(name, library, lazy), name.rpartition(".")[0]]
    return seen


def room(module: str) -> str:
    """The folder that a module is in; empty for those beside the folders."""
    return module.partition(".")[2].partition(".")[0]


def wrong_arrows(library: dict) -> list[str]:
    """Imports that the layers do not allow."""
    level = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    wrong = []
    for module in sorted(library):
        imports = library[module]
        all_of_them = imports._replace(at_once=imports.at_once | imports.for_types)
        for target in sorted(targets(module, library | {module: all_of_them})):
            arrow = f"{module} imports {target}"
            if module in ALIASES:
                if target not in ALIASES[module]:
                    wrong.append(f"{arrow}: a short name stands for one module")
            elif target == "poreflux":
                continue  # the version
            elif target in ALIASES:
                wrong.append(f"{arrow}: a short name is for users")
            elif module == "poreflux":
                # its names are loaded when they are asked for; type checkers follow these
                if target in targets(module, library):
                    wrong.append(f"{arrow}: it comes before every module")
            elif room(module) != room(target) and level[room(module)] <= level[room(target)]:
                wrong.append(f"{arrow}: {room(target)} is not below {room(module)}")
    return wrong


def circles(library: dict) -> list[list[str]]:
    """Groups of modules that import one another, lazily or not."""
    reach = {m: set() for m in library}
    for module in library:
        todo = [*targets(module, library)]
        while todo:
            name = todo.pop()
            if name not in reach[module]:
                reach[module].add(name)
                todo += targets(name, library)
    groups = {tuple(sorted(n for n in reach[m] if m in reach[n])) for m in library if m in reach[m]}
    return sorted(map(list, groups))


def test_every_module_is_in_a_room(library):
    rooms = {room(m) for m in library if m != "poreflux" and m not in ALIASES}
    assert rooms == set(ROOMS)
    assert len(library) > 50


def test_no_module_imports_upwards_or_sideways(library):
    assert wrong_arrows(library) == []


def test_no_modules_import_one_another(library):
    assert circles(library) == []


def test_physics_knows_neither_the_store_nor_snakemake(library):
    for module in library:
        if room(module) in PHYSICS:
            rooms = {room(m) for m in reached(module, library, lazy=True)}
            assert rooms <= {"", "base", *PHYSICS}, module
        # the workflow calls the library, not the other way round
        assert "snakemake" not in packages(module, library), module


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_run_where_little_is_installed(library, kernel):
    """Imports inside functions of the modules that a kernel imports may never run."""
    modules = reached(kernel, library, lazy=False)
    modules = {kernel: packages(kernel, library)} | {
        m: packages(m, library, lazy=False) for m in modules - {kernel}
    }
    too_many = {m: sorted(p - KERNEL_PACKAGES) for m, p in modules.items() if p - KERNEL_PACKAGES}
    assert too_many == {}


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("from poreflux.run import job", "run is not below energy"),
        ("def f():\n    from poreflux.uptake.stage import x", "uptake is not below energy"),
        ("if True:\n    import poreflux.store", "store is not below energy"),
        ("from ..learning import study", "learning is not below energy"),
        ("class A:\n    def f(self):\n        from poreflux import cli", "for users"),
    ],
)
def test_a_wrong_import_is_found(library, code, says):
    """So that the test of the layers is known to see what it looks for."""
    energy = "poreflux.energy.stage"
    edited = library | {energy: imports_of(ast.parse(code), ["poreflux", "energy"])}
    if "store" in code:  # the store is lower, yet nothing for physics
        assert wrong_arrows(edited) == []
        assert "store" in {room(m) for m in reached(energy, edited, lazy=True)}
    else:
        (found,) = wrong_arrows(edited)
        assert found.startswith(f"{energy} imports ") and says in found


def test_a_circle_is_found(library):
    edited = library | {
        "poreflux.base.units": imports_of(
            ast.parse("def f():\n    import poreflux.base.files"), ["poreflux", "base"]
        ),
        "poreflux.base.files": imports_of(
            ast.parse("from .units import KELVIN"), ["poreflux", "base"]
        ),
    }
    assert ["poreflux.base.files", "poreflux.base.units"] in circles(edited)
