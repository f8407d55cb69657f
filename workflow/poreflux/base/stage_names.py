"""The per-structure stages by name, in the order in which a structure passes them.

A stage goes by its name everywhere: in tables, rules, logs and the configuration.
"""

STAGES = ("geometry", "energy", "percolation", "uptake", "diffusion")
# What follows the name of a stage that is repeated with the reference code.
CROSSCHECK = " (cross-check)"
# What is compared there: reference engine, value, its standard error, further keys.
COMPARED = {
    "uptake": ("raspa3", "uptake_mol_kg", "uptake_err_mol_kg", ["pressure_bar"]),
    "diffusion": ("lammps", "d_m2_s", "d_err_m2_s", []),
}
