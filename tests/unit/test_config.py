"""The configuration: closed, complete, typed, and errors that say what to do."""

import copy
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml

from poreflux.base.canonical import digest
from poreflux.base.errors import ConfigError
from poreflux.base.settings import Settings, unit_of
from poreflux.data import features
from poreflux.diffusion import DiffusionSettings, lammps_engine
from poreflux.run import config_docs
from poreflux.run.config import OLD_NAMES, complete, load
from poreflux.run.settings import FEATURE_SETS, STAGE_SETTINGS, StudyConfig
from poreflux.structures import checks
from poreflux.structures.packages import CORE_MOF_ARCHIVES
from poreflux.uptake import UptakeSettings, grid


def plain(config):
    return config.model_dump(mode="json")


# What is generated


def test_schema_default_file_and_docs_are_those_of_the_settings(root):
    for name, text in config_docs.files().items():
        assert (root / name).read_text(encoding="utf-8") == text, "run make config-docs"


def test_the_default_file_holds_every_key_and_gives_the_defaults(root):
    path = root / config_docs.DEFAULTS
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert complete(given, [path]) == StudyConfig()
    assert json.loads(json.dumps(plain(StudyConfig()))) == given
    # what can stand in blocks that are not there by default stands in comments
    text = path.read_text(encoding="utf-8")
    for name in names_of(StudyConfig):
        assert re.search(rf"^[# ]*{name}:", text, flags=re.MULTILINE), name


def names_of(model):
    for name, field in model.model_fields.items():
        yield name
        for inner in config_docs._models(field.annotation):
            yield from names_of(inner)


def every_model(model=StudyConfig):
    yield model
    for field in model.model_fields.values():
        for inner in config_docs._models(field.annotation):
            yield from every_model(inner)


def test_every_key_is_described_and_a_unit_in_a_name_is_its_unit():
    suffixes = {"A": "Å", "K": "K", "bar": "bar", "kT": "kT", "fs": "fs", "ps": "ps", "mb": "MB"}
    for model in [*every_model(), *STAGE_SETTINGS.values()]:
        assert issubclass(model, Settings)
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            unit = suffixes.get(name.rpartition("_")[2], "")
            assert unit_of(field) == unit or name == "seconds", f"{model.__name__}.{name}"


def objects_of(node, path="config"):
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, each in node.items():
            yield from objects_of(each, f"{path}.{key}")
    elif isinstance(node, list):
        for i, each in enumerate(node):
            yield from objects_of(each, f"{path}.{i}")


def test_schema_is_valid_and_closed(root):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((root / "config" / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for path, sub in objects_of(schema):
        # a name of the user's own stands for a value whose kind is stated
        extra = sub["additionalProperties"]
        assert extra is False or {"$ref", "type", "anyOf"} & set(extra), path
    check = jsonschema.Draft202012Validator(schema)
    for path in sorted((root / "config").glob("*.yaml")):
        check.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    for wrong in (
        {"gcm": {}},
        {"labels": {"uptake_5bar": {"file": "a", "column": "b"}}},
        {"labels": {"9 lives": {"file": "a", "column": "b"}}},
        {"learning": {"learners": ["mlp+everything"]}},
        {"uptake": {"crosscheck": -1}},
        {"uptake": {"pressures_bar": [1, 1]}},
    ):
        assert not check.is_valid(wrong), wrong
        with pytest.raises(ConfigError):
            complete(wrong)


def test_values_that_a_settings_class_repeats_are_those_of_the_code():
    """It may not import the code that they belong to: it is read on every start."""
    assert UptakeSettings.model_fields["cap_K"].metadata[0].ge == grid.REJECT_K
    for name, values in (
        ("fail_on", list(checks.REMEDIES)),
        ("archive", list(CORE_MOF_ARCHIVES)),
        ("lammps_package", list(lammps_engine.PACKAGES)),
    ):
        fields = [m.model_fields[name] for m in every_model() if name in m.model_fields]
        assert all(", ".join(values) in config_docs.allowed(field) for field in fields)
    assert {"paper55", *FEATURE_SETS} == set(features.FEATURE_SETS)
    schedule = grid.Schedule()
    for name in ("protocol", "equilibration_steps", "production_steps", "max_steps"):
        assert getattr(schedule, name) == getattr(UptakeSettings(), name)


def test_settings_are_read_without_the_engines():
    code = (
        "import sys; from poreflux.run.config import complete; complete({});"
        "print({'scipy', 'numba', 'pandas', 'torch', 'jsonschema'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# What is read


def test_shipped_configurations_are_valid_and_use_new_names(root, caplog):
    for path in sorted((root / "config").glob("*.yaml")):
        load(root / "config" / "config.yaml", path)
        complete(yaml.safe_load(path.read_text()), [path])
    assert not caplog.records


def test_defaults_fill_at_any_depth_and_numbers_are_normal():
    given = {"uptake": {"temperature_K": 300}, "structures": {"x": {"cifs": "a"}}}
    config = complete(given)
    assert config.energy.bins == 50
    assert config.structures["x"].stages[-1] == "diffusion"
    assert [*config.structures] == ["x", "source", "target"]
    assert config.uptake.temperature_K == 300.0
    assert type(config.uptake.temperature_K) is float
    assert config.uptake.pressures_bar[3] == 1.0
    assert complete(plain(config)) == config
    assert json.dumps(plain(config)) == json.dumps(plain(complete(plain(config))))


def test_the_first_guest_and_temperature_are_those_of_every_stage():
    config = complete({"guests": ["N2", "CH4"], "temperatures_K": [350, 298]})
    for stage in ("energy", "percolation", "uptake", "diffusion"):
        assert config.settings_of(stage).guest == "N2"
        assert getattr(config.settings_of(stage), "temperature_K", 350.0) == 350.0
    assert complete(plain(config)) == config
    # without them each block has its own
    config = complete({"diffusion": {"guest": "Kr"}})
    assert (config.diffusion.guest, config.uptake.guest) == ("Kr", "CH4")
    for given, message in (
        (
            {"guests": ["N2"], "uptake": {"guest": "CH4"}},
            r"uptake\.guest must be 'N2', the first of",
        ),
        (
            {"temperatures_K": [350], "percolation": {"temperature_K": 298}},
            r"percolation\.temperature_K must be 350\.0, the first of temperatures_K",
        ),
        ({"guests": ["N2", "N2"]}, "guests must not hold a value twice"),
        ({"guests": ["CO2"]}, r"^[^\n]*guests\.0 must be a guest of the library[^\n]*$"),
        ({"temperatures_K": [0]}, r"^[^\n]*temperatures_K\.0 must be above 0 K[^\n]*$"),
    ):
        with pytest.raises(ConfigError, match=message):
            complete(given)


def test_a_part_that_may_be_null_is_filled_where_it_is_given():
    assert complete({}).synthesis is None
    column = {"name": "size", "unit": "nm"}
    given = {"target": column, "group": "doi", "numeric": {"t": {"min": 1}}}
    tables = {"literature": "a.csv", "in_house": "b.csv", "columns": given}
    filled = plain(complete({"synthesis": tables}))["synthesis"]
    assert filled["cases"] == {"in_house": {"group": None, "rescale": {}}}
    assert filled["transfer"]["weights"][0] == 1.0
    assert filled["columns"]["target"]["scale"] == "log"
    assert filled["columns"]["numeric"]["t"] == {
        "unit": "",
        "scale": "linear",
        "min": 1.0,
        "max": None,
    }
    del given["group"]
    with pytest.raises(ConfigError, match=r"synthesis.columns 'group' is a required property"):
        complete({"synthesis": tables})


def test_a_set_given_as_null_is_left_out():
    sets = {"x": {"cifs": "a"}, "y": {"cifs": "b"}}
    for nothing in (None, "null"):
        config = complete({"structures": sets | {"source": nothing, "y": nothing}})
        assert [*config.structures] == ["x", "target"]
        assert config.structures["x"].cifs == "a"


def test_values_inside_braces_on_the_command_line_arrive_as_strings():
    given = {
        "diffusion": {"n_molecules": "41", "timestep_fs": "2", "engine": "grid"},
        "uptake": {"block_pockets": "false", "crosscheck": "[A, B]", "pressures_bar": "[1, 10]"},
        "learning": {"sizes": ["10", "20"], "source_pressures_bar": ["1", "65"], "draws": "3"},
        "structures": {"target": {"limit": "5", "cifs": "my/*.cif"}, "x": {"cifs": "null"}},
        "store": "null",
        "synthesis": "null",
    }
    config = complete(given)
    assert config.diffusion.n_molecules == 41
    assert config.diffusion.timestep_fs == 2.0
    assert config.uptake.block_pockets is False
    assert config.uptake.crosscheck == ("A", "B")
    assert config.uptake.pressures_bar == (1.0, 10.0)
    assert config.learning.sizes == (10, 20)
    assert config.learning.source_pressures_bar == (1.0, 65.0)
    assert config.learning.draws == 3
    assert config.structures["target"].limit == 5
    assert config.structures["target"].cifs == "my/*.cif"
    assert config.structures["x"].cifs is None
    assert config.store is None
    assert config.synthesis is None


def test_a_whole_number_may_be_written_with_a_point():
    """The same number gives the same key, however it is written."""
    for n, one, sizes in ((40.0, 1.0, [40.0, 80]), ("40", "1", "[40]"), ("4e1", "1e0", [40])):
        given = complete(
            {
                "seed": one,
                "diffusion": {"n_molecules": n},
                "learning": {"sizes": sizes, "draws": one},
            }
        )
        assert given.seed == 1 and type(given.seed) is int and type(given.learning.draws) is int
        assert all(type(size) is int for size in given.learning.sizes)
        settings = given.settings_of("diffusion")
        assert digest(plain(settings)) == digest(plain(DiffusionSettings(n_molecules=40, seed=1)))
    assert complete({"uptake": {"max_steps": "1e6"}}).uptake.max_steps == 1_000_000
    assert complete({"uptake": {"crosscheck": 2.0}}).uptake.crosscheck == 2


@pytest.mark.parametrize(
    "n", [40.0, np.int64(40), np.float64(40)], ids=["float", "int64", "float64"]
)
def test_from_python_whole_numbers_of_any_type_are_the_same(n):
    settings = DiffusionSettings(n_molecules=n, seed=n)
    assert digest(plain(settings)) == digest(plain(DiffusionSettings(n_molecules=40, seed=40)))
    assert type(settings.changed(n_molecules=n).n_molecules) is int


@pytest.mark.parametrize("n", [40.5, "40", True, float("nan"), 1e300])
def test_from_python_what_is_no_whole_number_is_refused(n):
    with pytest.raises(ConfigError, match=r"diffusion\.n_molecules must be of type integer"):
        DiffusionSettings(n_molecules=n)


def test_input_is_not_changed():
    config = {"uptake": {"temperature_K": 300}, "structures": {"source": None}}
    before = copy.deepcopy(config)
    complete(config)
    assert config == before


# What stages compute with


def test_what_keys_of_the_store_are_made_of_is_the_block_and_the_seed():
    config = complete(
        {"seed": 7, "uptake": {"temperature_K": 300}, "geometry": {"void_probe_A": 1}}
    )
    for stage, kind in STAGE_SETTINGS.items():
        settings = config.settings_of(stage)
        assert type(settings) is kind
        block = plain(config)[stage]
        own = {key: value for key, value in block.items() if not key.startswith("crosscheck")}
        seed = {"seed": 7} if stage in ("uptake", "diffusion") else {}
        assert plain(settings) == own | seed
    assert plain(config.settings_of("uptake"))["seed"] == 7
    assert plain(config.settings_of("uptake"))["temperature_K"] == 300.0
    assert "crosscheck" not in plain(config.settings_of("diffusion"))
    assert type(plain(config.settings_of("geometry"))["void_probe_A"]) is float


def test_what_the_reference_codes_compute_with():
    config = complete({"diffusion": {"temperature_K": 350, "crosscheck_params": {"n_groups": 5}}})
    changed = config.crosscheck_settings_of("diffusion")
    own = plain(config.settings_of("diffusion"))
    told = plain(config)["diffusion"]["crosscheck_params"]
    assert plain(changed) == own | told | {"engine": "lammps"}
    assert config.crosscheck_settings_of("uptake").engine == "raspa3"
    short = {"diffusion": {"crosscheck_params": {"production_ps": 1}}}
    with pytest.raises(ConfigError, match=r"diffusion\.sample_ps must be at most a 20th"):
        complete(short).crosscheck_settings_of("diffusion")


def test_settings_are_checked_as_a_whole_when_changed():
    settings = DiffusionSettings(n_molecules=30)
    assert settings.changed(timestep_fs=2).timestep_fs == 2.0
    assert settings.changed() == settings
    assert DiffusionSettings.chosen(settings, {"seed": 3}).n_molecules == 30
    with pytest.raises(ConfigError, match=r"diffusion\.n_groups must be 2 to n_molecules \(10\)"):
        settings.changed(n_molecules=10)
    with pytest.raises(Exception, match="frozen"):
        settings.seed = 2


# What is wrong


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("uptake: {temperatur_K: 298}", ["uptake.temperatur_K", "did you mean 'temperature_K'"]),
        ("uptak: {}", ["'uptak'", "did you mean 'uptake'"]),
        ("uptake: {seed: 3}", ["unknown key 'uptake.seed'"]),
        ("energy: {bins: many}", ["energy.bins", "type integer", "'many'"]),
        ("energy: {bins: true}", ["energy.bins", "type integer", "True"]),
        ("energy: {bins: 0}", ["energy.bins", "at least 1", "0"]),
        ("energy: 3", ["energy must be of type object", "3"]),
        ("energy: {guest: CH5}", ["energy.guest", "unknown guest 'CH5'", "CH4"]),
        ("uptake: {cutoff_A: 0}", ["uptake.cutoff_A must be at least 5 Å, got 0"]),
        ("uptake: {engine: raspa}", ["uptake.engine", "grid, raspa3", "did you mean 'raspa3'"]),
        ("uptake: {max_steps: 2000}", ["uptake.max_steps", "production_steps (100000)", "2000"]),
        ("uptake: {temperature_K: 100}", ["uptake.pressures_bar", "CH4 is liquid"]),
        ("uptake: {pressures_bar: [1, -2]}", ["uptake.pressures_bar.1 must be above 0", "-2"]),
        ("uptake: {pressures_bar: [1, 1.0]}", ["uptake.pressures_bar", "twice"]),
        ("uptake: {crosscheck: -1}", ["uptake.crosscheck must be at least 0, got -1"]),
        ("uptake: {crosscheck: 0.5}", ["uptake.crosscheck", "type integer or array"]),
        ("learning: {sizes: []}", ["learning.sizes", "at least 1"]),
        ("learning: {draws: [3, 0]}", ["learning.draws.1 must be at least 1, got 0"]),
        ("learning: {learners: [svm]}", ["learning.learners.0", "mlp, xgboost", "'svm'"]),
        ("labels: {uptake: {file: a, column: b}}", ["labels: the name 'uptake' is a label of our"]),
        ("structures: {target: {cif: x}}", ["structures.target.cif", "did you mean 'cifs'"]),
        ("structures: {target: {limit: 0}}", ["structures.target.limit", "0"]),
        ("study: my study", ["study must match", "'my study'"]),
        ("study: ..", ["study must match", "'..'"]),
        ("study: .hidden", ["study must match"]),
        ("study: -n", ["study must match"]),
        ("study: 5", ["study must be of type string", "5"]),
        ("study: ''", ["study must match"]),
        ("structures: {../../../escape: {cifs: a}}", ["structures: the name '../../../escape'"]),
        ("structures: {'a|b': {cifs: a}}", ["structures: the name 'a|b' must match"]),
        ("structures: {'': {cifs: a}}", ["structures: the name '' must match"]),
        ("structures: {5: {cifs: a}}", ["structures: the name 5 must be text"]),
        ("structures: {predict: {cifs: a}}", ["the name 'predict' is reserved"]),
        ("structures: {study: {cifs: a}}", ["the name 'study' is reserved"]),
        ("structures: {target: {cifs: []}}", ["structures.target.cifs must not be empty"]),
        ("structures: {target: {cifs: ''}}", ["structures.target.cifs must not be empty"]),
        ("predict: {cifs: []}", ["predict.cifs must not be empty"]),
        ("energy: {range_K: [5000, -4000]}", ["energy.range_K must rise"]),
        ("energy: {range_K: [-4000, .inf]}", ["energy.range_K.1", "finite"]),
        ("uptake: {temperature_K: .nan}", ["uptake.temperature_K", "finite"]),
        ("limits: {seconds: .nan}", ["limits.seconds", "nan"]),
        ("diffusion: {n_molecules: 10}", ["diffusion.n_groups must be 2 to n_molecules (10)"]),
        ("diffusion: {n_molecules: 40.5}", ["diffusion.n_molecules", "type integer", "40.5"]),
        ("diffusion: {thermostat_ps: 0.001}", ["thermostat_ps must be at least 10 time steps"]),
        (
            "diffusion: {sample_ps: 0.001, timestep_fs: 2}",
            ["diffusion.sample_ps must be at least a time step (2 fs)"],
        ),
        ("seed: 99999999999999999999", ["seed must be at most 9223372036854775807"]),
        ("seed: true", ["seed must be of type integer, got True"]),
        ("labels: {k: {file: a, column: b, factor: 0}}", ["labels.k.factor must not be 0"]),
    ],
)
def test_errors_name_file_key_value_and_remedy(tmp_path, text, parts):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        complete(yaml.safe_load(text), [path])
    for part in [str(path), *parts]:
        assert part in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_all_errors_come_at_once():
    with pytest.raises(ConfigError) as error:
        complete({"shards": 0, "energy": {"bin": 1, "spacing_A": -1}, "uptake": {"max_steps": 5}})
    said = str(error.value).splitlines()
    assert len(said) == 4
    for key in ("'energy.bin'", "energy.spacing_A", "shards", "uptake.max_steps"):
        assert sum(f" {key}" in line for line in said) == 1, said


def test_a_key_from_the_command_line_is_said_to_be_so():
    with pytest.raises(ConfigError, match="command line"):
        complete({"shardz": 4})


@pytest.fixture
def files(tmp_path):
    """The default file, and two of the user's."""
    names = "default.yaml", "one.yaml", "two.yaml"
    texts = (
        "shards: 2\nstudy: default\ndiffusion: {timestep_fs: 2}\nlearning: {sizes: [40, 80]}",
        "shards: 3\ndiffusion: {n_molecules: 40}",
        "seed: 4",
    )
    for name, text in zip(names, texts, strict=True):
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in names]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("shards: 0", "shards"),
        ("study: 'my study'", "study"),
        ("diffusion: {timestep_fs: -1}", "diffusion.timestep_fs"),
        ("md: {timestep_fs: -1}", "diffusion.timestep_fs"),
        ("learning: {sizes: [40, 2]}", "learning.sizes.1"),
        # a check across keys blames who gave one of them
        ("diffusion: {production_ps: 3}", "diffusion.sample_ps"),
        ("structures: {target: {cif: a}}", "structures.target.cif"),
    ],
)
@pytest.mark.parametrize("place", [1, 2])
def test_the_file_that_holds_the_wrong_value_is_blamed(files, text, key, place):
    """Not the default file, which Snakemake lists last but reads first."""
    files[place].write_text(text)
    with pytest.raises(ConfigError) as error:
        load(*files)
    assert str(error.value).startswith(f"{files[place]}: ")
    assert key in str(error.value)


def test_a_wrong_value_of_the_default_file_or_the_command_line_is_its_own(files):
    default, one, two = files
    default.write_text("shards: 0\nseed: -1")
    one.write_text("seed: 3")
    with pytest.raises(ConfigError, match=rf"^{default}: shards must be at least 1, got 0"):
        load(default, one, two)
    default.write_text("shards: 2")
    merged = {"shards": "0", "seed": 4}
    with pytest.raises(ConfigError, match=r"^the command line \(--config\): shards must be"):
        complete(merged, [one, two, default])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_key_that_stands_twice_is_an_error(files, place):
    files[place].write_text("shards: 2\nuptake:\n  target_error: 0.1\n  target_error: 0.2\n")
    for read in (load, lambda default, *users: complete({}, [*users, default])):
        with pytest.raises(ConfigError) as error:
            read(*files)
        said = f"{files[place]}: the key 'target_error' stands twice, in lines 3 and 4"
        assert str(error.value).startswith(said)


def test_a_file_that_is_no_configuration_is_named(files):
    for text in (b"a: [", b"\xff\xfe", b"- a\n- b\n"):
        files[1].write_bytes(text)
        with pytest.raises(ConfigError, match=rf"^{files[1]}"):
            load(*files)
    files[1].write_text('{\n\t"seed": 5\n}')
    assert load(*files).seed == 4  # two.yaml's


# Old names


def test_old_names_of_blocks_are_read_with_a_warning(files, caplog):
    default, one, _ = files
    one.write_text("gcmc: {target_error: 0.05}")
    config = load(default, one)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"{one}: the block 'gcmc' is called 'uptake' now")
    assert config.uptake.target_error == 0.05
    assert not set(OLD_NAMES) & set(plain(config))


def test_an_old_name_is_merged_as_the_new_one_would_be(files):
    default, one, two = files
    # over the default file's block of the new name
    one.write_text("md: {timestep_fs: 1, crosscheck_params: {n_groups: 5}}")
    assert load(default, one).diffusion.timestep_fs == 1.0
    # under a later file's
    two.write_text("diffusion: {timestep_fs: 3, crosscheck_params: {n_molecules: 9}}")
    config = load(default, one, two).diffusion
    assert config.timestep_fs == 3.0
    assert config.crosscheck_params.n_groups == 5
    assert config.crosscheck_params.n_molecules == 9
    # and over an earlier one's
    assert load(default, two, one).diffusion.timestep_fs == 1.0
    # the command line goes before files
    merged = {"diffusion": {"timestep_fs": 2}, "md": {"timestep_fs": "4"}}
    assert complete(merged, [default]).diffusion.timestep_fs == 4.0
    merged = {"diffusion": {"timestep_fs": "4"}, "md": {"timestep_fs": 1}}
    one.write_text("md: {timestep_fs: 1}")
    assert complete(merged, [one, default]).diffusion.timestep_fs == 4.0


def test_both_names_at_once_are_refused(files):
    default, one, _ = files
    both = {"gcmc": {"target_error": 0.05}, "uptake": {"temperature_K": 300}}
    with pytest.raises(ConfigError, match="both 'gcmc' and 'uptake' are given"):
        complete(both)
    one.write_text(yaml.safe_dump(both))
    with pytest.raises(ConfigError, match=rf"^{one}: both 'gcmc' and 'uptake' are given"):
        load(default, one)
