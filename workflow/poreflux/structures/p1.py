"""Writing a CIF without symmetry (space group P1)."""

from __future__ import annotations


def p1_cif(
    name: str, lengths_A, angles_deg, species, frac, *, cell_digits: int, frac_digits: int
) -> str:
    """Text of a CIF without symmetry, one line per atom in the order given.

    Parameters
    ----------
    name : str
        Name of the data block.
    lengths_A, angles_deg : sequences of 3 floats
        Cell edges (Å) and angles (degrees).
    species : sequence of str
        Element symbol per atom. Its label is the symbol and a number that counts all atoms.
    frac : ndarray (n_atoms, 3)
        Fractional coordinates, written as they are.
    cell_digits, frac_digits : int
        Decimals of the cell and of the coordinates.
    """
    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    cell = zip(tags, (*lengths_A, *angles_deg), strict=True)
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    lines = [f"data_{name}", "_symmetry_space_group_name_H-M 'P 1'"]
    lines += ["_symmetry_Int_Tables_number 1"]
    lines += [f"_cell_{tag} {value:.{cell_digits}f}" for tag, value in cell]
    lines += ["loop_", "_symmetry_equiv_pos_as_xyz", "'x, y, z'"]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns)]
    for i, (symbol, place) in enumerate(zip(species, frac, strict=True), start=1):
        x, y, z = (f"{value:.{frac_digits}f}" for value in place)
        lines.append(f"{symbol}{i} {symbol} {x} {y} {z}")
    return "\n".join(lines) + "\n"
