"""Diffusivity of a structure at once, from models that ship with the package.

:func:`predict` takes CIFs and gives D with its 90 % interval, and what else is known of each
structure; :func:`dataset` gives the data set that the models learnt from.
"""

from poreflux.prediction.predict import COLUMNS, Prediction, predict
from poreflux.prediction.shipped import card, dataset, guests

__all__ = ["COLUMNS", "Prediction", "card", "dataset", "guests", "predict"]
