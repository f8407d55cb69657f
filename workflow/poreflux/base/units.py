"""Constants and conversions, each with its source. Internal units: Å, K, fs, bar, amu."""

# CODATA 2018, exact by the SI definition.
BOLTZMANN_J_PER_K = 1.380649e-23
AVOGADRO_PER_MOL = 6.02214076e23
GAS_CONSTANT_J_PER_MOL_K = BOLTZMANN_J_PER_K * AVOGADRO_PER_MOL
# CODATA 2018: 1 amu in kg.
AMU_KG = 1.66053906660e-27

# kB in bar Å^3 / K: fV/kT is a number of molecules with f in bar and V in Å^3.
BOLTZMANN_BAR_A3_PER_K = BOLTZMANN_J_PER_K * 1e30 / 1e5
# kB in amu Å^2 fs^-2 / K: v^2 = kT/m is in Å^2/fs^2.
BOLTZMANN_AMU_A2_FS2_PER_K = BOLTZMANN_J_PER_K / AMU_KG * 1e20 / 1e30

# 1 Å^2/fs in m^2/s.
A2_PER_FS_TO_M2_PER_S = 1e-5

# Molar volume of an ideal gas at 273.15 K and 1 atm (the STP of adsorption), cm^3/mol.
STP_MOLAR_VOLUME_CM3 = GAS_CONSTANT_J_PER_MOL_K * 273.15 / 101325.0 * 1e6


def molecules_per_cell_to_mol_kg(molecules: float, cell_mass_amu: float) -> float:
    """Loading in mol per kg of framework from molecules per cell of mass ``cell_mass_amu``."""
    return molecules / cell_mass_amu * 1000.0


def molecules_per_cell_to_cm3stp_cm3(molecules: float, cell_volume_A3: float) -> float:
    """Loading in cm3 of gas at STP (273.15 K, 1 atm) per cm3 of crystal."""
    return molecules / AVOGADRO_PER_MOL * STP_MOLAR_VOLUME_CM3 / (cell_volume_A3 * 1e-24)
