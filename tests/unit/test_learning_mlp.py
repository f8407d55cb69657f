from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from poreflux.learning.learners import mlp
from poreflux.learning.scoring import r2
from poreflux.learning.splits import draws, split

torch.set_num_threads(1)

SHORT = replace(mlp.PROTOCOLS["fast"].direct, learning_rate=1e-3, max_steps=40, patience=None)
LEARN = replace(SHORT, max_steps=250, dropout=0.0, input_floor=1e-3, batch_size=64)


def data(n=200, d=6, seed=0):
    x = np.random.default_rng(seed).uniform(0, 1, (n, d))
    return x, np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] - 2 * x[:, 3]


def fit(x, y, splits, phase=SHORT, **options):
    options.setdefault("seeds", list(range(len(splits))))
    return mlp.train(x, y, splits, phase=phase, **options)


@pytest.mark.slow("trains 9 s")
@pytest.mark.parametrize("batch_size", [None, 32])
def test_a_model_learns_the_same_alone_and_in_a_batch(batch_size):
    x, y = data()
    splits = draws(len(x), 60, 10, seed=1)
    phase = replace(SHORT, batch_size=batch_size, max_steps=20)
    together = fit(x, y, splits, phase).predict(x)
    for m in (0, 9):
        alone = fit(x, y, [splits[m]], phase, seeds=[m]).predict(x)[0]
        # float32 sums in another order, amplified by 20 steps.
        np.testing.assert_allclose(together[m], alone, atol=2e-3)
    assert np.abs(together[0] - together[9]).max() > 0.05


def test_a_model_that_stops_leaves_the_others_undisturbed():
    x, y = data()
    splits = draws(len(x), 60, 6, seed=1)
    stopping = replace(SHORT, max_steps=100, patience=2, validate_every=5, learning_rate=1e-2)
    steps = []
    together = fit(x, y, splits, stopping, step=steps.append)
    assert sum(steps) == 6 * 100
    alone = [fit(x, y, [s], stopping, seeds=[m]) for m, s in enumerate(splits)]
    for m, model in enumerate(alone):
        np.testing.assert_allclose(together.predict(x)[m], model.predict(x)[0], atol=2e-2)


def test_training_is_repeatable_to_the_bit():
    x, y = data()
    splits = draws(len(x), 60, 3, seed=1)
    assert fit(x, y, splits).to_bytes() == fit(x, y, splits).to_bytes()


def test_training_is_adam_on_the_mean_squared_error():
    """Three steps of a stack against the same network written with torch.nn."""
    x, y = data(50)
    splits = draws(50, 50, 2, seed=0)
    phase = replace(LEARN, max_steps=3, validate_every=3, batch_size=None)
    ours = fit(x, y, splits, phase)
    start = mlp.initialise(
        [0, 1],
        input_shift=ours.input_shift,
        input_scale=ours.input_scale,
        label_shift=ours.label_shift,
        label_scale=ours.label_scale,
    )
    for m, part in enumerate(splits):
        net = torch.nn.Sequential(
            *(torch.nn.Linear(6, 512), torch.nn.ReLU(), torch.nn.Linear(512, 128)),
            *(torch.nn.ReLU(), torch.nn.Linear(128, 1)),
        )
        with torch.no_grad():
            for layer, weight, bias in (
                (net[0], start.first_weight[m], start.first_bias[m]),
                (net[2], start.second_weight[m], start.second_bias[m]),
                (net[4], start.output_weight[m][:, None], start.output_bias[m : m + 1]),
            ):
                layer.weight.copy_(torch.from_numpy(weight.T))
                layer.bias.copy_(torch.from_numpy(bias))
        scaled = (x[part.train] - ours.input_shift[m]) / ours.input_scale[m]
        rows = torch.tensor(scaled, dtype=torch.float32)
        label = (y[part.train] - ours.label_shift[m]) / ours.label_scale[m]
        target = torch.tensor(label, dtype=torch.float32)[:, None]
        adam = torch.optim.Adam(net.parameters(), lr=phase.learning_rate)
        for _ in range(3):
            adam.zero_grad()
            torch.nn.functional.mse_loss(net(rows), target).backward()
            adam.step()
        np.testing.assert_allclose(
            ours.second_weight[m], net[2].weight.detach().numpy().T, atol=1e-5
        )


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_are_those_of_autograd(frozen, dropout):
    generator = torch.Generator().manual_seed(5)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weights = {
        "second_weight": normal(3, 512, 128) / 20, "second_bias": normal(3, 128),
        "output_weight": normal(3, 128, 2), "output_bias": normal(3, 2),
    }  # fmt: skip
    if not frozen:
        weights |= {"first_weight": normal(3, 6, 512), "first_bias": normal(3, 512)}
    x, y = normal(3, 20, 512 if frozen else 6), normal(3, 20, 2)
    mask = (normal(3, 20, 128) > 0).to(torch.float64) * 2 if dropout else None
    mlp._Gradients(weights, 20)(x, y, mask)

    free = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    first = x if frozen else torch.relu(x @ free["first_weight"] + free["first_bias"][:, None])
    second = torch.relu(first @ free["second_weight"] + free["second_bias"][:, None])
    second = second if mask is None else second * mask
    output = second @ free["output_weight"] + free["output_bias"][:, None]
    sum(torch.nn.functional.mse_loss(output[m], y[m]) for m in range(3)).backward()
    for name, weight in weights.items():
        torch.testing.assert_close(weight.grad, free[name].grad, rtol=1e-10, atol=1e-12)


def test_a_smooth_function_is_learnt():
    x, y = data(400)
    part = split(400, seed=0)
    model = fit(x, y, [part], LEARN)
    assert r2(y[part.test], model.predict(x[part.test])[0]) > 0.95


def test_outputs_on_the_same_layers_learn_their_own_labels():
    x, y = data(400)
    labels = np.column_stack([y, 50.0 - 20.0 * y, x[:, 4] ** 2])
    part = split(400, seed=0)
    networks = fit(x, labels, [part], LEARN)
    assert len(networks) == 3 and len(networks.first_weight) == 1
    assert (networks.second_weight == networks.second_weight[0]).all()
    for predicted, known in zip(networks.predict(x), labels.T, strict=True):
        assert r2(known[part.test], predicted[part.test]) > 0.9
    again = fit(x, labels, [part], LEARN)
    assert again.to_bytes() == networks.to_bytes()
    # fine-tuning starts from the mean of the outputs, and not at all where nothing is learnt
    still = replace(SHORT, max_steps=1, learning_rate=0.0)
    (moved,) = fit(x, y, [part], still, source=networks).predict(x)
    scaled = (networks.predict(x) - networks.label_shift[:, None]) / networks.label_scale[:, None]
    expected = scaled.mean(axis=0) * y[part.train].std() + y[part.train].mean()
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_best_validation_weights_are_kept():
    """A learning rate that blows up after the first look must not spoil the result."""
    x, y = data(60)
    part = split(60, seed=0)
    good = fit(x, y, [part], replace(LEARN, max_steps=50, validate_every=10))
    wild = fit(x, y, [part], replace(LEARN, max_steps=50, validate_every=10, learning_rate=3.0))

    def error(model):
        return np.square(model.predict(x[part.validation])[0] - y[part.validation]).mean()

    assert error(good) < y.var() and np.isfinite(error(wild))


def test_frozen_layer_stays_bit_for_bit_and_the_rest_moves():
    x, y = data()
    source = fit(x, y, [split(len(x), seed=0)])
    tuned = fit(x, y**2, draws(len(x), 60, 3, seed=1), source=source)
    assert len(tuned) == 3 and len(tuned.first_weight) == 1
    for name in ("first_weight", "first_bias", "input_shift", "input_scale"):
        np.testing.assert_array_equal(getattr(tuned, name), getattr(source, name))
    for m in range(3):
        assert np.abs(tuned.second_weight[m] - source.second_weight[0]).max() > 1e-3


@pytest.mark.slow("trains 3 s")
def test_transfer_helps_where_it_must():
    """Many rows of a rugged function; few of the same function scaled and shifted."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, (1100, 4))
    y = np.sin(9 * x[:, 0]) * np.cos(7 * x[:, 1]) + x[:, 2]
    source = fit(x[:800], y[:800], [split(800, seed=0)], replace(LEARN, max_steps=600))
    few, target = x[800:], 3 * y[800:] - 1
    splits = draws(300, 60, 5, seed=1)
    direct = fit(few, target, splits, LEARN)
    tuned = fit(few, target, splits, LEARN, source=source)
    gain = r2(target, tuned.predict(few)) - r2(target, direct.predict(few))
    assert np.median(gain) > 0.1


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_masks_have_the_right_share_and_mean(dropout):
    random = mlp._Randomness([1, 2], 40, replace(SHORT, dropout=dropout), torch.device("cpu"))
    if dropout == 0.0:
        assert random.mask() is None
        return
    masks = torch.stack([random.mask() for _ in range(60)])
    assert masks.shape == (60, 2, 40, 128)
    assert set(masks.unique().tolist()) == {0.0, 2.0}
    # 614,400 coin tosses: 1 +- 0.0013.
    assert abs(masks.mean().item() - 1.0) < 0.01
    assert not torch.equal(masks[0], masks[1]) and not torch.equal(masks[:, 0], masks[:, 1])


def test_batches_pass_through_the_data_before_repeating():
    random = mlp._Randomness([1], 100, replace(SHORT, batch_size=25), torch.device("cpu"))
    seen = torch.cat([random.rows()[0] for _ in range(4)])
    assert sorted(seen.tolist()) == list(range(100))


def test_networks_survive_bytes_and_selection():
    x, y = data()
    source = fit(x, y, [split(len(x), seed=0)])
    networks = fit(x, y, draws(len(x), 60, 3, seed=1), source=source)
    copy = mlp.from_bytes(networks.to_bytes())
    for field in fields(mlp.Networks):
        np.testing.assert_array_equal(getattr(copy, field.name), getattr(networks, field.name))
    picked = networks.select([2, 0])
    np.testing.assert_array_equal(picked.predict(x), networks.predict(x)[[2, 0]])


def test_shared_first_layers_can_only_be_trained_frozen():
    x, y = data()
    networks = fit(x, y, [split(len(x), seed=0)]).select([0, 0])
    rows = np.zeros((2, 4), dtype=int)
    with pytest.raises(ValueError, match="frozen"):
        mlp.train_batch(networks, x, y, rows, rows, phase=SHORT, seeds=[0, 1])


def test_protocols_say_what_was_published():
    paper, released = mlp.PROTOCOLS["paper"], mlp.PROTOCOLS["released"]
    for phase in (paper.pretrain, paper.direct, paper.finetune, released.pretrain):
        assert (phase.learning_rate, phase.max_steps, phase.patience) == (1e-5, 200_000, None)
    assert paper.pretrain.batch_size == 1000 and paper.direct.batch_size is None
    assert paper.pretrain.dropout == 0.5 and released.pretrain.dropout == 0.0
    assert released.direct.patience == released.finetune.patience == 20
    assert released.direct.validate_every == 1000


class Kept(dict):
    """A checkpoint in memory, of which a copy can be taken."""

    def load(self, name):
        return self.get(name)

    def save(self, name, data):
        self[name] = data


@pytest.mark.parametrize("kind", ["batches", "early stopping", "frozen"])
def test_an_interrupted_training_goes_on_to_the_same_bits(kind, monkeypatch):
    monkeypatch.setattr(mlp, "_CHECKPOINT_S", 0.0)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(80, 6))
    y = x[:, 0] + 0.3 * rng.normal(size=80)
    splits = [split(80, seed=k) for k in range(3)]
    phase = replace(mlp.PROTOCOLS["fast"].direct, max_steps=120, patience=3)
    if kind == "batches":
        phase = replace(phase, batch_size=16, patience=None, anneal=True)
    options = {"phase": phase, "seeds": [1, 2, 3]}
    if kind == "frozen":
        options["source"] = mlp.train(x, 2 * y, splits[:1], phase=phase, seeds=[9])
    whole = mlp.train(x, y, splits, **options)

    class KilledError(Exception):
        pass

    kept, looks = Kept(), []

    def killed(steps):
        looks.append(steps)
        if len(looks) in (2, 4, 5):
            raise KilledError

    for _ in range(3):
        with pytest.raises(KilledError):
            mlp.train(x, y, splits, **options, checkpoint=kept, step=killed)
    saved = dict(kept)
    resumed = mlp.train(x, y, splits, **options, checkpoint=kept)
    assert resumed.to_bytes() == whole.to_bytes()
    # it did go on, and did not start anew
    assert len(saved) == 1 and saved != kept
    # what is broken is not used
    broken = Kept({name: data[:100] for name, data in saved.items()})
    assert mlp.train(x, y, splits, **options, checkpoint=broken).to_bytes() == whole.to_bytes()


def test_equal_labels_have_no_r2():
    # the mean of three times 0.1 is not 0.1
    for value in (0.1, 0.7, 2.0):
        assert np.isnan(r2(np.full(3, value), np.array([0.1, 0.2, 0.3])))
    assert r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])) == 1.0
