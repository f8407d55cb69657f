"""The network of Lim & Kim 2022 and a trainer that trains many of them as one computation.

The network is d-512-128-1 with rectifiers and a dropout between the second hidden layer and the
output. Networks of equal shape are stacked: every weight has a leading dimension that runs over
the models, a training step is a handful of batched matrix products, and the loss is the sum of
the models' losses, so that each model gets exactly the gradient that it would get alone. Adam
acts on each weight by itself and so does not couple models either. Initial weights, batches and
dropout masks come from one generator per model. A model's result therefore does not depend on
which others are trained beside it, up to the order of floating-point sums.

References
----------
Y. Lim, J. Kim, Mol. Syst. Des. Eng. 2022, doi:10.1039/d2me00082b (architecture, protocol).
D. P. Kingma, J. Ba, ICLR 2015, arXiv:1412.6980 (Adam).
"""

from __future__ import annotations

import io
import logging
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from poreflux.base.errors import DataError
from poreflux.base.products import row_products
from poreflux.base.progress import Progress
from poreflux.base.random_stream import seed_from
from poreflux.learning.learners import Checkpoint
from poreflux.learning.splits import Split
from poreflux.learning.stack import Stack

LEARNER = {
    "packages": ("torch",),
    "takes_isotherm": True,
    "uses_gpu": True,
    "options": ("phase", "label_kind", "protocol", "reference", "device", "checkpoint"),
}

logger = logging.getLogger(__name__)

HIDDEN = (512, 128)

# Stacked models that a CPU trains at a time: their weights and Adam moments stay in its cache.
_CPU_CHUNK = 10
# Seconds of training that an interruption costs at most, or a little more.
_CHECKPOINT_S = 60.0
# Dropout masks are drawn for several steps at once, of at most this many numbers.
_MASK_BLOCK = 4_000_000


@dataclass(frozen=True)
class Phase:
    """How one kind of model is trained.

    Attributes
    ----------
    learning_rate : float
        Of Adam, in units of the scaled label and features.
    max_steps : int
        Adam steps at most.
    batch_size : int or None
        Rows in a step; ``None``: all of them.
    dropout : float
        Share of the second hidden layer that is dropped in a training step.
    validate_every : int
        Steps between two looks at the validation rows; the best weights seen are kept.
    patience : int or None
        Stop a model after so many looks in a row without a new best; ``None``: never.
    label_scaling : tuple of float or None
        The network learns ``(label - first) / second``; ``None``: mean and standard deviation
        of the training rows.
    input_floor : float or None
        Features are shifted and scaled by the mean and standard deviation of reference rows (the
        training rows if no others are given), the latter at least so large; ``None``: features
        go in as they are.
    anneal : bool
        Lower the learning rate to zero along half a cosine.
    """

    learning_rate: float
    max_steps: int
    batch_size: int | None
    dropout: float
    validate_every: int
    patience: int | None
    label_scaling: tuple[float, float] | None
    input_floor: float | None = None
    anneal: bool = False


@dataclass(frozen=True)
class Protocol:
    """The three trainings of a study: source model, direct learning, fine-tuning."""

    pretrain: Phase
    direct: Phase
    finetune: Phase


# The published scaling of labels: uptake in cm3(STP)/cm3 (at low pressures some of the released
# notebooks divide by 100), log10 of D in 1e-8 m2/s.
_UPTAKE_SCALING = (0.0, 300.0)
_DIFFUSION_SCALING = (-4.5, 7.0)

_PAPER_TARGET = Phase(
    learning_rate=1e-5,
    max_steps=200_000,
    batch_size=None,
    dropout=0.5,
    validate_every=1000,
    patience=None,
    label_scaling=_DIFFUSION_SCALING,
)
_PAPER_SOURCE = replace(_PAPER_TARGET, batch_size=1000, label_scaling=_UPTAKE_SCALING)
_RELEASED_TARGET = replace(_PAPER_TARGET, patience=20)
_FAST_TARGET = Phase(
    learning_rate=3e-3,
    max_steps=1000,
    batch_size=None,
    dropout=0.5,
    validate_every=10,
    patience=15,
    label_scaling=None,
    input_floor=0.03,
)
_FAST_SOURCE = replace(
    _FAST_TARGET,
    max_steps=2000,
    batch_size=256,
    dropout=0.0,
    validate_every=50,
    patience=None,
    anneal=True,
)

# paper: the text of Lim & Kim 2022. released: their code, which stops early on the target and
# has no dropout on the source. fast: ours, a learning rate and a scaling that need about a
# hundredth of the steps.
PROTOCOLS = {
    "paper": Protocol(pretrain=_PAPER_SOURCE, direct=_PAPER_TARGET, finetune=_PAPER_TARGET),
    "released": Protocol(
        pretrain=replace(_PAPER_SOURCE, dropout=0.0),
        direct=_RELEASED_TARGET,
        finetune=_RELEASED_TARGET,
    ),
    "fast": Protocol(pretrain=_FAST_SOURCE, direct=_FAST_TARGET, finetune=_FAST_TARGET),
}


# Kinds of labels that the scalings of the published protocols are made for; others are
# standardised.
PUBLISHED_LABELS = {
    "pretrain": ("uptake", "isotherm"),
    "direct": ("diffusivity",),
    "finetune": ("diffusivity",),
}


@dataclass(frozen=True)
class Networks(Stack):
    """A stack of M networks over F first layers: several networks may share a frozen one.

    Attributes
    ----------
    input_shift, input_scale : ndarray of float64, shape (F, d)
        The first layer sees ``(x - input_shift) / input_scale``.
    first_weight, first_bias : ndarray of float32, shapes (F, d, 512), (F, 512)
    first_of : ndarray of int64, shape (M,)
        Which first layer each network stands on.
    second_weight, second_bias : ndarray of float32, shapes (M, 512, 128), (M, 128)
    output_weight, output_bias : ndarray of float32, shapes (M, 128), (M,)
    label_shift, label_scale : ndarray of float64, shape (M,)
        The label is ``output * label_scale + label_shift``.
    """

    input_shift: np.ndarray
    input_scale: np.ndarray
    first_weight: np.ndarray
    first_bias: np.ndarray
    first_of: np.ndarray
    second_weight: np.ndarray
    second_bias: np.ndarray
    output_weight: np.ndarray
    output_bias: np.ndarray
    label_shift: np.ndarray
    label_scale: np.ndarray

    def __len__(self) -> int:
        return len(self.first_of)

    def select(self, which) -> Networks:
        """The networks with numbers ``which``, and no more first layers than they need."""
        first, first_of = np.unique(self.first_of[which], return_inverse=True)
        changes = {name: getattr(self, name)[first] for name in _PER_FIRST_LAYER}
        changes |= {name: getattr(self, name)[which] for name in _PER_NETWORK}
        return Networks(**changes, first_of=first_of.astype(np.int64))

    @classmethod
    def join(cls, parts: Sequence[Networks]) -> Networks:
        """Stacks as one; a first layer that they share stands in it once."""
        firsts, first_of = [], []
        for part in parts:
            place = []
            for f in range(len(part.first_weight)):
                layer = {name: getattr(part, name)[f] for name in _PER_FIRST_LAYER}
                same = (
                    k for k, known in enumerate(firsts)
                    if all(np.array_equal(known[name], value) for name, value in layer.items())
                )  # fmt: skip
                place.append(next(same, len(firsts)))
                if place[-1] == len(firsts):
                    firsts.append(layer)
            first_of.append(np.array(place)[part.first_of])
        changes = {name: np.stack([layer[name] for layer in firsts]) for name in _PER_FIRST_LAYER}
        changes |= {n: np.concatenate([getattr(part, n) for part in parts]) for n in _PER_NETWORK}
        return cls(**changes, first_of=np.concatenate(first_of).astype(np.int64))

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Labels of ``x`` (n, d) by every network, float64 (M, n), computed in float32.

        Not by torch, whose products of a row depend on the rows beside it.
        """
        hidden = [
            _rectified(_scaled_input(self, f, x).numpy(), weight, bias)
            for f, (weight, bias) in enumerate(zip(self.first_weight, self.first_bias, strict=True))
        ]
        output = np.empty((len(self), len(x)))
        for m, f in enumerate(self.first_of):
            second = _rectified(hidden[f], self.second_weight[m], self.second_bias[m])
            weight, bias = self.output_weight[m][:, None], self.output_bias[m : m + 1]
            output[m] = row_products(second, weight, bias)[:, 0]
        return output * self.label_scale[:, None] + self.label_shift[:, None]


_PER_FIRST_LAYER = ("input_shift", "input_scale", "first_weight", "first_bias")
_PER_NETWORK = (
    "second_weight",
    "second_bias",
    "output_weight",
    "output_bias",
    "label_shift",
    "label_scale",
)


from_bytes = Networks.from_bytes


def initialise(
    seeds: Sequence[int],
    *,
    input_shift: np.ndarray,
    input_scale: np.ndarray,
    label_shift: np.ndarray,
    label_scale: np.ndarray,
) -> Networks:
    """Untrained networks with weights of Glorot & Bengio (uniform) and zero biases.

    Parameters
    ----------
    seeds : sequence of int
        One for each of the M networks.
    input_shift, input_scale : array_like, shape (M, d)
        Scaling of the features.
    label_shift, label_scale : array_like, shape (M,)
        Scaling of the label.

    Returns
    -------
    Networks

    References
    ----------
    X. Glorot, Y. Bengio, AISTATS 2010, eq. 16; the default of the released code's layers.
    """
    input_shift = np.asarray(input_shift, dtype=np.float64)
    sizes = [(input_shift.shape[1], HIDDEN[0]), HIDDEN, (HIDDEN[1], 1)]
    stacks = [[], [], []]
    for seed in seeds:
        rng = np.random.default_rng(seed_from(seed, "weights"))
        for stack, (fan_in, fan_out) in zip(stacks, sizes, strict=True):
            limit = np.sqrt(6.0 / (fan_in + fan_out))
            stack.append(rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32))
    n = len(seeds)
    return Networks(
        input_shift=input_shift,
        input_scale=np.asarray(input_scale, dtype=np.float64),
        first_weight=np.stack(stacks[0]),
        first_bias=np.zeros((n, HIDDEN[0]), np.float32),
        first_of=np.arange(n),
        second_weight=np.stack(stacks[1]),
        second_bias=np.zeros((n, HIDDEN[1]), np.float32),
        output_weight=np.stack(stacks[2])[..., 0],
        output_bias=np.zeros(n, np.float32),
        label_shift=np.asarray(label_shift, dtype=np.float64),
        label_scale=np.asarray(label_scale, dtype=np.float64),
    )


def fit(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    seeds: Sequence[int],
    source: Networks | None = None,
    phase: str,
    label_kind: str,
    protocol: str,
    reference: np.ndarray | None = None,
    device: str = "cpu",
    checkpoint: Checkpoint | None = None,
) -> Networks:
    """Train one network per split by a protocol, with progress in the log.

    Parameters
    ----------
    phase : str
        Which training of the protocol: ``"pretrain"``, ``"direct"`` or ``"finetune"``.
    label_kind : str
        What the label is, such as ``"uptake"``: the published scalings are for some alone, see
        :data:`PUBLISHED_LABELS`.
    protocol : str
        A key of :data:`PROTOCOLS`.
    x, y, splits, seeds, source, reference, device, checkpoint
        As in :func:`train`.

    Raises
    ------
    DataError
        If there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise DataError(f"there is no protocol {protocol!r}; there are: {known}")
    settings = getattr(PROTOCOLS[protocol], phase)
    if label_kind not in PUBLISHED_LABELS[phase]:
        settings = replace(settings, label_scaling=None)
    progress = Progress(len(splits) * settings.max_steps, "training steps", logger)
    return train(
        x,
        y,
        splits,
        phase=settings,
        seeds=seeds,
        source=source,
        reference=reference,
        device=device,
        step=progress.step,
        checkpoint=checkpoint,
    )


def has_gpu() -> bool:
    """Whether torch can compute on a GPU here."""
    return torch.cuda.is_available()


def train(
    x: np.ndarray,
    y: np.ndarray,
    splits: Sequence[Split],
    *,
    phase: Phase,
    seeds: Sequence[int],
    source: Networks | None = None,
    reference: np.ndarray | None = None,
    device: str = "cpu",
    step: Callable[[int], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Networks:
    """Train one network per split, all together, from scratch or from a source network.

    Parameters
    ----------
    x : ndarray, shape (n, d)
        Features.
    y : ndarray, shape (n,) or (n, K)
        Labels; of K labels a network learns all, on one split: multi-task learning.
    splits : sequence of Split
        Of equal sizes; ``train`` is learnt, ``validation`` chooses the weights to keep.
    phase : Phase
        How to train.
    seeds : sequence of int
        One per split.
    source : Networks, optional
        A stack of one to start from, or of several outputs on the same layers, whose mean it is
        then. Its first layer and the scaling of the features stay as they are; the upper layers
        are tuned, and the label gets a scaling of its own.
    reference : ndarray, shape (n_reference, d), optional
        Features to take the scaling of the input from, where the phase asks for one.
    device : str
        ``"cpu"`` or ``"cuda"``.
    step : callable, optional
        Called with numbers of finished training steps, ``len(splits) * phase.max_steps`` in all.
    checkpoint : Checkpoint, optional
        See :func:`train_batch`.

    Returns
    -------
    Networks
        One per split; of K labels, K networks that differ in their outputs alone.
    """
    if y.ndim == 2:
        return _fit_outputs(x, y, splits[0], phase, seeds[0], reference, device, step, checkpoint)
    training = np.stack([part.train for part in splits])
    validation = np.stack([part.validation for part in splits])
    label_shift, label_scale = _label_scaling(y[training], phase)
    if source is None:
        input_shift, input_scale = _input_scaling(x[training], reference, phase)
        start = initialise(
            seeds,
            input_shift=input_shift,
            input_scale=input_scale,
            label_shift=label_shift,
            label_scale=label_scale,
        )
    else:
        start = _one_output(source).select(np.zeros(len(splits), dtype=np.int64))
        start = replace(start, label_shift=label_shift, label_scale=label_scale)
    return train_batch(
        start,
        x,
        y,
        training,
        validation,
        phase=phase,
        seeds=seeds,
        freeze_first=source is not None,
        device=device,
        progress=step,
        checkpoint=checkpoint,
    )


def _fit_outputs(x, y, part, phase, seed, reference, device, step, checkpoint) -> Networks:
    """Train the layers of one network with an output for each column of ``y`` (n, K)."""
    n_outputs = y.shape[1]
    label_shift, label_scale = _label_scaling(y[part.train].T, phase)
    input_shift, input_scale = _input_scaling(x[None, part.train], reference, phase)
    start = initialise(
        [seed_from(seed, "output", k) for k in range(n_outputs)],
        input_shift=np.repeat(input_shift, n_outputs, axis=0),
        input_scale=np.repeat(input_scale, n_outputs, axis=0),
        label_shift=label_shift,
        label_scale=label_scale,
    )
    inputs = _scaled_input(start, 0, x)
    scaled_y = torch.from_numpy(((y - label_shift) / label_scale).astype(np.float32))
    rows = [(data[index][None].to(device))
            for index in map(torch.from_numpy, (part.train, part.validation))
            for data in (inputs, scaled_y)]  # fmt: skip
    hidden = {name: getattr(start, name)[:1] for name in _HIDDEN}
    outputs = {
        "output_weight": start.output_weight.T[None], "output_bias": start.output_bias[None]
    }  # fmt: skip
    best = _train_chunk(
        {k: torch.from_numpy(w).clone().to(device) for k, w in (hidden | outputs).items()},
        *rows,
        phase=phase,
        seeds=[seed],
        progress=step,
        checkpoint=checkpoint,
        place="network",
    )
    best = {name: weight.cpu().numpy() for name, weight in best.items()}
    return Networks(
        input_shift=input_shift,
        input_scale=input_scale,
        first_weight=best["first_weight"],
        first_bias=best["first_bias"],
        first_of=np.zeros(n_outputs, dtype=np.int64),
        second_weight=np.repeat(best["second_weight"], n_outputs, axis=0),
        second_bias=np.repeat(best["second_bias"], n_outputs, axis=0),
        output_weight=np.ascontiguousarray(best["output_weight"][0].T),
        output_bias=best["output_bias"][0],
        label_shift=label_shift,
        label_scale=label_scale,
    )


def _one_output(networks: Networks) -> Networks:
    """A stack of one from outputs on the same layers: the mean of their scaled predictions."""
    if len(networks) == 1:
        return networks
    one = networks.select(np.zeros(1, dtype=np.int64))
    return replace(
        one,
        output_weight=networks.output_weight.mean(axis=0, keepdims=True),
        output_bias=networks.output_bias.mean(axis=0, keepdims=True),
    )


def _label_scaling(y: np.ndarray, phase: Phase) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale (M,) of labels (M, n)."""
    if phase.label_scaling is not None:
        shift, scale = phase.label_scaling
        return np.full(len(y), shift), np.full(len(y), scale)
    deviation = y.std(axis=1)
    return y.mean(axis=1), np.where(deviation > 0.0, deviation, 1.0)


def _input_scaling(
    x: np.ndarray, reference: np.ndarray | None, phase: Phase
) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale (M, d) of features (M, n, d)."""
    n_networks, _, n_features = x.shape
    if phase.input_floor is None:
        return np.zeros((n_networks, n_features)), np.ones((n_networks, n_features))
    if reference is not None:
        x = np.broadcast_to(reference, (n_networks, *reference.shape))
    return x.mean(axis=1), np.maximum(x.std(axis=1), phase.input_floor)


def train_batch(
    networks: Networks,
    x: np.ndarray,
    y: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    *,
    phase: Phase,
    seeds: Sequence[int],
    freeze_first: bool = False,
    device: str = "cpu",
    progress: Callable[[int], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Networks:
    """Train every network of a stack on its own rows, together.

    Parameters
    ----------
    networks : Networks
        M networks to start from.
    x : ndarray, shape (n, d)
        Features, before the networks' own scaling.
    y : ndarray, shape (n,) or (M, n)
        Labels, before the networks' own scaling.
    train, validation : ndarray of int, shapes (M, n_train), (M, n_validation)
        Rows of each network.
    phase : Phase
        Learning rate, steps, early stopping.
    seeds : sequence of int
        One per network: source of its batches and dropout masks.
    freeze_first : bool
        Keep the first layers as they are; their output is then computed only once.
    device : str
        ``"cpu"`` or ``"cuda"``; masks and batches differ between the two.
    progress : callable, optional
        Called with the number of model steps just finished (skipped ones included), so that a
        caller who knows the total of ``M * phase.max_steps`` can report.
    checkpoint : Checkpoint, optional
        Keeps what has been trained so far, about once a minute. The training goes on from what it
        holds, to the same bits: it must be of the same networks, data and phase.

    Returns
    -------
    Networks
        The weights with the lowest validation error of each network; the given stack is unchanged.

    Notes
    -----
    The loss is the mean squared error of the scaled label. On the CPU the stack is worked off in
    chunks that fit the cache; on a GPU it is one chunk.
    """
    if not freeze_first and len(networks.first_weight) != len(networks):
        raise ValueError("networks that share a first layer can be trained only with it frozen")
    n, m = len(x), len(networks)
    scaled_y = np.broadcast_to(y, (m, n)) - networks.label_shift[:, None]
    scaled_y = (scaled_y / networks.label_scale[:, None]).astype(np.float32)
    if freeze_first:
        with torch.no_grad():
            inputs = [
                torch.relu(_first_layer(networks, f, x)) for f in range(len(networks.first_weight))
            ]
    else:
        inputs = [_scaled_input(networks, f, x) for f in range(m)]
    size = _CPU_CHUNK if device == "cpu" else m
    layers = _UPPER if freeze_first else _ALL
    trained = {name: np.empty_like(getattr(networks, name)) for name in layers}
    for start in range(0, m, size):
        chunk = range(start, min(start + size, m))
        rows = {}
        for part, index in (("train", train), ("validation", validation)):
            part_x = torch.stack(
                [inputs[networks.first_of[i]][torch.from_numpy(index[i])] for i in chunk]
            )
            part_y = torch.stack([torch.from_numpy(scaled_y[i][index[i]]) for i in chunk])
            rows[part] = (part_x.to(device), part_y[..., None].to(device))
        weights = {name: torch.from_numpy(getattr(networks, name)[chunk]) for name in layers}
        for name in _OUTPUT:
            weights[name] = weights[name][..., None]
        best = _train_chunk(
            {name: weight.clone().to(device) for name, weight in weights.items()},
            *rows["train"],
            *rows["validation"],
            phase=phase,
            seeds=[seeds[i] for i in chunk],
            progress=progress,
            checkpoint=checkpoint,
            place=f"networks-{start}",
        )
        for name, weight in best.items():
            weight = weight[..., 0] if name in _OUTPUT else weight
            trained[name][chunk] = weight.cpu().numpy()
    return replace(networks, **trained)


_OUTPUT = ("output_weight", "output_bias")
_UPPER = ("second_weight", "second_bias", *_OUTPUT)
_HIDDEN = ("first_weight", "first_bias", "second_weight", "second_bias")
_ALL = (*_HIDDEN, *_OUTPUT)


def _scaled_input(networks: Networks, first: int, x: np.ndarray) -> torch.Tensor:
    scaled = (x - networks.input_shift[first]) / networks.input_scale[first]
    return torch.from_numpy(scaled.astype(np.float32))


def _rectified(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A hidden layer, (n, m)."""
    return np.maximum(row_products(x, weight, bias), np.float32(0.0))


def _first_layer(networks: Networks, first: int, x: np.ndarray) -> torch.Tensor:
    """First hidden layer before its rectifier, (n, 512)."""
    return torch.addmm(
        torch.from_numpy(networks.first_bias[first]),
        _scaled_input(networks, first, x),
        torch.from_numpy(networks.first_weight[first]),
    )


def _loss(weights: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean squared error (C,) of stacked networks for inputs (C, n, d), or for first layers
    (C, n, 512), and labels (C, n, K)."""
    if "first_weight" in weights:
        x = torch.baddbmm(weights["first_bias"][:, None], x, weights["first_weight"]).relu_()
    hidden = torch.baddbmm(weights["second_bias"][:, None], x, weights["second_weight"]).relu_()
    output = torch.baddbmm(weights["output_bias"][:, None], hidden, weights["output_weight"])
    return (output - y).square().mean(dim=(1, 2))


class _Gradients:
    """Gradients of the mean squared errors of stacked networks, in the ``grad`` of the weights.

    Backpropagation by hand into arrays that stay: autograd allocates all of them at every step,
    which for networks as small as these takes longer than the products.
    """

    def __init__(self, weights: dict, n_rows: int):
        self.weights, (n, n_outputs) = weights, weights["output_bias"].shape
        some = weights["output_bias"]
        self.first = some.new_empty(n, n_rows, HIDDEN[0]) if "first_weight" in weights else None
        self.to_first = None if self.first is None else torch.empty_like(self.first)
        self.second = some.new_empty(n, n_rows, HIDDEN[1])
        self.to_second = torch.empty_like(self.second)
        self.output = some.new_empty(n, n_rows, n_outputs)
        for weight in weights.values():
            weight.grad = torch.empty_like(weight)

    def __call__(self, x: torch.Tensor, y: torch.Tensor, mask: torch.Tensor | None) -> None:
        """For inputs (C, n, d), or first layers (C, n, 512), labels (C, n, K) and dropout."""
        weights = self.weights
        if self.first is None:
            first = x
        else:
            bias = weights["first_bias"][:, None]
            first = torch.baddbmm(bias, x, weights["first_weight"], out=self.first).relu_()
        bias = weights["second_bias"][:, None]
        second = torch.baddbmm(bias, first, weights["second_weight"], out=self.second).relu_()
        if mask is not None:
            second.mul_(mask)
        bias = weights["output_bias"][:, None]
        output = torch.baddbmm(bias, second, weights["output_weight"], out=self.output)
        output.sub_(y).mul_(2.0 / y[0].numel())

        torch.sum(output, 1, out=weights["output_bias"].grad)
        torch.bmm(second.transpose(1, 2), output, out=weights["output_weight"].grad)
        torch.bmm(output, weights["output_weight"].transpose(1, 2), out=self.to_second)
        _only_where_positive(self.to_second, second)
        if mask is not None:
            self.to_second.mul_(mask)
        torch.sum(self.to_second, 1, out=weights["second_bias"].grad)
        torch.bmm(first.transpose(1, 2), self.to_second, out=weights["second_weight"].grad)
        if self.first is None:
            return
        torch.bmm(self.to_second, weights["second_weight"].transpose(1, 2), out=self.to_first)
        _only_where_positive(self.to_first, first)
        torch.sum(self.to_first, 1, out=weights["first_bias"].grad)
        torch.bmm(x.transpose(1, 2), self.to_first, out=weights["first_weight"].grad)


def _only_where_positive(gradient: torch.Tensor, activation: torch.Tensor) -> None:
    """A rectifier's derivative times ``gradient``, in place."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0.0, grad_input=gradient)


class _Randomness:
    """Batches and dropout masks of stacked networks, each from the network's own generator."""

    def __init__(self, seeds: Sequence[int], n_rows: int, phase: Phase, device: torch.device):
        full = phase.batch_size is None or phase.batch_size >= n_rows
        self.batch = None if full else phase.batch_size
        self.n_rows, self.keep, self.device = n_rows, 1.0 - phase.dropout, device
        shape = (self.batch or n_rows, HIDDEN[1])
        self.block = max(1, min(50, _MASK_BLOCK // (len(seeds) * shape[0] * shape[1])))
        self.shape = (self.block, *shape)
        self.masks, self.used = None, self.block
        self.generators = {
            purpose: [self._generator(seed, purpose) for seed in seeds]
            for purpose in ("dropout", "batch")
        }
        # Rows left of the current pass through the data, per network.
        self.order = [torch.empty(0, dtype=torch.int64, device=device) for _ in seeds]

    def _generator(self, seed: int, purpose: str) -> torch.Generator:
        # torch takes seeds below 2**63.
        return torch.Generator(self.device).manual_seed(seed_from(seed, purpose) >> 1)

    def keep_networks(self, kept: Sequence[int]) -> None:
        """Forget the networks that are not in ``kept``."""
        for purpose, generators in self.generators.items():
            self.generators[purpose] = [generators[i] for i in kept]
        self.order = [self.order[i] for i in kept]
        if self.masks is not None:
            self.masks = self.masks[kept]

    def state(self) -> dict:
        """Where the streams are, for :meth:`restore`."""
        generators = {k: [g.get_state() for g in v] for k, v in self.generators.items()}
        return {
            "generators": generators, "order": self.order, "masks": self.masks, "used": self.used
        }  # fmt: skip

    def restore(self, state: dict) -> None:
        """Go on from where :meth:`state` was taken."""
        for purpose, states in state["generators"].items():
            for generator, at in zip(self.generators[purpose], states, strict=True):
                generator.set_state(at)
        self.order = [order.to(self.device) for order in state["order"]]
        self.masks = None if state["masks"] is None else state["masks"].to(self.device)
        self.used = state["used"]

    def mask(self) -> torch.Tensor | None:
        """Dropout of one step, (C, n, 128): 0 or 1 / keep."""
        if self.keep == 1.0:
            return None
        if self.used == self.block:
            self.masks = torch.stack(
                [
                    torch.rand(self.shape, generator=generator, device=self.device) < self.keep
                    for generator in self.generators["dropout"]
                ]
            )
            self.used = 0
        self.used += 1
        return self.masks[:, self.used - 1].to(torch.float32).mul_(1.0 / self.keep)

    def rows(self) -> torch.Tensor | None:
        """Rows of one step, (C, batch), without repetition in a pass; ``None``: all of them."""
        if self.batch is None:
            return None
        rows = []
        for i, generator in enumerate(self.generators["batch"]):
            if len(self.order[i]) < self.batch:
                self.order[i] = torch.randperm(self.n_rows, generator=generator, device=self.device)
            rows.append(self.order[i][: self.batch])
            self.order[i] = self.order[i][self.batch :]
        return torch.stack(rows)


@torch.no_grad()
def _train_chunk(
    weights, x, y, validation_x, validation_y, *, phase, seeds, progress, checkpoint, place
) -> dict:
    """Train stacked networks on one device; returns the best weights of each.

    A network that stops early leaves the stack, so that the rest get all of the machine.
    """
    n_networks = len(x)
    # the streams of random numbers of a CPU and a GPU differ: neither goes on where the other was
    place = f"{place}-{x.device.type}"
    random = _Randomness(seeds, x.shape[1], phase, x.device)
    best = {name: weight.clone() for name, weight in weights.items()}
    best_loss = torch.full((n_networks,), torch.inf, device=x.device)
    waited = torch.zeros(n_networks, dtype=torch.int64, device=x.device)
    active = torch.arange(n_networks, device=x.device)
    reported = done = 0
    saved = _load(checkpoint, place, x.device)
    if saved:
        done, active, waited = saved["step"], saved["active"], saved["waited"]
        best, best_loss = saved["best"], saved["best_loss"]
        x, y = x[active], y[active]
        validation_x, validation_y = validation_x[active], validation_y[active]
        weights = saved["weights"]
    optimizer = _optimizer(weights, phase)
    if saved:
        for name, weight in weights.items():
            optimizer.state[weight] = saved["moments"][name]
        random.keep_networks(active.tolist())
        random.restore(saved["random"])
    n_rows = random.batch or x.shape[1]
    gradients = _Gradients(weights, n_rows)
    last_saved = time.monotonic()
    for step in range(done + 1, phase.max_steps + 1):
        if len(active) == 0:
            break
        if phase.anneal:
            share = (step - 1) / phase.max_steps
            optimizer.param_groups[0]["lr"] = (
                phase.learning_rate * 0.5 * (1.0 + float(np.cos(np.pi * share)))
            )
        rows = random.rows()
        if rows is None:
            step_x, step_y = x, y
        else:
            step_x, step_y = (
                torch.stack([part[of] for part, of in zip(data, rows, strict=True)])
                for data in (x, y)
            )
        gradients(step_x, step_y, random.mask())
        optimizer.step()
        if step % phase.validate_every and step != phase.max_steps:
            continue
        loss = _loss(weights, validation_x, validation_y)
        better = loss < best_loss[active]
        waited = torch.where(better, 0, waited + 1)
        best_loss[active[better]] = loss[better]
        for name, weight in weights.items():
            best[name][active[better]] = weight[better]
        if phase.patience is not None and bool((waited > phase.patience).any()):
            kept = (waited <= phase.patience).nonzero()[:, 0]
            active, waited = active[kept], waited[kept]
            x, y = x[kept], y[kept]
            validation_x, validation_y = validation_x[kept], validation_y[kept]
            weights, optimizer = _keep_weights(weights, optimizer, kept, phase)
            gradients = _Gradients(weights, n_rows)
            random.keep_networks(kept.tolist())
        if checkpoint is not None and (
            time.monotonic() - last_saved > _CHECKPOINT_S
            or (step == phase.max_steps or len(active) == 0)
        ):
            state = {
                "step": step, "active": active, "waited": waited, "best": best,
                "best_loss": best_loss, "random": random.state(),
                "weights": weights,
                "moments": {name: optimizer.state[weight] for name, weight in weights.items()},
            }  # fmt: skip
            buffer = io.BytesIO()
            torch.save(state, buffer)
            checkpoint.save(place, buffer.getvalue())
            last_saved = time.monotonic()
        if progress is not None:
            # A network that stops has its remaining steps behind it, too.
            finished = len(active) * step + (n_networks - len(active)) * phase.max_steps
            progress(finished - reported)
            reported = finished
    return best


def _load(checkpoint: Checkpoint | None, place: str, device: torch.device) -> dict | None:
    """What was saved, or None where there is nothing that can be read."""
    data = None if checkpoint is None else checkpoint.load(place)
    if data is None:
        return None
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        logger.warning("training starts anew, for its checkpoint cannot be read: %s", error)
        return None
    return _moved(state, device, keep=("generators",))


def _moved(state, device: torch.device, keep: tuple = ()):
    """The tensors of a nested state on a device; states of generators stay on the CPU."""
    if isinstance(state, dict):
        return {k: v if k in keep else _moved(v, device, keep) for k, v in state.items()}
    return state.to(device) if isinstance(state, torch.Tensor) else state


def _optimizer(weights: dict, phase: Phase) -> torch.optim.Optimizer:
    return torch.optim.Adam(list(weights.values()), lr=phase.learning_rate, fused=True)


def _keep_weights(weights, optimizer, kept, phase):
    """The weights and Adam moments of the networks ``kept``."""
    smaller = {name: weight[kept] for name, weight in weights.items()}
    successor = _optimizer(smaller, phase)
    for name, weight in weights.items():
        state = optimizer.state[weight]
        successor.state[smaller[name]] = {
            "step": state["step"],
            "exp_avg": state["exp_avg"][kept],
            "exp_avg_sq": state["exp_avg_sq"][kept],
        }
    return smaller, successor
