"""Stage ``study``: pretraining on uptakes, direct learning and transfer to diffusion.

``study`` runs pretraining and the draws, ``importance`` asks what the models look at,
``predict`` uses them on new structures. ``mlp``, ``xgb`` and ``weighted`` are the learners,
``trained`` the common form of what they return, ``splits`` the draws. ``variants`` are the ways of
transfer between two tables, which the synthesis study compares.
"""

# The package behind each learner; its version decides what a training gives. It stands here, where
# nothing heavy is imported, for the workflow reads it on every start.
PACKAGES = {"mlp": "torch", "xgboost": "xgboost-cpu", "xgboost-weighted": "xgboost-cpu"}
