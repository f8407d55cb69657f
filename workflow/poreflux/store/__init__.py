"""Content-addressed store of artifacts: one file per key, checksummed, with its manifest.

Layout: ``<root>/objects/<stage>/<ss>/<subject>.<key>`` with ``subject`` the content hash of
what the artifact is about (a structure, a training table), ``ss`` its first two digits and
``key`` the sha256 of every ingredient. A file is three parts: a line with the magic word and
the sha256 of the rest, a line of JSON (the manifest), and the payload.

Files are written to a temporary name in the same folder, flushed and renamed, so that any
number of processes and nodes may share a store: the worst that a race costs is the same
artifact computed twice. What fails its checksum is moved to ``<root>/damaged`` and is a miss.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from poreflux import __version__
from poreflux.base.canonical import canonical_json, digest
from poreflux.base.errors import ConfigError, StoreError
from poreflux.base.files import write_atomically
from poreflux.store.code import IMPORTS, PARTS_OF, digest_of_parts

log = logging.getLogger(__name__)

MAGIC = "poreflux-artifact-1"
DEFAULT_ROOT = ".poreflux/store"
# What all numbers pass through, whatever the engine: modules and the packages they come in.
LIBRARIES = (
    ("numpy", "numpy"),
    ("scipy", "scipy"),
    ("numba", "numba"),
    ("gemmi", "gemmi"),
    ("pandas", "pandas"),
    ("sklearn", "scikit-learn"),
    ("torch", "torch"),
)


@dataclass(frozen=True)
class Ingredients:
    """All that determines an artifact, and nothing else: no paths, times or machine names.

    Attributes
    ----------
    stage : str
        Name of the stage.
    subject : str
        Content hash (hex) of the main input.
    inputs : dict of str to str
        Content hashes of further inputs.
    params : dict
        Just the parameters that this stage uses.
    code : str
        Digest of the library modules involved, see :func:`poreflux.store.code.code_digest`.
    engines : dict of str to str
        Versions of the external engines that the stage calls.
    """

    stage: str
    subject: str
    inputs: dict
    params: dict
    code: str
    engines: dict

    def as_dict(self) -> dict:
        """The ingredients as a JSON-able dict."""
        return dict(vars(self))

    @property
    def key(self) -> str:
        """sha256 (hex) over all ingredients."""
        return digest(self.as_dict())


@dataclass(frozen=True)
class Artifact:
    """What the store returns: the ``manifest`` (dict) and the ``payload`` (bytes)."""

    manifest: dict
    payload: bytes


class Store:
    """A folder of artifacts; see the module's text for its layout.

    Parameters
    ----------
    root : str, Path or None
        The folder, made when first written. ``None``: the variable ``POREFLUX_STORE``, else
        ``.poreflux/store``.
    """

    def __init__(self, root: str | Path | None = None):
        self.root = Path(root or os.environ.get("POREFLUX_STORE") or DEFAULT_ROOT)

    def path(self, ingredients: Ingredients) -> Path:
        """Where the artifact of these ingredients lies or would lie."""
        return self._folder(ingredients.stage, ingredients.subject) / (
            f"{ingredients.subject}.{ingredients.key}"
        )

    def get(self, ingredients: Ingredients) -> Artifact | None:
        """The artifact, or ``None`` where there is none that passes its checksum."""
        return self.read(self.path(ingredients))

    def put(self, ingredients: Ingredients, payload: bytes, **facts) -> None:
        """Store ``payload``; ``facts`` (JSON-able, e.g. CPU seconds) join the manifest.

        So do the versions of Python and of the packages loaded, see :func:`loaded_versions`.

        Raises
        ------
        StoreError
            If the folder cannot be written: the message says why.
        """
        facts["versions"] = loaded_versions()
        manifest = ingredients.as_dict() | {"key": ingredients.key, "facts": facts}
        body = canonical_json(manifest).encode() + b"\n" + payload
        head = f"{MAGIC} {hashlib.sha256(body).hexdigest()}\n".encode()
        self.write(self.path(ingredients), head + body)
        if ingredients.code in PARTS_OF and not self._parts_file(ingredients.code).exists():
            parts = canonical_json(PARTS_OF[ingredients.code])
            self.write(self._parts_file(ingredients.code), parts.encode())

    def write(self, path: Path, data: bytes) -> None:
        """Write a file below the root, whole or not at all, for all who may write to the root.

        Raises
        ------
        StoreError
            If it cannot be written: the message says where and why.
        """
        try:
            self.make_folder(path.parent)
            write_atomically(path, data, mode=self._mode() & 0o666)
        except OSError as error:
            raise StoreError(
                f"cannot write {error.filename or path} in the store {self.root}: "
                f"{error.strerror}; free space or set POREFLUX_STORE to a folder that can be "
                "written (for a store that several share see docs/store.md)"
            ) from error

    def make_folder(self, folder: Path) -> None:
        """Make a folder below the root, and those above it, with the mode of the root.

        So that all share a store who can write to its root, whatever their umask.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        mode = self._mode()
        below = folder.relative_to(self.root)
        for part in [*reversed(below.parents), below]:
            path = self.root / part
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                path.chmod(mode)

    def _mode(self) -> int:
        return stat.S_IMODE(self.root.stat().st_mode)

    def get_or_make(
        self,
        ingredients: Ingredients,
        make: Callable[[], bytes],
        facts: Callable[[], dict] | None = None,
    ) -> bytes:
        """The payload of an artifact: as stored, or made now and stored.

        ``facts``, asked once it is made, takes the place of the CPU seconds in the manifest.
        """
        found = self.get(ingredients)
        if found:
            log.info("%s: taken from the store", ingredients.stage)
            return found.payload
        start = time.process_time()
        payload = make()
        spent = {"cpu_s": round(time.process_time() - start, 3)}
        self.put(ingredients, payload, **(facts() if facts else spent))
        return payload

    def entries(self, stage: str = "*", subject: str = "*") -> Iterator[Path]:
        """Paths of the entries of a stage, of one subject or all, in sorted order."""
        prefix = "*" if subject == "*" else subject[:2]
        for folder in sorted(self.root.glob(f"objects/{stage}/{prefix}")):
            yield from sorted(p for p in folder.glob(f"{subject}.*") if is_entry(p.name))

    def leftovers(self) -> Iterator[Path]:
        """Half-written files of writers that were killed, or that write now."""
        return self.root.glob("objects/*/*/.*")

    def verify(self, path: Path) -> bool:
        """Whether an entry is whole and is what its name says; set aside if not.

        Besides the checksum, the ingredients in its manifest must have the key that it is under.
        """
        artifact = self.read(path)
        if artifact is None:
            return False
        manifest = artifact.manifest
        try:
            made_of = Ingredients(**{name: manifest[name] for name in Ingredients.__annotations__})
            right = made_of.key == manifest["key"] and self.path(made_of) == path
        except (KeyError, TypeError, ValueError):
            right = False
        if not right:
            self._set_aside(path)
        return right

    def manifest(self, path: Path) -> dict | None:
        """Manifest of one entry (its checksum verified), ``None`` if damaged."""
        artifact = self.read(path)
        return artifact.manifest if artifact else None

    def why(self, ingredients: Ingredients) -> str:
        """In words: stored, never made, or which ingredients changed against the last one."""
        if self.get(ingredients):
            return f"{ingredients.stage}: stored as {ingredients.key[:12]}"
        # The newest first; time is no ingredient, only the order of the explanation.
        others = sorted(
            self.entries(ingredients.stage, ingredients.subject),
            key=lambda p: p.stat().st_mtime,
            reverse=True,
        )
        last = next((m for m in map(self.manifest, others) if m), None)
        if last is None:
            return f"{ingredients.stage}: never computed for {ingredients.subject[:12]}"
        changes = [
            self._code_change(old, new) if name == "code" else f"{name} {old!r} -> {new!r}"
            for name, old, new in _differences(last, ingredients.as_dict())
        ]
        return f"{ingredients.stage}: not stored; against {last['key'][:12]}: {'; '.join(changes)}"

    def _code_change(self, old: str, new: str) -> str:
        before, now = self.code_parts(old), PARTS_OF.get(new) or self.code_parts(new)
        if before is None or now is None:
            return "code changed"
        names = sorted(k for k in set(before) | set(now) if before.get(k) != now.get(k))
        # they change with any module that is imported
        names = [name for name in names if name != IMPORTS] or names
        return f"code of {', '.join(names)} changed"

    def _folder(self, stage: str, subject: str) -> Path:
        return self.root / "objects" / stage / subject[:2]

    def _parts_file(self, code: str) -> Path:
        return self.root / "code" / f"{code}.json"

    def code_parts(self, code: str) -> dict[str, str] | None:
        """Digests by module behind a digest of code, ``None`` where the store has none.

        Parameters
        ----------
        code : str
            From a manifest, see :func:`poreflux.store.code.code_digest`.
        """
        try:
            text = self._parts_file(code).read_bytes()
        except OSError:
            return None
        try:
            parts = json.loads(text)
        except ValueError:
            return None
        # a damaged file explains nothing
        return parts if digest_of_parts(parts) == code else None

    def read(self, path: Path) -> Artifact | None:
        """One entry, ``None`` where there is none that passes its checksum.

        Raises
        ------
        StoreError
            If it is there and cannot be read.
        """
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"cannot read {path}: {error.strerror}; remove it, or give those who share the "
                "store the right to read (docs/store.md)"
            ) from error
        head, _, body = data.partition(b"\n")
        if head == f"{MAGIC} {hashlib.sha256(body).hexdigest()}".encode():
            artifact = _artifact(body)
            if artifact and path.name == "{subject}.{key}".format(**artifact.manifest):
                return artifact
        self._set_aside(path)
        return None

    def _set_aside(self, path: Path) -> None:
        log.warning(
            "damaged store entry %s (truncated, or of another or a newer program) set aside in %s; "
            "it will be computed again",
            path,
            self.root / "damaged",
        )
        try:
            target = self.root / "damaged" / path.name
            self.make_folder(target.parent)
            path.replace(target)
        except OSError as error:
            # A read-only store: the entry stays, and stays a miss.
            log.warning("%s could not be moved: %s", path, error.strerror)


def _artifact(body: bytes) -> Artifact | None:
    text, _, payload = body.partition(b"\n")
    try:
        manifest = json.loads(text)
        _ = manifest["subject"], manifest["key"], manifest["facts"]
    except (ValueError, KeyError, TypeError):
        return None  # of another program
    return Artifact(manifest, payload)


def _differences(old: dict, new: dict, prefix: str = "") -> list[tuple]:
    """Leaf-by-leaf differences of two manifests: name, old and new value."""
    found = []
    for name in sorted((set(old) | set(new)) - {"key", "facts"}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{prefix}{name}.")
        elif a != b:
            found.append((f"{prefix}{name}", a, b))
    return found


@cache
def package_version(name: str) -> str:
    """Version of an installed package, an ingredient of what it computes.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError as error:
        raise ConfigError(
            f"the package {name} is not installed; "
            "install envs/requirements.txt or choose another engine or source"
        ) from error


def loaded_versions() -> dict[str, str]:
    """Versions of Python, Poreflux and those of :data:`LIBRARIES` that this process has loaded."""
    loaded = {package: package_version(package) for m, package in LIBRARIES if m in sys.modules}
    return {"python": platform.python_version(), "poreflux": __version__} | loaded


def is_entry(name: str) -> bool:
    """Whether a file of this name is an entry of a store."""
    # the name holds a key; temporary files of a killed writer have none
    return not name.startswith(".") and len(name.rpartition(".")[2]) == 64
