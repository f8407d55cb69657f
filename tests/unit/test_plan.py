"""The plan of a study, without Snakemake: sets, stages, tables, labels, models, checks."""

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from poreflux.base.errors import ConfigError
from poreflux.base.tables import read_table, write_table
from poreflux.run import members
from poreflux.run.config import complete, load
from poreflux.run.intake import read_structures
from poreflux.run.plan import DESCRIPTORS, StudyPlan
from poreflux.store import Store

BOTH = {"source": {"cifs": "tests/data/"}, "target": {"cifs": "tests/data/"}}


@pytest.fixture
def plan_of(root, monkeypatch):
    """Makes a plan from blocks of a configuration, with the repository as working folder."""
    monkeypatch.chdir(root)

    def plan(structures, **blocks):
        # a study has source and target unless it says that it does without
        sets = {"source": None, "target": None} | structures
        return StudyPlan(complete({"study": "s", "structures": sets} | blocks), root)

    return plan


def numbers(path):
    path.write_text("name,d,bulk\nA,1e-9,3\nB,2e-9,4\n")
    return str(path)


def test_a_set_passes_its_stages_and_has_a_table_of_each(plan_of):
    plan = plan_of(structures={"mine": {"cifs": "tests/data/", "stages": ["geometry", "uptake"]}})
    plan.check()
    assert plan.sets["mine"].stages == plan.sets["mine"].computed == ("geometry", "uptake")
    assert plan.tables("uptake") == ["results/s/mine/uptake.parquet"]
    assert plan.tables("energy") == []
    assert plan.tables("structures") == ["results/s/mine/structures.parquet"]


def test_what_is_predicted_for_is_a_set_with_the_descriptors_of_every_learner(plan_of):
    plan = plan_of(structures=BOTH, predict={"cifs": "tests/data/*.cif"})
    assert plan.sets["predict"].stages == DESCRIPTORS
    needed = {Path(p).stem for p in plan.feature_tables("predict")}
    assert needed <= set(DESCRIPTORS)
    assert plan.predictions() == "results/s/predict/predictions.csv"


@pytest.mark.parametrize("shards", [1, 2, 3, 16])
def test_every_structure_is_in_one_shard(plan_of, shards, cifs):
    plan = plan_of(structures=BOTH, shards=shards)
    members = [name for shard in plan.members["target"].values() for name in shard]
    assert sorted(members) == sorted(path.stem for path in cifs.glob("*.cif"))
    assert len(plan.shard_tables("energy", "target")) == len(plan.members["target"])


def test_a_table_from_a_file_takes_the_place_of_the_stage(plan_of, tmp_path):
    table = {"files": numbers(tmp_path / "d.csv"), "columns": {"d_m2_s": "d"}}
    target = {"cifs": "tests/data/", "stages": ["geometry"], "tables": {"diffusion": table}}
    plan = plan_of(structures=BOTH | {"target": target}, diffusion={"crosscheck": 2})
    plan.check()
    # what the learners' features need beside what is named
    assert plan.sets["target"].stages == ("geometry", "energy", "percolation", "diffusion")
    assert plan.sets["target"].computed == ("geometry", "energy", "percolation")
    # another code cannot be asked for what we did not compute
    assert plan.crosschecks == [] and plan.crosscheck_tables() == []
    assert set(plan.imported) == {"target/diffusion"}
    assert plan.imported_for("target/diffusion")["diffusion"]["files"] == [table["files"]]


def test_a_set_of_tables_alone_has_its_structures_from_them(plan_of, tmp_path):
    table = {"files": numbers(tmp_path / "d.csv"), "columns": {"d_m2_s": "d"}}
    plan = plan_of(structures=BOTH | {"target": {"tables": {"diffusion": table}}})
    assert plan.sets["target"].is_tables_alone
    assert plan.sets["target"].stages == ("diffusion",) and plan.sets["target"].computed == ()
    assert plan.imported["target/structures"]["files"] == [table["files"]]
    assert set(plan.imported_for("target/structures")) == {"diffusion"}
    with pytest.raises(ConfigError, match=r"need the stage geometry.*target has no table"):
        plan.check_study()


def test_what_the_reports_are_told_is_what_the_plan_knows(plan_of, tmp_path):
    table = {"files": [numbers(tmp_path / "d.csv")], "columns": {"d_m2_s": "d"}}
    structures = {
        "source": {"cifs": "tests/data/", "stages": ["geometry"], "tables": {"diffusion": table}},
        "target": {"tables": {"diffusion": table}},
    }
    plan = plan_of(
        structures=structures,
        predict={"cifs": "tests/data/*.cif"},
        learning={"source_labels": ["diffusivity"]},
    )
    facts = plan.facts()
    # what is predicted for is no part of the study
    assert set(facts["sets"]) == {"source", "target"}
    assert facts["sets"]["source"] == {
        "stages": ["geometry", "energy", "percolation", "diffusion"],
        "computed": ["geometry", "energy", "percolation"],
        "files": {"diffusion": ["d.csv"]},
        "tables_alone": False,
    }
    assert facts["sets"]["target"] == {
        "stages": ["diffusion"],
        "computed": [],
        "files": {"diffusion": ["d.csv"]},
        "tables_alone": True,
    }
    assert facts["learners"] == plan.learners and facts["target_label"] == plan.target_label
    # plain data: no settings, no paths
    assert json.loads(json.dumps(facts)) == facts
    assert plan.synthesis_facts()["config"] == facts["config"]


def test_a_set_with_cifs_is_not_built_whatever_package_stands_there(plan_of):
    named = {"package": "pormake", "names": ["a"]}
    plan = plan_of(structures={"source": named, "target": named | {"cifs": "tests/data/"}})
    assert plan.sets["source"].is_built and not plan.sets["target"].is_built


@pytest.mark.parametrize("name", ["d{x}.csv", "d<x>.csv"])
def test_a_file_that_snakemake_would_not_take_as_it_stands_is_refused(plan_of, tmp_path, name):
    file = numbers(tmp_path / name)
    table = {"files": file, "columns": {"d_m2_s": "d"}}
    synthesis = {
        "literature": file,
        "in_house": file,
        "columns": {"target": {"name": "d"}, "group": "name", "numeric": {"bulk": {}}},
    }
    for blocks in (
        {"structures": BOTH | {"target": {"tables": {"diffusion": table}}}},
        {"structures": BOTH, "labels": {"bulk": {"file": file, "column": "bulk"}}},
        {"structures": {}, "synthesis": synthesis},
    ):
        with pytest.raises(ConfigError, match=r"takes braces and angle brackets.*rename"):
            plan_of(**blocks).check()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "{case}", "a b", "a[b]"])
def test_a_case_is_named_so_that_it_can_be_a_folder(plan_of, tmp_path, name):
    file = numbers(tmp_path / "d.csv")
    synthesis = {
        "literature": file,
        "in_house": file,
        "columns": {"target": {"name": "d"}, "group": "name", "numeric": {"bulk": {}}},
        "cases": {name: {}},
    }
    with pytest.raises(ConfigError, match=r"synthesis\.cases"):
        plan_of(structures={}, synthesis=synthesis)


def test_labels_and_the_tables_behind_them(plan_of, tmp_path):
    own = {"bulk": {"file": numbers(tmp_path / "b.csv"), "column": "bulk"}}
    plan = plan_of(
        structures=BOTH,
        labels=own,
        learning={
            "source_labels": ["uptake", "henry"],
            "source_pressures_bar": [1, 65],
            "target_label": "bulk",
        },
    )
    assert plan.source_labels == ["uptake_1bar", "uptake_65bar", "henry"]
    assert plan.label_tables("source") == {
        "uptake_1bar": "results/s/source/uptake.parquet",
        "uptake_65bar": "results/s/source/uptake.parquet",
        "henry": "results/s/source/percolation.parquet",
    }
    assert plan.label_tables("target") == {"bulk": own["bulk"]["file"]}
    assert plan.source_models("gp")[2] == "results/s/study/models/gp-source-henry.npz"


def own_labels(tmp_path):
    """Diffusivities of one's own, from a file."""
    file = numbers(tmp_path / "own.csv")
    return {"measured": {"file": file, "column": "d", "transform": "log10"}}


@pytest.mark.parametrize(
    ("learner", "needed"),
    [
        ("mlp", {"energy"}),
        ("gp+mobility-no-barriers", {"energy", "percolation"}),
        ("gp+harmonic", {"energy", "percolation", "diffusion"}),
    ],
)
def test_sets_pass_through_the_stages_that_the_features_need(plan_of, tmp_path, learner, needed):
    few = {"cifs": "tests/data/", "stages": ["geometry"]}
    blocks = {
        "predict": {"cifs": "tests/data/*.cif"},
        "diffusion": {"engine": "harmonic"},
        "labels": own_labels(tmp_path),
        "learning": {
            "learners": [learner], "source_labels": ["measured"], "target_label": "measured",
        },
    }  # fmt: skip
    plan = plan_of(structures={"source": few, "target": few, "other": few}, **blocks)
    plan.check_study()
    for name in ("source", "target"):
        assert set(plan.sets[name].computed) == {"geometry", *needed}
        assert {Path(p).stem for p in plan.feature_tables(name)} == {"geometry", *needed}
    assert set(plan.sets["predict"].computed) == {*DESCRIPTORS, *needed}
    assert {Path(p).stem for p in plan.feature_tables("predict")} == {"geometry", *needed}
    # what is not learnt from is described as its block says
    assert plan.sets["other"].computed == ("geometry",)
    alone = plan_of(structures={"target": few}, **blocks)
    assert alone.sets["target"].computed == ("geometry",)


@pytest.mark.parametrize("labelled", ["source", "target"])
def test_features_that_would_hold_the_label_are_refused(plan_of, tmp_path, labelled):
    learning = {
        "learners": ["mlp", "gp+harmonic"], "source_labels": ["henry"], "target_label": "measured",
    }  # fmt: skip
    learning |= {
        "source": {"source_labels": ["henry", "diffusivity"]},
        "target": {"target_label": "diffusivity"},
    }[labelled]
    blocks = {"diffusion": {"engine": "harmonic"}, "labels": own_labels(tmp_path)}
    plan = plan_of(structures=BOTH, learning=learning, **blocks)
    message = rf"^gp\+harmonic would learn the label diffusivity of the set {labelled} from itself"
    with pytest.raises(ConfigError, match=message):
        plan.check_study()
    learning["learners"] = ["mlp", "gp+mobility"]
    plan_of(structures=BOTH, learning=learning, **blocks).check_study()


def test_features_that_the_settings_leave_out_are_asked_for(plan_of, tmp_path):
    learning = {"source_labels": ["henry"], "target_label": "henry"}

    def check(learner, **blocks):
        asked = learning | {"learners": ["mlp", learner]}
        plan_of(structures=BOTH, learning=asked, **blocks).check_study()

    for engine in ("grid", "lammps"):
        with pytest.raises(ConfigError, match=r"of gp\+harmonic need .* diffusion\.engine to harm"):
            check("gp+harmonic", diffusion={"engine": engine})
    for learner in ("gp+percolation", "gp+mobility", "gp+all"):
        with pytest.raises(ConfigError, match=r"e_perc_1_K.*set percolation\.barriers to true"):
            check(learner, percolation={"barriers": False})
    for learner in ("gp+mobility-no-barriers", "gp+harmonic", "gp+log55"):
        check(learner, percolation={"barriers": False}, diffusion={"engine": "harmonic"})


def test_a_table_from_a_file_must_have_what_the_features_need(plan_of, tmp_path):
    table = {"files": numbers(tmp_path / "d.csv"), "columns": {"d_m2_s": "d"}}
    target = {"cifs": "tests/data/", "tables": {"diffusion": table}}

    def check(**columns):
        own = target | {"tables": {"diffusion": table | {"columns": table["columns"] | columns}}}
        plan_of(
            structures=BOTH | {"target": own},
            diffusion={"engine": "harmonic"},
            learning={"learners": ["gp+harmonic"], "source_labels": ["henry"]},
        ).check_study()

    with pytest.raises(ConfigError, match=r"d_half_ps_m2_s.*set target lacks.*tables\.diffusion"):
        check()
    # diffusivities from elsewhere, with what harmonic coordinates say beside them
    check(d_half_ps_m2_s="d", d_1_ps_m2_s="d", d_2_ps_m2_s="d")


GASES = {"guests": ["CH4", "N2", "Kr"], "temperatures_K": [298, 400]}


def test_further_guests_and_temperatures_have_tables_of_their_own(plan_of):
    plan = plan_of(structures=BOTH, **GASES)
    variants = plan.gases.variants
    # those of the study's own are where they were, with the settings that they had
    before = plan_of(structures=BOTH)
    assert list(variants)[:5] == list(before.gases.variants)
    for stage in before.gases.variants:
        assert variants[stage].settings == before.stage_settings(stage), stage
    assert {t for t, v in variants.items() if v.stage == "geometry"} == {"geometry"}
    # the histogram knows no temperature
    assert {t for t, v in variants.items() if v.stage == "energy"} == {
        "energy", "energy_N2", "energy_Kr"
    }  # fmt: skip
    assert {t for t, v in variants.items() if v.stage == "diffusion"} == {
        "diffusion", "diffusion_CH4_400K", "diffusion_N2", "diffusion_N2_400K", "diffusion_Kr",
        "diffusion_Kr_400K",
    }  # fmt: skip
    warm = variants["diffusion_N2_400K"].settings
    assert warm == before.stage_settings("diffusion").changed(guest="N2", temperature_K=400.0)
    # a target of the workflow makes those of every set that passes the stage
    few = {"cifs": "tests/data/", "stages": ["uptake"]}
    plan = plan_of(structures={"source": few, "other": few}, guests=["N2", "Kr"])
    assert plan.all_tables("uptake") == [
        f"results/s/{name}/{table}.parquet"
        for table in ("uptake", "uptake_Kr")
        for name in ("source", "other")
    ]
    assert plan.stage_settings("uptake").guest == "N2" and plan.all_tables("energy") == []


def gas_study(plan_of, source, target, **blocks):
    learning = {"source_labels": source, "target_label": target, "learners": ["xgboost"]}
    learning |= blocks.pop("learning", {})
    return plan_of(**({"structures": BOTH, "learning": learning} | GASES | blocks))


def test_labels_of_further_guests_and_temperatures_and_the_tables_behind_them(plan_of):
    source = ["diffusivity_N2", "henry_Kr_400K", "heat_CH4", "barrier_1_K", "uptake_N2", "pld"]
    plan = gas_study(
        plan_of, source, "diffusivity_CH4_298K", learning={"source_pressures_bar": [65]}
    )
    plan.check_study()
    # the study's own guest and temperature need not be said
    assert plan.target_label == "diffusivity"
    assert plan.label_tables("source") == {
        "diffusivity_N2": "results/s/source/diffusion_N2.parquet",
        "henry_Kr_400K": "results/s/source/percolation_Kr_400K.parquet",
        "heat": "results/s/source/percolation.parquet",
        "barrier_1": "results/s/source/percolation.parquet",
        "uptake_65bar_N2": "results/s/source/uptake_N2.parquet",
        "pld": "results/s/source/geometry.parquet",
    }
    assert plan.further_tables("source") == ["diffusion_N2", "percolation_Kr_400K", "uptake_N2"]
    assert plan.further_tables("target") == []
    plan = gas_study(plan_of, ["diffusivity_400K", "diffusivity_CH4_400K", "diffusivity"], "henry")
    assert plan.source_labels == ["diffusivity_CH4_400K", "diffusivity"]


def test_a_set_need_not_pass_a_stage_for_its_labels(plan_of):
    few = {"cifs": "tests/data/", "stages": ["geometry", "energy"]}
    sets = {"source": few, "target": few}
    plan = gas_study(plan_of, ["diffusivity_N2", "henry"], "uptake_65bar", structures=sets)
    plan.check_study()
    assert plan.sets["source"].computed == ("geometry", "energy", "percolation")
    assert plan.further_tables("source") == ["diffusion_N2"]
    assert plan.sets["target"].computed == ("geometry", "energy", "uptake")
    # where nothing is learnt, labels ask for nothing
    alone = {"source": None, "mine": few}
    plan = gas_study(plan_of, ["diffusivity_N2"], "diffusivity", structures=sets | alone)
    assert [s.computed for s in plan.sets.values()] == [("geometry", "energy")] * 2
    assert plan.all_tables("diffusion") == []


def named(plan_of, source, target="diffusivity", **blocks):
    """A study of xgboost that names its further guests and temperatures in its labels alone."""
    none = {"guests": [], "temperatures_K": []}
    return gas_study(plan_of, source, target, **(none | blocks))


def test_labels_name_guests_and_temperatures_by_themselves(plan_of):
    source = ["diffusivity_N2", "henry_Kr_400K", "uptake_He", "diffusivity_350K"]
    plan = named(plan_of, source, learning={"source_pressures_bar": [1, 65]})
    plan.check()
    plan.check_study()
    assert plan.source_labels == [
        "diffusivity_N2", "henry_Kr_400K", "uptake_1bar_He", "uptake_65bar_He",
        "diffusivity_CH4_350K",
    ]  # fmt: skip
    further = ["diffusion_N2", "percolation_Kr_400K", "uptake_He", "diffusion_CH4_350K"]
    assert plan.further_tables("source") == further
    assert plan.further_tables("target") == []
    kr = plan.gases.variants["percolation_Kr_400K"]
    own = plan.stage_settings("percolation")
    assert kr.settings == own.changed(guest="Kr", temperature_K=400.0) and own.guest == "CH4"
    # the targets of stages make what the labels need and no more
    assert set(plan.all_tables("diffusion")) == {
        f"results/s/{name}.parquet"
        for name in ("source/diffusion", "target/diffusion", "source/diffusion_N2",
                     "source/diffusion_CH4_350K")
    }  # fmt: skip
    assert plan.all_tables("percolation")[2:] == ["results/s/source/percolation_Kr_400K.parquet"]
    assert plan.all_tables("energy")[2:] == []


def test_the_target_label_names_a_guest_by_itself(plan_of):
    plan = named(plan_of, ["diffusivity"], "diffusivity_N2_350K", predict={"cifs": "tests/data/"})
    plan.check()
    plan.check_study()
    # described as seen by the gas that is learnt
    described = {"geometry": "geometry", "energy": "energy_N2"}
    assert plan.feature_variants == described
    assert plan.further_tables("target") == ["energy_N2", "diffusion_N2_350K"]
    assert plan.further_tables("source") == plan.further_tables("predict") == ["energy_N2"]


@pytest.mark.parametrize(
    "blocks", [{"guests": ["N2"]}, {"diffusion": {"guest": "N2"}}, {"guests": ["N2", "CH4"]}]
)
def test_a_label_of_the_study_s_own_guest_is_the_plain_one(plan_of, blocks):
    plan = named(plan_of, ["diffusivity_N2", "diffusivity_N2_298K", "diffusivity"], **blocks)
    plan.check_study()
    assert plan.source_labels == [plan.target_label] == ["diffusivity"]
    assert plan.further_tables("source") == []
    assert plan.stage_settings("diffusion").guest == "N2"


def test_what_labels_name_leaves_other_labels_as_they_are(plan_of):
    listed = {"temperatures_K": [298, 400]}
    plan = named(plan_of, ["activation_energy_Kr", "diffusivity_350K"], **listed)
    plan.check_study()
    assert plan.gases.activations["activation_Kr"] == {
        298.0: "diffusion_Kr", 400.0: "diffusion_Kr_400K"
    }  # fmt: skip
    assert plan.further_tables("source") == [
        "diffusion_Kr", "diffusion_Kr_400K", "diffusion_CH4_350K"
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="activation_energy needs diffusivities at two or more"):
        named(plan_of, ["activation_energy", "diffusivity_400K"]).check_study()


@pytest.mark.parametrize(
    ("blocks", "sources"),
    [
        ({}, ["diffusivity_N2", "mobility"]),
        ({"guests": ["Kr"]}, ["diffusivity_N2", "mobility"]),
        ({"guests": ["N2"], "temperatures_K": [350]}, ["diffusivity", "mobility"]),
        ({"structures": {"source": {"stages": ["geometry"]}}}, ["diffusivity_N2", "mobility"]),
        ({"percolation": {"barriers": False}, "learning": {"learners": ["mlp"]}},
         ["diffusivity_N2", "mobility"]),
        ({"learning": {"learners": ["xgboost"], "target_label": "diffusivity_N2"}},
         ["diffusivity_N2", "mobility"]),
    ],
)  # fmt: skip
def test_a_study_that_says_nothing_of_labels_learns_from_those_of_the_default(
    root, tmp_path, monkeypatch, caplog, blocks, sources
):
    monkeypatch.chdir(root)
    mine = tmp_path / "mine.yaml"
    mine.write_text(json.dumps({"structures": BOTH} | blocks))
    plan = StudyPlan(load(root / "config" / "config.yaml", mine), root)
    plan.check()
    plan.check_study()
    uptakes = [label for label in plan.source_labels if label.startswith("uptake_")]
    assert len(uptakes) == 4 and plan.source_labels == uptakes + sources
    assert not caplog.records


def test_a_label_of_one_s_own_that_ends_like_a_guest_names_none(plan_of, tmp_path):
    own = {"affinity_N2": {"file": numbers(tmp_path / "d.csv"), "column": "bulk"}}
    plan = named(plan_of, ["affinity_N2"], labels=own)
    plan.check_study()
    assert plan.source_labels == ["affinity_N2"]
    assert not [table for table in plan.gases.variants if "N2" in table]


def test_an_activation_energy_is_made_of_diffusivities_at_every_temperature(plan_of):
    plan = gas_study(plan_of, ["activation_energy_N2"], "activation_energy")
    plan.check_study()
    assert plan.label_tables("target") == {
        "activation_energy": "results/s/target/activation.parquet"
    }
    assert plan.gases.activations["activation"] == {
        298.0: "diffusion", 400.0: "diffusion_CH4_400K"
    }  # fmt: skip
    assert plan.further_tables("source") == ["diffusion_N2", "diffusion_N2_400K"]
    assert plan.further_tables("target") == ["diffusion_CH4_400K"]
    with pytest.raises(ConfigError, match="activation_energy needs diffusivities at two or more"):
        gas_study(plan_of, ["henry"], "activation_energy", temperatures_K=[298]).check_study()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("diffusivity_CO2", "no label 'diffusivity_CO2'; did you mean diffusivity"),
        ("diffusivity_n2", "no label 'diffusivity_n2'; .* of another guest .*He, Kr, N2"),
        ("diffusivity_400", "no label 'diffusivity_400'; did you mean diffusivity"),
        ("henry_1234567K", "no label 'henry_1234567K'"),
        ("henry_0.00001K", "no label 'henry_0.00001K'"),
        ("pld_N2", "pld does not depend on the guest; write pld"),
        ("h07_N2_400K", "h07 does not depend on the temperature; write h07_N2"),
        ("activation_energy_N2_400K", "does not depend on the temperature; write activation_en"),
        ("mobilty_N2", "did you mean mobility_N2"),
    ],
)
def test_labels_that_a_study_cannot_have_say_what_to_do(plan_of, label, message):
    for source, target in ((["henry"], label), ([label], "diffusivity")):
        with pytest.raises(ConfigError, match=message):
            gas_study(plan_of, source, target).check()


def test_a_guest_that_is_liquid_stops_only_who_asks_for_it(plan_of):
    cold = {"temperatures_K": [298, 120]}
    plan = gas_study(plan_of, ["henry_N2_120K"], "diffusivity_CH4_120K", **cold)
    plan.check_study()
    assert {"uptake_N2", "diffusion_N2_120K"} <= set(plan.gases.variants)
    with pytest.raises(ConfigError, match=r"no table uptake_CH4_120K: uptake\.pressures_bar.*liq"):
        gas_study(plan_of, ["uptake_65bar_120K"], "diffusivity", **cold).check_study()


def test_a_set_of_tables_alone_has_no_other_guests(plan_of, tmp_path):
    table = {"files": numbers(tmp_path / "d.csv"), "columns": {"d_m2_s": "d"}}
    sets = BOTH | {"source": {"tables": {"diffusion": table}}}

    def check(label):
        gas_study(plan_of, [label], "diffusivity", structures=sets).label_tables("source")

    check("diffusivity")
    with pytest.raises(ConfigError, match=r"diffusion_N2, which the set source, known by tables"):
        check("diffusivity_N2")
    with pytest.raises(ConfigError, match=r"tables\.percolation.*learning\.source_labels"):
        check("mobility")


def test_a_table_from_a_file_must_have_the_column_of_a_label(plan_of, tmp_path):
    needed = ("e_min_K", "henry_free_energy_K", "e_mean_K", "participation",
              "accessible_fraction", "pocket_share")  # fmt: skip
    columns = {name: "d" for name in needed}

    def tables(source, **further):
        file = {"files": numbers(tmp_path / "d.csv"), "columns": columns | further}
        sets = BOTH | {"source": {"cifs": "tests/data/", "tables": {"percolation": file}}}
        return gas_study(plan_of, source, "diffusivity", structures=sets).label_tables("source")

    with pytest.raises(ConfigError, match=r"mobility needs the column mobility .*tables\.percolat"):
        tables(["mobility"])
    tables(["mobility"], mobility="d")
    # of another gas it is computed
    tables(["mobility_N2"])
    with pytest.raises(ConfigError, match=r"e_perc_1_K .*set percolation\.barriers to true"):
        gas_study(
            plan_of, ["e_perc_1_N2"], "diffusivity", percolation={"barriers": False}
        ).check_study()


def test_features_are_of_the_guest_that_is_learnt(plan_of):
    learning = {"learners": ["gp+mobility"]}
    plan = gas_study(plan_of, ["uptake_65bar"], "diffusivity_N2_400K", learning=learning)
    plan.check_study()
    for name in ("source", "target"):
        assert [Path(p).stem for p in plan.feature_tables(name)] == [
            "geometry", "energy_N2", "percolation_N2_400K"
        ]  # fmt: skip
    assert plan.further_tables("source") == ["energy_N2", "percolation_N2_400K"]
    own = gas_study(plan_of, ["diffusivity_N2"], "diffusivity", learning=learning)
    assert [Path(p).stem for p in own.feature_tables("source")] == [
        "geometry", "energy", "percolation"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("label", "learner"),
    [
        ("pld", "xgboost"), ("h07", "xgboost"), ("mobility", "gp+mobility"),
        ("barrier_2", "gp+percolation"), ("mobility_N2", "gp+mobility"),
        ("diffusivity_N2", "gp+harmonic"), ("d_1_ps", "gp+harmonic"),
        # RT less a feature
        ("heat", "gp+mobility"),
    ],
)  # fmt: skip
def test_no_target_is_learnt_from_itself(plan_of, label, learner):
    learning = {"learners": [learner]}
    with pytest.raises(ConfigError, match=rf"{re.escape(learner)} would learn the label {label}"):
        gas_study(plan_of, ["henry"], label, learning=learning).check_study()


def test_a_feature_may_be_a_source_and_is_said_to_add_nothing(plan_of, caplog):
    learning = {"learners": ["gp+percolation", "gp+mobility"]}
    source = ["mobility", "barrier_1", "mobility_N2", "henry"]
    gas_study(plan_of, source, "diffusivity", learning=learning).check_study()
    said = [record.getMessage() for record in caplog.records]
    # the mobility may help the first
    assert len(said) == 1 and "barrier_1 is a feature of gp+percolation, gp+mobility" in said[0]
    # early diffusivities of one gas may help with another
    learning = {"learners": ["gp+harmonic"]}
    with pytest.raises(ConfigError, match="label diffusivity of the set source from itself"):
        gas_study(plan_of, ["diffusivity"], "henry", learning=learning).check_study()
    gas_study(plan_of, ["diffusivity_N2"], "henry", learning=learning).check_study()


def test_an_isotherm_is_one_model_of_many_numbers(plan_of):
    learning = {"source_labels": ["isotherm"], "source_pressures_bar": [1, 65]}
    plan = plan_of(structures=BOTH, learning=learning)
    assert plan.source_labels == ["isotherm"]
    assert plan.labels_of("source") == ["uptake_1bar", "uptake_65bar"]


def test_an_isotherm_of_another_guest_needs_its_table_alone(plan_of):
    learning = {"source_pressures_bar": [1, 65], "learners": ["mlp"]}
    plan = gas_study(plan_of, ["isotherm_N2", "isotherm_CH4"], "diffusivity", learning=learning)
    plan.check_study()
    assert plan.source_labels == ["isotherm_N2", "isotherm"]
    tables = plan.label_tables("source")
    assert list(tables) == ["uptake_1bar_N2", "uptake_65bar_N2", "uptake_1bar", "uptake_65bar"]
    assert [Path(path).stem for path in tables.values()] == [*["uptake_N2"] * 2, *["uptake"] * 2]
    named = gas_study(plan_of, ["isotherm_Xe"], "diffusivity", learning=learning)
    assert {Path(path).stem for path in named.label_tables("source").values()} == {"uptake_Xe"}
    with pytest.raises(ConfigError, match="cannot take isotherm"):
        learning = {"learners": ["xgboost-weighted"]}
        gas_study(plan_of, ["isotherm_N2"], "diffusivity", learning=learning).check()


def test_sizes_may_have_their_own_numbers_of_draws(plan_of):
    def draws(sizes, number):
        return plan_of(structures=BOTH, learning={"sizes": sizes, "draws": number}).draws

    assert draws([100, 300], 50) == {100: 50, 300: 50}
    assert draws([100, 300, 1000], [50, 50, 5]) == {100: 50, 300: 50, 1000: 5}
    with pytest.raises(ConfigError, match="2 numbers for the 3"):
        draws([100, 300, 1000], [50, 5])


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"learning": {"target_label": "uptake"}}, "uptake at which pressure"),
        ({"learning": {"target_label": "isotherm"}}, "uptake at which pressure"),
        ({"learning": {"source_labels": ["hardness"]}}, "no label 'hardness'"),
        ({"labels": {"k": {"file": "none.csv", "column": "k"}}}, "there is no file none.csv"),
        ({"learning": {"sizes": [20, 40], "draws": [5]}}, "1 numbers for the 2"),
        ({"structures": {"target": {"cifs": "none/*.cif"}}}, "no CIF files match"),
        (
            {"learning": {"source_labels": ["isotherm"], "learners": ["xgboost-weighted"]}},
            "cannot take isotherm",
        ),
    ],
)
def test_what_no_single_block_can_tell_is_checked_before_any_job(plan_of, blocks, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(**({"structures": BOTH} | blocks)).check()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"structures": {"source": BOTH["source"]}}, "needs the sets source and target; target"),
        ({"learning": {"source_pressures_bar": [35]}}, "uptake_35bar is at none of"),
        (
            {"learning": {"source_labels": ["diffusivity_CH4_0K"]}},
            r"no table diffusion_CH4_0K: diffusion\.temperature_K must be above 0",
        ),
    ],
)
def test_what_a_study_lacks_is_named(plan_of, blocks, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(**({"structures": BOTH} | blocks)).check_study()


def test_near_duplicates_are_looked_for_where_they_count(plan_of, tmp_path):
    assert plan_of(structures=BOTH).groups("target") == "results/s/target/groups.parquet"
    assert plan_of(structures=BOTH).groups("source") == []
    grouped = plan_of(structures=BOTH, learning={"splits": "grouped"})
    grouped.check_study()
    assert grouped.groups("source") == "results/s/source/groups.parquet"
    assert grouped.training["splits"] == "grouped"
    files = {"files": numbers(tmp_path / "d.csv"), "columns": {"d_m2_s": "d"}}
    tables = {"target": {"tables": {"diffusion": files}}}
    assert plan_of(structures=BOTH | tables).groups("target") == []
    with pytest.raises(ConfigError, match="grouped needs the structures of the set target"):
        plan_of(structures=BOTH | tables, learning={"splits": "grouped"}).check_study()


def test_a_run_without_a_target_makes_the_pages_that_there_is_material_for(plan_of):
    assert plan_of(structures=BOTH).default_pages() == ["results/s/report/index.html"]
    alone = plan_of(structures={"mine": {"cifs": "tests/data/"}})
    assert alone.default_pages() == ["results/s/report/descriptors/index.html"]
    with pytest.raises(ConfigError, match="nothing to do"):
        plan_of(structures={}).default_pages()


def test_the_crosscheck_changes_the_engine_and_what_it_is_told_to(plan_of):
    plan = plan_of(
        structures=BOTH,
        uptake={"crosscheck": 2, "crosscheck_params": {"pressures_bar": [10]}, "cutoff_A": 13},
        diffusion={"crosscheck": 0},
    )
    assert plan.crosschecks == ["uptake"]
    settings = plan.crosscheck_settings("uptake")
    assert settings.engine == "raspa3" and list(settings.pressures_bar) == [10.0]
    assert settings.cutoff_A == plan.stage_settings("uptake").cutoff_A == 13.0
    assert plan.stage_settings("uptake").engine == "grid"


@pytest.mark.parametrize(("asked", "threads"), [(1, 1), (2, 1), (5, 3), (["A", "B", "C"], 2)])
def test_a_crosscheck_leaves_a_core_of_two_to_the_learning(plan_of, asked, threads):
    target = {"names": ["A", "B", "C"]}
    plan = plan_of(structures={"target": target}, uptake={"crosscheck": asked})
    assert plan.crosscheck_threads("uptake") == threads


def test_a_crosscheck_that_does_not_go_together_names_its_block(plan_of):
    short = {"max_steps": 2000, "production_steps": 1000}
    with pytest.raises(
        ConfigError, match=r"^uptake\.crosscheck_params: uptake\.max_steps must not"
    ):
        plan_of(structures=BOTH, uptake=short).crosscheck_settings("uptake")
    # nobody is asked for one here
    source = {"cifs": "tests/data/", "stages": ["uptake"]}
    assert plan_of(structures={"source": source}, uptake=short).crosschecks == []


def test_the_seed_reaches_the_stages_that_draw_random_numbers(plan_of):
    plan = plan_of(structures=BOTH, seed=7)
    assert plan.stage_settings("uptake").seed == plan.stage_settings("diffusion").seed == 7


@pytest.fixture
def folder(cifs, tmp_path):
    """CIFs under everyday and hostile names, all of them the same structure."""
    text = (cifs / "KOSJEJ_clean.cif").read_bytes()
    names = ["plain.cif", "Zn[bdc].cif", "MOF {bdc}.cif", "{set}.cif", "<x>.cif", "a b.CIF"]
    for name in (*map(os.fsencode, names), b"caf\xe9.cif"):
        (tmp_path / os.fsdecode(name)).write_bytes(text)
    (tmp_path / "gone.cif").symlink_to("nowhere/gone.cif")
    (tmp_path / "pipe.cif").symlink_to("/dev/null")
    return tmp_path


EVERY = {"plain", "Zn[bdc]", "MOF {bdc}", "{set}", "<x>", "a b", "caf\\xe9", "gone", "pipe"}


def test_every_file_of_a_folder_is_a_member_whatever_its_name(folder):
    found = members.list_members({"cifs": str(folder)}, folder)
    assert set(found) == EVERY
    # a table and a log can hold every name
    assert all(name.encode() for name in found)
    fit = {name for name, path in found.items() if members.fits_snakemake(path)}
    assert fit == {"plain", "Zn[bdc]", "a b"}


def test_a_member_that_is_no_input_still_makes_its_shard_run_again(folder):
    found = members.list_members({"cifs": str(folder)}, folder)
    before = members.word_for(found)
    assert before == members.word_for(found) and before.startswith("9 structures")
    (folder / "{set}.cif").write_text("data_changed")
    after = members.word_for(found)
    assert after != before
    (folder / "nowhere").mkdir()
    (folder / "nowhere" / "gone.cif").write_text("data_here")
    assert members.word_for(found) != after


def test_a_bad_file_is_a_failed_row_and_a_good_one_under_an_odd_name_a_good_row(folder):
    found = members.list_members({"cifs": str(folder)}, folder)
    spec = {"cifs": str(folder)}
    table = read_structures(found, spec, store=Store(folder / "store"), checks={})
    assert set(table["name"]) == EVERY
    write_table(table, folder / "structures.parquet")
    assert set(read_table(folder / "structures.parquet")["name"]) == EVERY
    failed = table[table["status"] != "ok"].set_index("name")["reason"]
    assert set(failed.index) == {"gone", "pipe"} and failed.str.contains("cannot be read").all()


def test_a_path_that_is_there_means_itself_and_a_pattern_without_a_file_is_an_error(folder):
    def found(*patterns):
        return set(members.list_members({"cifs": [*patterns]}, folder))

    (folder / "Znb.cif").write_text("data_b")
    assert found(f"{folder}/Zn[bdc].cif", f"{folder}/plain.cif") == {"Zn[bdc]", "plain"}
    assert found(f"{folder}/Z[mn]b.cif") == {"Znb"}
    assert found(f"{folder}/gone.cif") == {"gone"}
    versions = folder / "my [v2]"
    versions.mkdir()
    (versions / "x1.cif").write_text("data_x")
    (versions / "x2.cif").write_text("data_x")
    assert found(f"{versions}/*.cif") == found(str(versions)) == {"x1", "x2"}
    assert found(f"{versions}/x[1-9].cif") == {"x1", "x2"}
    assert found(f"{folder}/plain.cif", f"{folder}/./plain.cif") == {"plain"}
    (folder / "empty").mkdir()
    for missing in ("typo.cif", "no*.cif", "none/", "empty"):
        with pytest.raises(ConfigError, match=f"no CIF files match cifs: .*/{re.escape(missing)}"):
            found(f"{folder}/plain.cif", f"{folder}/{missing}")


def test_lists_of_names_that_cannot_be_read_are_errors(plan_of, tmp_path):
    for ending, data, message in (
        ("txt", b"\xff\xfe\x00bad", "UTF-16 or UTF-32; save"),
        ("txt", "Tür\n".encode("latin-1"), "not in UTF-8 .*line 1.*; save"),
        ("txt", b"\n# nothing\n", "holds no name"),
        ("csv", b"", "is empty"),
        ("csv", b"name\n", "no rows"),
        ("csv", b"name,x\n,1\n,2\n", "'name', holds no names"),
        ("CSV", b"name;x\nJIVFUQ_clean;1\n", "separated by ';'; save it with commas"),
        ("csv", b"JIVFUQ_clean\nKUVJIW_clean\n", "'JIVFUQ_clean'; put a line with"),
        ("csv", b"name,x\nJIVFUQ_clean,1\nKUVJIW_clean\n", "line 3 has 1 cells, the head 2"),
    ):
        path = tmp_path / f"names.{ending}"
        path.write_bytes(data)
        package = {"package": "core-mof", "names": str(path)}
        with pytest.raises(ConfigError, match=rf"structures\.mine: names: .*{message}"):
            plan_of(structures={"mine": package}).check()


def test_lists_of_names_are_read_whatever_their_form(tmp_path):
    names = ["KUVJIW_clean", "NA", "JIVFUQ_clean"]
    written = {
        "marked.txt": b"\xef\xbb\xbf" + "\r\n".join(names).encode(),
        "table.csv": b"\xef\xbb\xbfmof,D\r\n" + "".join(f"{n} ,\r\n" for n in names).encode(),
        "packed.csv": gzip.compress("\n".join(["mof", *names]).encode()),
    }
    for name, data in written.items():
        (tmp_path / name).write_bytes(data)
        spec = {"package": "core-mof", "archive": "2019-ASR", "names": str(tmp_path / name)}
        assert list(members.list_members(spec, tmp_path)) == names
    hypothetical = {"package": "pormake", "names": str(tmp_path / "p.csv")}
    (tmp_path / "p.csv").write_text("pcu+N16+E14\npcu+N16+E9\n")
    with pytest.raises(ConfigError, match=r"'pcu\+N16\+E14'; put a line"):
        members.list_members(hypothetical, tmp_path)


def test_what_is_cross_checked_must_be_there(plan_of):
    with pytest.raises(ConfigError, match=r"diffusion\.crosscheck: the set target has no .*'NONE'"):
        plan_of(structures=BOTH, diffusion={"crosscheck": ["KOSJEJ_clean", "NONE"]}).check()
    plan_of(structures=BOTH, diffusion={"crosscheck": ["KOSJEJ_clean"]}).check()
