"""Stage ``study``: pretraining on uptakes, direct learning and transfer to diffusion.

``study`` runs pretraining and the draws, ``importance`` asks what the models look at,
``predict`` uses them on new structures. ``mlp``, ``xgb``, ``weighted`` and ``gaussian`` are
the learners, ``trained`` the common form of what they return, ``splits`` the draws.
``variants`` are the ways of transfer between two tables, which the synthesis study compares.
"""

# The package behind each learner; its version decides what a training gives. It stands here, where
# nothing heavy is imported, for the workflow reads it on every start.
PACKAGES = {
    "mlp": "torch",
    "xgboost": "xgboost-cpu",
    "xgboost-weighted": "xgboost-cpu",
    "gp": "scikit-learn",
}


def parse_learner(learner: str) -> tuple[str, str]:
    """Algorithm and feature set of a learner: ``gp+percolation``, or ``gp`` for ``paper55``."""
    algorithm, _, feature_set = learner.partition("+")
    return algorithm, feature_set or "paper55"


def package_of(learner: str) -> str:
    """The package behind a learner."""
    return PACKAGES[parse_learner(learner)[0]]
