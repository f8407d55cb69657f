"""Learners, features and models as the page names them in a sentence."""

from __future__ import annotations

from poreflux.report.sources import source_name

_ALGORITHMS = {
    "mlp": "a neural network",
    "xgboost": "XGBoost",
    "xgboost-weighted": "XGBoost on source and target rows together",
    "gp": "a Gaussian process",
    "gp-joint": "a Gaussian process of source and target rows together",
    "gp-line": "a line with a Gaussian process",
    "ensemble": "Gaussian processes with boosted trees",
}
_FEATURES = {
    "paper55": "geometry and energy histogram",
    "log55": "logarithms of geometry and energy histogram",
    "percolation": "geometry and percolation energies",
    "mobility": "geometry and mobility on the energy landscape",
    "mobility-no-barriers": "geometry and mobility on the energy landscape",
    "harmonic": "geometry and early diffusivities",
    "all": "all features",
}


def capitalised(words: str) -> str:
    """Words as a sentence begins with them.

    >>> capitalised("the uptake of CH4"), capitalised("XGBoost")
    ('The uptake of CH4', 'XGBoost')
    """
    return words[:1].upper() + words[1:]


def learner_in_words(learner: str) -> str:
    """A learner in the middle of a sentence; one that is not known goes by its name.

    >>> learner_in_words("gp+mobility")
    'a Gaussian process on geometry and mobility on the energy landscape (gp+mobility)'
    """
    algorithm, _, features = learner.partition("+")
    if algorithm not in _ALGORITHMS:
        return f"the learner {learner}"
    on = _FEATURES.get(features or "paper55", features)
    return f"{_ALGORITHMS[algorithm]} on {on} ({learner})"


def model_in_words(model: str) -> str:
    """A group of models, ``gp+mobility tl uptake_65bar``, in a sentence.

    >>> model_in_words("mlp tl uptake_65bar")
    'mlp, transferred from the uptake at 65 bar,'
    """
    learner, _, rest = model.partition(" ")
    kind, _, source = rest.partition(" ")
    if kind != "tl":
        return f"{learner}, learnt directly,"
    return f"{learner}, transferred from {source_name(source)},"
