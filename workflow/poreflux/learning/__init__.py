"""Stage ``study``: pretraining on uptakes, direct learning and transfer to diffusion.

``study`` runs pretraining and the draws, ``importance`` asks what the models look at,
``predict`` uses them on new structures. ``learners`` holds one file per learner, ``stack`` the
common form of what they return, ``trained`` what is stored of a training, ``splits`` the draws.
``variants`` are the ways of transfer between two tables, which the synthesis study compares.
"""
