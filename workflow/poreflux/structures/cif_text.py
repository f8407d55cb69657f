"""Text of CIF files: decoding it, the tags that count, and quoting it in messages."""

from __future__ import annotations

import re

from poreflux.base.errors import StructureError

# 50,000 atoms take 10 MB; the rest is room for reflections and refinement files in text fields.
MAX_BYTES = 50_000_000
# The remedy for a file that lost something on its way.
EXPORT = "export or download it again"

# Tags as :func:`normal_tag` spells them, each group in order of preference: core CIF old and new,
# mmCIF, magCIF. Names that other programs are known to write are last.
OPERATORS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
MAGNETIC_OPERATORS = "_space_group_symop_magn_operation_xyz"
MAGNETIC_CENTRINGS = "_space_group_symop_magn_centering_xyz"
HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
HERMANN_MAUGUIN = (
    "_space_group_name_h_m_alt",
    "_symmetry_space_group_name_h_m",
    "_space_group_name_h_m_full",
    "_symmetry_pdbx_full_space_group_name_h_m",
    "_space_group_name_h_m",
)
# The type of the group; its setting is left open.
GROUP_TYPE = (
    "_space_group_it_number",
    "_symmetry_int_tables_number",
    "_space_group_name_h_m_ref",
)
SETTING_CODE = "_space_group_it_coordinate_system_code"
MAGNETIC_NAMES = (
    "_space_group_magn_number_bns",
    "_space_group_magn_name_bns",
    "_space_group_magn_number_og",
    "_space_group_magn_name_og",
    "_space_group_magn_name_uni",
)
# They state a group, but nothing here reads them: Schoenflies symbols and superspace groups.
UNREAD_GROUPS = (
    "_space_group_name_schoenflies",
    "_space_group_ssg_name",
    "_space_group_ssg_name_it",
    "_space_group_ssg_number",
    "_space_group_magn_ssg_name",
    "_space_group_magn_ssg_number",
    "_space_group_symop_ssg_operation_algebraic",
    "_space_group_symop_magn_ssg_operation_algebraic",
    "_space_group_symop_generator_xyz",
)
# Beginnings of the tags that speak of symmetry
SYMMETRY = ("_space_group", "_symmetry")
# Of these: keys, explanations, and what follows from the group
SYMMETRY_DETAILS = re.compile(
    r"_symmetry_(entry_id|cell_setting|equiv_id|equiv_pos_(site_|symop_)?id)"
    r"|_space_group_(id|crystal_system|bravais_type|centring_type|laue_class|multiplicity"
    r"|patterson_name_h_m|point_group_h_m|reference_setting|transform_\w+|name_h_m_alt_description"
    r"|wyckoff_\w+|it_coordinate_system_code|magn_(point_group|transform|og_wavevector)\w*|magn_id)"
    r"|_space_group_symop_(id|sg_id|operation_description|r|rt|t|generator_id)"
    r"|_space_group_symop_magn_(id|(operation|centering)_(id|mxmymz|description)|og_\w+)"
)
CELL_LENGTHS = tuple(f"_cell_length_{x}" for x in "abc")
CELL_ANGLES = tuple(f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma"))
# What a file says of its cell as a whole; the cell and the atoms are held against it.
VOLUME = "_cell_volume"
FORMULA_UNITS = "_cell_formula_units_z"
FORMULA = "_chemical_formula_sum"
WEIGHT = "_chemical_formula_weight"
DENSITY = "_exptl_crystal_density_diffrn"
ELEMENTS = "_atom_type_symbol"
NUMBERS_IN_CELL = "_atom_type_number_in_cell"
ELECTRONS = "_exptl_crystal_f_000"
SUMMARY = (
    VOLUME, FORMULA_UNITS, FORMULA, WEIGHT, DENSITY, ELECTRONS, ELEMENTS, NUMBERS_IN_CELL,
)  # fmt: skip
# Columns of the loop of atoms, by what they hold
ATOM_COLUMNS = {
    "_atom_site_fract_x": "x",
    "_atom_site_fract_y": "y",
    "_atom_site_fract_z": "z",
    "_atom_site_type_symbol": "symbol",
    "_atom_site_label": "label",
    "_atom_site_label_atom_id": "label",
    "_atom_site_occupancy": "occupancy",
    "_atom_site_disorder_group": "disorder_group",
    "_atom_site_label_alt_id": "disorder_group",
    "_atom_site_disorder_assembly": "disorder_assembly",
    "_atom_site_pdbx_pdb_model_num": "model",
    "_atom_site_attached_hydrogens": "attached_hydrogens",
    "_atom_site_cartn_x": "cartesian_x",
    "_atom_site_cartn_y": "cartesian_y",
    "_atom_site_cartn_z": "cartesian_z",
    "_atom_site_calc_flag": "flag",
    "_atom_site_symmetry_multiplicity": "multiplicity",
    "_atom_site_site_symmetry_multiplicity": "multiplicity",
    "_atom_site_wyckoff_multiplicity": "multiplicity",
    "_atom_site_site_multiplicity": "multiplicity",
    "_atom_site_multiplicity": "multiplicity",
}
# Tags of no dictionary that may count hydrogen atoms which have no place
LIKE_HYDROGENS = re.compile(r"_atom_site_\w*(hydrogen|attached_h|implicit_h|h_count)")
# Tags of no dictionary that may tell how much of an atom is there
LIKE_OCCUPANCY = re.compile(
    r"_atom_site_(?!(occupancy(_su|_esd)?|refinement_flags_occupancy)$)"
    r"\w*(occ|popul|fraction|partial|weight|probab|sof$)"
)


def normal_tag(tag: str) -> str:
    """One spelling for a tag of all dictionaries: ``_cell.length_a`` is ``_cell_length_a``."""
    return tag.lower().replace(".", "_").replace("-", "_")


def is_needed(tag: str) -> bool:
    """Whether a tag in its normal spelling is of the cell or the symmetry."""
    return tag in CELL_LENGTHS or tag in CELL_ANGLES or tag.startswith(SYMMETRY)


class MalformedError(Exception):
    """A fault of syntax, which :func:`poreflux.structures.cif_repair.repair` may mend."""


def check_size(n_bytes: int) -> None:
    """Raise :class:`StructureError` for a file of more than :data:`MAX_BYTES`."""
    if n_bytes > MAX_BYTES:
        raise StructureError(
            f"the file has {n_bytes / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f}: "
            "not a CIF of one structure"
        )


def decode(data: bytes) -> str:
    """Text of the bytes of a file, lines ended by a newline each.

    Raises
    ------
    StructureError
        If the file is empty, too large, compressed, binary or a web page.
    """
    check_size(len(data))
    if not data.strip():
        raise StructureError(f"the file is empty; {EXPORT}")
    if data.startswith(b"\x1f\x8b"):
        raise StructureError("not a CIF: the file is compressed; unpack it with gunzip")
    text = None
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding).removeprefix("\ufeff")
            break
        except UnicodeDecodeError:
            continue
    if text is None:
        # Old CIFs carry Latin-1 author names; every byte is a Latin-1 character.
        text = data.decode("latin-1")
    if "\0" in text:
        raise StructureError(f"not a CIF: the file holds binary data; {EXPORT}")
    if re.match(r"\s*<(!doctype|html|\?xml|head|body)", text[:200], re.IGNORECASE):
        raise StructureError("not a CIF: the file is a web page; download the CIF itself")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encodings(data: bytes) -> list[str]:
    """Encodings to try, by the first bytes."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ["utf-16"]
    # UTF-16 without its mark: every other byte of plain text is NUL.
    head = data[:400]
    if len(head) > 20 and head[1::2].count(0) > 0.9 * (len(head) // 2):
        return ["utf-16-le"]
    if len(head) > 20 and head[0::2].count(0) > 0.9 * (len(head) // 2):
        return ["utf-16-be"]
    return ["utf-8"]


def printable(text: str, length: int = 120) -> str:
    """A piece of the file on one line, cut to ``length`` characters."""
    text = "".join(c if c.isprintable() else " " for c in text[: length + 1]).strip()
    return text[:length] + "..." if len(text) > length else text


def show(text: str, length: int = 40) -> str:
    """The same in quotes, for a message."""
    return repr(printable(text, length))
