"""Near duplicates: structures whose frameworks are the same but for solvent, protons and strain.

CoRE MOF holds many a framework several times: published with other guests, at another temperature,
in another setting of the cell. Two of them on both sides of a split tell a model what it is to be
asked. They are found by the matcher of pymatgen (S. P. Ong et al., Comput. Mater. Sci. 2013, doi
10.1016/j.commatsci.2012.10.028) on a reduced form of each structure: the framework alone without
hydrogen, in its primitive cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from poreflux.base.errors import StructureError
from poreflux.structures.checks import bare_framework
from poreflux.structures.crystal import Structure

if TYPE_CHECKING:
    import pymatgen.core

# Frameworks with more atoms are not reduced: the search for a primitive cell compares all pairs.
MAX_ATOMS = 2000
# Largest ratio of the volumes of two frameworks that are compared; cells breathe, but not by more
# and keep the atoms in their places.
VOLUME_RATIO = 1.2


@dataclass(frozen=True, eq=False)
class Framework:
    """The reduced form of a structure.

    Attributes
    ----------
    formula : str
        Of the primitive cell, elements by their names in the alphabet: ``C24 Cu3 O12``.
    crystal : pymatgen.core.Structure
        The atoms that count, in a primitive cell after Niggli.
    """

    formula: str
    crystal: pymatgen.core.Structure

    def is_alike(self, other: Framework) -> bool:
        """Whether it is worth while to compare the two atom by atom."""
        volumes = self.crystal.volume, other.crystal.volume
        return self.formula == other.formula and max(volumes) < VOLUME_RATIO * min(volumes)

    def matches(self, other: Framework) -> bool:
        """Whether the atoms of one lie on those of the other, both scaled to one volume.

        The tolerances are those of the matcher by default: 20 % of edges, 5 degrees, and 0.3 of
        the mean distance between atoms, (V/n)^(1/3).
        """
        from pymatgen.analysis.structure_matcher import StructureMatcher

        matcher = StructureMatcher(primitive_cell=False, scale=True, attempt_supercell=False)
        return bool(matcher.fit(self.crystal, other.crystal, skip_structure_reduction=True))


def reduced_framework(structure: Structure) -> Framework:
    """The framework of a structure, by which near duplicates are found.

    Parameters
    ----------
    structure : Structure

    Returns
    -------
    Framework
        Without lone molecules and ions, hydrogen, and water, hydroxide or oxide that hangs on one
        metal atom, see :func:`poreflux.structures.checks.bare_framework`.

    Raises
    ------
    StructureError
        If more than :data:`MAX_ATOMS` atoms are left.
    ImportError
        If pymatgen is not installed.
    """
    load_matcher()
    from pymatgen.core import Lattice
    from pymatgen.core import Structure as PymatgenStructure

    kept = np.flatnonzero(bare_framework(structure))
    if len(kept) > MAX_ATOMS:
        raise StructureError(
            f"not compared: {len(kept)} framework atoms in the cell, more than {MAX_ATOMS}"
        )
    species = [structure.species[i] for i in kept]
    whole = PymatgenStructure(Lattice(structure.cell), species, structure.frac[kept])
    crystal = whole.get_primitive_structure().get_reduced_structure("niggli")
    return Framework(crystal.composition.alphabetical_formula, crystal)


def candidate_pairs(frameworks: Sequence[Framework]) -> list[tuple[int, int]]:
    """Pairs ``(i, j)``, i < j, of frameworks that may be the same: equal formulas, near volumes."""
    by_formula: dict[str, list[int]] = {}
    for i, framework in enumerate(frameworks):
        by_formula.setdefault(framework.formula, []).append(i)
    return [
        (i, j)
        for members in by_formula.values()
        for i, j in combinations(members, 2)
        if frameworks[i].is_alike(frameworks[j])
    ]


def joined(n: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Groups of ``n`` things of which pairs belong together, numbered in order of their firsts.

    Returns
    -------
    ndarray of int64, shape (n,)
        The number of the group of each; what is in no pair is a group by itself.
    """
    first = np.arange(n)
    for i, j in pairs:
        a, b = first[i], first[j]
        first[first == max(a, b)] = min(a, b)
    return np.unique(first, return_inverse=True)[1]


class Member(NamedTuple):
    """What was found of a structure.

    Attributes
    ----------
    group : int
        Structures of the same number share a framework.
    framework : str
        Formula of its reduced form; empty where it could not be reduced.
    note : str
        Why it, or a pair of it, could not be compared; empty if all could.
    """

    group: int
    framework: str
    note: str


# Calls a function for each task: (value, reason), a value or why there is none.
Call = Callable[[Callable, Sequence[tuple]], Sequence[tuple[Any, str]]]


def near_duplicates(structures: Sequence[Structure]) -> np.ndarray:
    """Number of the group of each structure, ndarray of int64 (n,); see :func:`find_groups`.

    >>> near_duplicates([])
    array([], dtype=int64)
    """
    return np.array([member.group for member in find_groups(structures)], dtype=np.int64)


def find_groups(structures: Sequence[Structure], *, call: Call | None = None) -> list[Member]:
    """Groups of structures that share a framework.

    Parameters
    ----------
    structures : sequence of Structure
    call : callable, optional
        Given a function and tasks, it returns ``(value, reason)`` per task, the reason empty where
        there is a value: a way to put limits on each. By default each is called as it stands, and
        a :class:`StructureError` is the reason.

    Returns
    -------
    list of Member
        One per structure. Groups are numbered in order of their smallest content hash: neither the
        order of structures nor copies among them change who belongs together. A structure that
        cannot be reduced is alone with its exact copies. A pair with the same formula that cannot
        be compared counts as the same, so that nothing leaks.

    Raises
    ------
    ImportError
        If pymatgen is not installed.
    """
    load_matcher()
    call = call or _as_it_stands
    hashes = [s.content_hash for s in structures]
    by_hash = dict(zip(hashes, structures, strict=True))
    different = sorted(by_hash)
    notes = [""] * len(different)
    frameworks: dict[int, Framework] = {}
    tasks = [(by_hash[content_hash],) for content_hash in different]
    for k, (framework, reason) in enumerate(call(reduced_framework, tasks)):
        notes[k] = reason
        if framework is not None:
            frameworks[k] = framework
    numbers, forms = list(frameworks), list(frameworks.values())
    pairs = candidate_pairs(forms)
    same = []
    found = call(Framework.matches, [(forms[i], forms[j]) for i, j in pairs])
    for (i, j), (matched, reason) in zip(pairs, found, strict=True):
        a, b = numbers[i], numbers[j]
        if reason:
            notes[a] = notes[b] = f"taken for the same as one of its formula: {reason}"
        if matched or reason:
            same.append((a, b))
    groups = joined(len(different), same)
    formulas = {k: framework.formula for k, framework in frameworks.items()}
    members = {
        content_hash: Member(int(groups[k]), formulas.get(k, ""), notes[k])
        for k, content_hash in enumerate(different)
    }
    return [members[content_hash] for content_hash in hashes]


def load_matcher() -> None:
    """Import what compares, for processes that are forked from this one as well.

    Raises
    ------
    ImportError
        If pymatgen is not installed.
    """
    try:
        import pymatgen.analysis.structure_matcher  # noqa: F401
    except ImportError:
        raise ImportError("near duplicates need pymatgen: pip install pymatgen") from None


def _as_it_stands(function: Callable, tasks: Sequence[tuple]) -> list[tuple[Any, str]]:
    found = []
    for task in tasks:
        try:
            found.append((function(*task), ""))
        except StructureError as error:
            found.append((None, str(error)))
    return found
