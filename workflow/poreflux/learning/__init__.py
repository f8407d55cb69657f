"""Stage ``study``: pretraining on uptakes, direct learning and transfer to diffusion.

``study`` runs pretraining and the draws, ``importance`` asks what the models look at,
``predict`` uses them on new structures. ``mlp`` and ``xgb`` are the learners, ``trained`` the
common form of what they return, ``splits`` the draws.
"""
