"""The registry of learners: what each file declares, and that a file is all a learner needs."""

import ast
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from test_learning_study import series, synthetic, uptake_label

from poreflux.base.errors import DataError
from poreflux.data.labels import DIFFUSIVITY, ISOTHERM, UPTAKE
from poreflux.learning import learners, study
from poreflux.learning.learners import algorithms, get_learner, mlp
from poreflux.learning.stack import Stack
from poreflux.learning.trained import Pretrained, TrainedSize
from poreflux.run import training
from poreflux.store import Store
from poreflux.store import code as code_module

NEAREST = """
from dataclasses import dataclass
import numpy as np
from poreflux.learning.stack import MemberStack, with_predictions

LEARNER = {"packages": ("numpy",)}

@dataclass(frozen=True)
class Rows:
    x: np.ndarray
    y: np.ndarray

    def predict(self, x):
        return self.y[np.square(x[:, None] - self.x).sum(axis=2).argmin(axis=1)]

    def arrays(self):
        return vars(self)

    @classmethod
    def from_arrays(cls, arrays):
        return cls(**arrays)

class Nearest(MemberStack):
    member = Rows

from_bytes = Nearest.from_bytes

def fit(x, y, splits, *, seeds, source=None, step=lambda n: None):
    x = with_predictions(x, source)
    members = []
    for part in splits:
        members.append(Rows(x[part.train], y[part.train]))
        step(1)
    return Nearest(tuple(members), source)
"""


@pytest.mark.parametrize("algorithm", algorithms())
def test_a_file_holds_what_the_registry_and_the_study_ask_for(algorithm):
    learner = get_learner(algorithm)
    module = learner.load()
    assert learner == learners.Learner(algorithm, "paper55", **module.LEARNER)
    assert module.__name__ == learner.module
    assert callable(module.fit) and issubclass(module.from_bytes.__self__, Stack)
    assert hasattr(module, "has_gpu") == learner.uses_gpu


def test_names_of_learners():
    assert set(algorithms()) == {
        *("ensemble", "gp", "gp-joint", "gp-line", "mlp", "xgboost", "xgboost-weighted")
    }
    learner = get_learner("xgboost-weighted+log55")
    assert (learner.algorithm, learner.feature_set) == ("xgboost-weighted", "log55")
    assert learner.module == "poreflux.learning.learners.xgboost_weighted"
    for wrong in ("knn", "xgboost_weighted", "__init__", ""):
        with pytest.raises(DataError, match="there are: ensemble, gp, gp-joint, gp-line, mlp"):
            get_learner(wrong)


def test_who_learns_an_isotherm_and_where():
    at_once = [name for name in algorithms() if get_learner(name).takes_isotherm]
    never = [name for name in algorithms() if not get_learner(name).transfers_isotherms]
    assert at_once == ["mlp"] and never == ["gp-joint", "xgboost-weighted"]
    for name in algorithms():
        assert get_learner(name).device("cpu") == "cpu"
        assert get_learner(name).device("cuda") == ("cuda" if name == "mlp" else "cpu")


def test_a_gpu_is_looked_for_where_it_is_used(monkeypatch):
    monkeypatch.setattr(mlp.torch.cuda, "is_available", lambda: True)
    assert get_learner("mlp").device("auto") == "cuda"
    assert get_learner("gp").device("auto") == "cpu"
    monkeypatch.setattr(mlp.torch.cuda, "is_available", lambda: False)
    assert get_learner("mlp").device("auto") == "cpu"


def test_the_published_scalings_are_for_labels_of_ours():
    assert {UPTAKE, ISOTHERM} == set(mlp.PUBLISHED_LABELS["pretrain"])
    assert mlp.PUBLISHED_LABELS["direct"] == mlp.PUBLISHED_LABELS["finetune"] == (DIFFUSIVITY,)


def loaded_by(code, *modules):
    """Which of some modules a fresh interpreter has loaded after a piece of code."""
    asked = f"{code}\nimport sys\nprint(*[m for m in {modules} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    return done.stdout.split()


HEAVY = ("torch", "xgboost", "sklearn")


def test_nothing_is_loaded_that_no_learner_asked_for():
    rooms = (
        "poreflux.learning.study", "poreflux.learning.trained", "poreflux.learning.importance",
        "poreflux.learning.predict", "poreflux.run.training", "poreflux.run.usage",
        "poreflux.synthesis.table",
    )  # fmt: skip
    assert loaded_by(f"import {', '.join(rooms)}", *HEAVY) == []


def test_what_learners_say_of_themselves_is_known_without_any_library():
    ask = (
        "import poreflux.learning, poreflux.synthesis\n"
        "from poreflux.learning.learners import algorithms, get_learner\n"
        "for name in algorithms(): get_learner(f'{name}+mobility').packages"
    )
    assert loaded_by(ask, *HEAVY, "pandas", "numpy", "scipy") == []


@pytest.mark.slow("starts Python once per learner")
def test_a_learner_loads_its_own_libraries_alone():
    load = "from poreflux.learning.learners import get_learner\nfor n in {}: get_learner(n).load()"
    others = [name for name in algorithms() if name != "mlp"]
    assert loaded_by(load.format(others), "torch") == []
    assert loaded_by(load.format(["mlp"]), *HEAVY) == ["torch"]


@pytest.fixture
def nearest(tmp_path, monkeypatch):
    """A learner more, in a file of its own."""
    (tmp_path / "nearest.py").write_text(NEAREST)
    monkeypatch.setattr(learners, "FOLDER", tmp_path)
    monkeypatch.setattr(learners, "__path__", [str(tmp_path)])
    yield "nearest"
    sys.modules.pop("poreflux.learning.learners.nearest", None)
    del learners.nearest


def test_a_file_is_all_that_a_new_learner_needs(nearest):
    assert algorithms() == ("nearest",)
    source, source_label = synthetic(60, seed=1, prefix="source")
    target, target_label = synthetic(40, seed=2)
    options = {"learner": "nearest", "protocol": "fast", "seed": 0}
    sources = []
    for label, pressure in (("uptake_1bar", 1.0), ("uptake_100bar", 100.0)):
        values = series(source, uptake_label(source_label, pressure))
        sources.append(study.pretrain(source, values, label, **options))
    sources.append(study.join_sources(sources, ISOTHERM))
    diffusion = series(target, target_label)
    scores, models = study.run_size(target, diffusion, sources, 30, 12, **options)
    assert len(scores) == 12 * 4 and scores["r2"].notna().all()
    trained = TrainedSize.from_bytes(models)
    assert trained.to_bytes() == models
    assert [len(group.model) for group in trained.groups] == [12] * 4
    # the last source hands over both uptakes
    assert [m.model.members[0].x.shape[1] for m in trained.groups] == [15, 16, 16, 17]
    last = trained.groups[-1]
    x = np.random.default_rng(0).uniform(size=(5, 15))
    np.testing.assert_array_equal(last.model.select([7]).predict(x)[0], last.model.predict(x)[7])
    assert Pretrained.from_bytes(sources[0].to_bytes()) == sources[0]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A copy of the library whose code is digested in place of ours."""
    for room in ("base", "data", "learning"):
        shutil.copytree(code_module.PACKAGE / room, tmp_path / room)
    shutil.copy(code_module.PACKAGE / "__init__.py", tmp_path)
    monkeypatch.setattr(code_module, "PACKAGE", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    code_module._module.cache_clear()


# What is edited, and whose models it voids.
EVERYBODYS = set(algorithms())
EDITS = {
    "learners/mlp.py": {"mlp"},
    "learners/gp.py": {"gp", "gp-line", "gp-joint", "ensemble"},
    "learners/gp_joint.py": {"gp-joint"},
    "learners/gp_line.py": {"gp-line"},
    "learners/xgboost.py": {"xgboost", "xgboost-weighted", "ensemble"},
    "learners/xgboost_weighted.py": {"xgboost-weighted"},
    "learners/ensemble.py": {"ensemble"},
    "variants.py": {"xgboost-weighted"},
    "interpolation.py": {"xgboost-weighted"},
    "boosting.py": {"xgboost", "xgboost-weighted", "ensemble"},
    "learners/__init__.py": EVERYBODYS,
    "stack.py": EVERYBODYS,
    "container.py": EVERYBODYS,
    "splits.py": EVERYBODYS,
    "scoring.py": EVERYBODYS,
    "trained.py": EVERYBODYS,
    "advisor.py": EVERYBODYS,
    "study.py": EVERYBODYS,
    "choice.py": set(),
    "few_labels.py": set(),
    "importance.py": set(),
    "kriging.py": set(),
    "predict.py": set(),
}


def test_an_edit_voids_the_models_that_it_could_change_and_no_others(library):
    folder = library / "learning"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}
    assert files - {"__init__.py"} == set(EDITS)
    before = {name: training._code(name) for name in algorithms()}
    assert len(set(before.values())) == len(before)
    for file, voided in EDITS.items():
        path = folder / file
        text = path.read_text()
        path.write_text(text + "\nEDITED = True\n")
        forget()
        changed = {name for name in algorithms() if training._code(name) != before[name]}
        assert changed == voided, file
        path.write_text(text)
        forget()
    assert {name: training._code(name) for name in algorithms()} == before


def test_ingredients_name_the_learners_code_and_packages(library):
    features, label = synthetic(20)
    values = series(features, label)
    given = (features, values, "gp", "fast", 0, 10, False, "diffusivity")
    old = training.part_ingredients(*given)("", range(3))
    assert old.code == training._code("gp") and set(old.engines) == {"scikit-learn"}
    source = training.source_ingredients(features, features, "gp", "fast", 0)
    assert source("uptake_1bar", values).code == old.code
    path = library / "learning" / "learners" / "gp.py"
    text = path.read_text()
    for change, same in (("# A word about code is no code.", True), ("EDITED = True", False)):
        path.write_text(f"{text}\n{change}\n")
        forget()
        assert (training.part_ingredients(*given)("", range(3)).key == old.key) == same


def test_every_import_of_a_learner_by_name_is_the_registrys():
    """A module loaded by a name put together at run time escapes the digests: one place does it."""
    found = {
        path.relative_to(code_module.PACKAGE / "learning").as_posix()
        for path in (code_module.PACKAGE / "learning").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "import_module"
    }
    assert found == {"learners/__init__.py"}


def test_an_isotherm_is_pretrained_as_the_learner_takes_it(tmp_path):
    features, label = synthetic(30)
    parts = [
        pd.DataFrame({"name": features["name"], "content_hash": features["content_hash"],
                      "label": f"uptake_{p:g}bar", "value": uptake_label(label, p), "unit": ""})
        for p in (1.0, 100.0)
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    for name in algorithms():
        labels = [label for label, _ in training.trained_for(ISOTHERM, table, name)]
        assert labels == ([ISOTHERM] if name == "mlp" else ["uptake_1bar", "uptake_100bar"])
    of_nitrogen = table.assign(label=table["label"] + "_N2", value=2.0 * table["value"])
    both = pd.concat([table, of_nitrogen])
    ((label, values),) = training.trained_for("isotherm_N2", both, "mlp")
    assert label == "isotherm_N2" and list(values) == ["uptake_1bar_N2", "uptake_100bar_N2"]
    (_, known), *_ = training.trained_for(ISOTHERM, both, "mlp")
    np.testing.assert_allclose(values, 2.0 * known)
    store = Store(tmp_path)
    (joined,) = training.pretrained_models(
        features, table, [ISOTHERM], target_features=features, learner="xgboost",
        protocol="fast", seed=0, device="auto", store=store,
    )  # fmt: skip
    assert joined.label == ISOTHERM and len(joined.load()) == 2


def test_models_of_grouped_splits_are_others_and_know_who_belongs_together(tmp_path):
    features, label = synthetic(30)
    labels = pd.DataFrame({
        "name": features["name"], "content_hash": features["content_hash"],
        "label": "diffusivity", "value": label, "unit": "",
    })  # fmt: skip
    groups = features[["name", "content_hash"]].assign(group=[*range(10)] * 3)
    store = Store(tmp_path)

    def trained(splits, table):
        models = training.target_models(
            features, labels, [], label="diffusivity", learner="xgboost", size=15, draws=2,
            protocol="fast", seed=0, device="cpu", store=store, splits=splits, groups=table,
        )  # fmt: skip
        return TrainedSize.from_bytes(models), len(store_entries(store))

    plain, entries = trained("random", None)
    assert plain.frameworks is None and entries == 1
    known, entries = trained("random", groups)
    # what is known of copies changes no model
    assert len(set(known.frameworks)) == 10 and entries == 1
    together, entries = trained("grouped", groups)
    assert entries == 2
    for parts in together.parts:
        assert all(len(set(parts[together.frameworks == g])) == 1 for g in range(10))
    # names of groups do not count, nor those of other structures
    renamed = groups.assign(group=100 - groups["group"])
    other = pd.DataFrame({"name": ["x"], "content_hash": ["f" * 64], "group": [7]})
    again, entries = trained("grouped", pd.concat([other, renamed], ignore_index=True))
    assert entries == 2 and (again.parts == together.parts).all()


def store_entries(store):
    return list(store.entries("finetune"))
