"""Poreflux: from crystal structures of MOFs to a transfer-learning model of gas diffusion.

Units everywhere: Å, K (energies as E/kB), fs, bar, amu; names carry the unit where it
is not obvious. One module (or folder) per stage; ``structure``, ``forcefield``,
``potential``, ``store`` and ``parallel`` know nothing of stages.
"""

__version__ = "0.1.0"
