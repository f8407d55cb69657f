"""Digests of library code: what a result was computed by, whatever the modules are called.

The digest of a module counts its code (no comments, docstrings, meanings of settings or
formatting) and what it imports from the library, but no module's name or place: a module that
moves, or is renamed, keeps its digest and those of all that import it, so that a store outlives
the move.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from poreflux.base.canonical import digest

PACKAGE = Path(__file__).parents[1]
# The part that says which module takes what from which, by their contents.
IMPORTS = "imports"
# Parts behind the digests of this process, see :func:`code_digest`.
PARTS_OF: dict[str, dict[str, str]] = {}


def code_parts(*start: str | Path, without: Iterable[str] = ()) -> dict[str, str]:
    """Digests of library modules and of all library modules that they draw on.

    Follows the imports at any depth of the code, so lazily imported modules count. Modules that
    are loaded by a name put together at run time do not: name them in ``start``.

    Parameters
    ----------
    *start : str or Path
        Dotted names, such as ``poreflux.uptake``, or paths of scripts, whose imports count.
    without : iterable of str
        Modules, or packages with all that is in them, that do not count, nor what only they draw
        on.

    Returns
    -------
    dict of str to str
        sha256 (hex) by dotted name, of the modules that hold any code, and of :data:`IMPORTS`.
    """
    left_out = tuple(sorted(without))
    todo: list[str] = []
    for first in start:
        todo += sorted(_imported(_script(first))) if isinstance(first, Path) else [first]
    parts: dict[str, str] = {}
    links: list[tuple[str, str, str, str]] = []
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen or name == "poreflux" or _file(name) is None or _within(name, left_out):
            continue
        seen.add(name)
        module = _module(name)
        if module.body:
            parts[name] = module.digest
        for target, taken, bound in module.imports:
            known = _file(target) and not _within(target, left_out)
            links.append((module.digest, _module(target).digest if known else "", taken, bound))
        todo += [*_imported(module), name.rpartition(".")[0]]
    return dict(sorted(parts.items())) | {IMPORTS: digest(sorted(set(links)))}


def code_digest(*start: str | Path, without: Iterable[str] = ()) -> str:
    """sha256 (hex) of the contents of :func:`code_parts`, without the names.

    A store that the digest goes into keeps the parts, too, to tell what changed.
    """
    parts = code_parts(*start, without=without)
    code = digest_of_parts(parts)
    PARTS_OF[code] = parts
    return code


def digest_of_parts(parts: dict[str, str]) -> str:
    """The digest of code that consists of these parts."""
    return digest(sorted(set(parts.values())))


class _Module:
    """A module's code without its imports from the library, and these imports."""

    def __init__(self, path: Path, package: str):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # (module, what is taken of it or "", the name that it gets)
        self.imports: set[tuple[str, str, str]] = set()
        _TakeOut(self.imports, package).of(tree)
        self.body = bool(tree.body)
        self.digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()


class _TakeOut:
    """Takes out docstrings, meanings of settings, and imports from the library.

    The order of imports and the modules' names must not count.

    It goes from statement to statement and leaves expressions, which can hold neither, alone.
    """

    def __init__(self, found: set, package: str):
        self.found, self.package = found, package

    def of(self, node: ast.AST) -> None:
        """Change what is inside a module or a statement."""
        for field, value in ast.iter_fields(node):
            if not isinstance(value, list) or not value:
                continue
            if isinstance(value[0], (ast.ExceptHandler, ast.match_case)):
                for part in value:
                    self.of(part)
            elif isinstance(value[0], ast.stmt):
                if field == "body" and _has_docstring(node):
                    value = value[1:]
                kept = map(self._statement, value)
                setattr(node, field, [statement for statement in kept if statement])

    def _statement(self, node: ast.stmt) -> ast.stmt | None:
        if isinstance(node, ast.Import):
            return self._import(node)
        if isinstance(node, ast.ImportFrom):
            return self._import_from(node)
        if isinstance(node, ast.AnnAssign):
            _drop_meanings(node)
        self.of(node)
        return node

    def _import(self, node):
        others = []
        for alias in node.names:
            if alias.name.split(".")[0] == "poreflux":
                self.found.add((alias.name, "", alias.asname or ""))
            else:
                others.append(alias)
        return ast.Import(names=others) if others else self._nothing(node)

    def _import_from(self, node):
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
        if base.split(".")[0] != "poreflux":
            return node
        for alias in node.names:
            bound = alias.asname or alias.name
            inner = f"{base}.{alias.name}"
            # a submodule's own name does not count, what it is called here does
            self.found.add((inner, "", bound) if _file(inner) else (base, alias.name, bound))
        return self._nothing(node)

    @staticmethod
    def _nothing(node):
        return None if node.col_offset == 0 else ast.Pass()


def _imported(module: _Module) -> set[str]:
    return {name for name, _, _ in module.imports}


@cache
def _module(name: str) -> _Module:
    path = _file(name)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return _Module(path, package)


@cache
def _script(path: Path) -> _Module:
    return _Module(path, "")


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _file(name: str) -> Path | None:
    first, *rest = name.split(".")
    if first != "poreflux":
        return None
    base = PACKAGE.joinpath(*rest)
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    first = node.body[0]
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)


def _drop_meanings(field: ast.AnnAssign) -> None:
    """Take out what a setting means, in poreflux.<stage>.settings."""
    for node in ast.walk(field):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field":
            node.keywords = [k for k in node.keywords if k.arg != "description"]
