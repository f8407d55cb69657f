"""Stage ``study``: pretraining on uptakes, direct learning and transfer to diffusion.

``study`` runs pretraining and the draws, ``importance`` asks what the models look at,
``predict`` uses them on new structures. ``mlp``, ``xgb``, ``weighted``, ``gaussian`` and
``ensemble`` are the learners, ``trained`` the common form of what they return, ``splits`` the
draws. ``variants`` are the ways of transfer between two tables, which the synthesis study compares.
"""

# The packages behind each learner; their versions decide what a training gives. They stand here,
# where nothing heavy is imported, for the workflow reads them on every start.
PACKAGES = {
    "mlp": ("torch",),
    "xgboost": ("xgboost-cpu",),
    "xgboost-weighted": ("xgboost-cpu",),
    "gp": ("scikit-learn",),
    "ensemble": ("scikit-learn", "xgboost-cpu"),
}


def parse_learner(learner: str) -> tuple[str, str]:
    """Algorithm and feature set of a learner: ``gp+mobility``, or ``gp`` for ``paper55``."""
    algorithm, _, feature_set = learner.partition("+")
    return algorithm, feature_set or "paper55"


def packages_of(learner: str) -> tuple[str, ...]:
    """The packages behind a learner."""
    return PACKAGES[parse_learner(learner)[0]]
