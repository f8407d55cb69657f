"""The published study that this one follows, and its numbers.

Y. Lim and J. Kim, Mol. Syst. Des. Eng. 2022, doi:10.1039/d2me00082b.
"""

AUTHORS = "Lim and Kim"
DOI = "10.1039/d2me00082b"
# Median R2 of log10 D by size of the draws, direct and from the best source.
R2 = {100: (0.146, 0.175), 300: (0.406, 0.507), 500: (0.491, 0.568)}
# Draws of 300 that transfer won there, of 50, by pressure of the source in bar.
WINS = {0.25: 25, 100.0: 37}
# Diffusivities that transfer saves in the published study (500 directly, 300 with transfer).
SAVED = 200
