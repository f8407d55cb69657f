"""Stage ``synthesis``: from synthesis conditions to particle size, literature to laboratory.

A literature table and a small in-house table, each checked against a schema, make cases: the
in-house table as it stands, with another reading of a doubtful column, or a laboratory of the
literature in the in-house role. In every case all variants (direct, transferred, augmented)
predict the same held-out in-house conditions.

``table`` reads, ``validation`` compares the variants of :mod:`poreflux.learning.variants`,
``interpretation`` explains, ``case`` does one case, ``stored`` keeps it, ``toy`` makes the
example tables.

References
----------
Y. Du, Nano Trends 12 (2025) 100153, doi:10.1016/j.nwnano.2025.100153.
"""

# The two schemes of validation.
LEAVE_ONE_OUT, K_FOLD = "leave-one-condition-out", "k-fold"
# The tables of a case, in the order of the report. What stands here, where nothing heavy is
# imported, the workflow reads on every start and the report without XGBoost.
TABLES = (
    "summary",
    "missing",
    "scores",
    "comparisons",
    "predictions",
    "choices",
    "importance",
    "stability",
    "dependence",
)
