"""The configuration: closed, complete, and errors that say what to do."""

import copy

import jsonschema
import numpy as np
import pytest
import yaml

from poreflux.base.errors import ConfigError
from poreflux.run.config import complete, load_schema


@pytest.fixture(scope="module")
def schema(root):
    return load_schema(root / "config" / "schema.json")


def every_object(schema, path="config"):
    if "object" in np.atleast_1d(schema.get("type", [])):
        yield path, schema
        if isinstance(schema.get("additionalProperties"), dict):
            yield from every_object(schema["additionalProperties"], f"{path}.*")
    for key, sub in schema.get("properties", {}).items():
        yield from every_object(sub, f"{path}.{key}")
    for key, sub in schema.get("$defs", {}).items():
        yield from every_object(sub, f"$defs.{key}")


def test_schema_is_valid_closed_and_described(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    for path, sub in every_object(schema):
        assert "additionalProperties" in sub, path
        # a name of the user's own stands for a value whose kind is stated
        extra = sub["additionalProperties"]
        assert extra is False or "$ref" in extra or "type" in extra, path
        for key, leaf in sub.get("properties", {}).items():
            assert "$ref" in leaf or leaf.get("description"), f"{path}.{key} lacks a description"


def test_shipped_configurations_are_valid(root, schema):
    for path in sorted((root / "config").glob("*.yaml")):
        complete(yaml.safe_load(path.read_text()), schema, [path])


def test_defaults_fill_at_any_depth_and_numbers_are_normal(schema):
    config = complete({"gcmc": {"temperature_K": 300}, "structures": {"x": {"cifs": "a"}}}, schema)
    assert config["energy"]["bins"] == 50
    assert config["structures"]["x"]["stages"][-1] == "diffusion"
    assert config["gcmc"]["temperature_K"] == 300.0
    assert type(config["gcmc"]["temperature_K"]) is float
    assert complete(config, schema) == config


def test_a_part_that_may_be_null_is_filled_where_it_is_given(schema):
    assert complete({}, schema)["synthesis"] is None
    column = {"name": "size", "unit": "nm"}
    given = {"target": column, "group": "doi", "numeric": {"t": {"min": 1}}}
    tables = {"literature": "a.csv", "in_house": "b.csv", "columns": given}
    filled = complete({"synthesis": tables}, schema)["synthesis"]
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
        complete({"synthesis": tables}, schema)


def test_a_set_given_as_null_is_left_out(schema):
    sets = {"x": {"cifs": "a"}, "y": {"cifs": "b"}}
    for nothing in (None, "null"):
        config = complete({"structures": sets | {"source": nothing, "y": nothing}}, schema)
        assert "source" not in config["structures"]
        assert "y" not in config["structures"]
        assert config["structures"]["x"]["cifs"] == "a"


def test_values_inside_braces_on_the_command_line_arrive_as_strings(schema):
    given = {
        "md": {"n_molecules": "41", "timestep_fs": "2", "engine": "grid"},
        "gcmc": {"block_pockets": "false"},
        "learning": {"sizes": ["10", "20"], "source_pressures_bar": ["1", "65"]},
        "structures": {"target": {"limit": "5", "cifs": "my/*.cif"}, "x": {"cifs": "null"}},
    }
    config = complete(given, schema)
    assert config["md"]["n_molecules"] == 41
    assert config["md"]["timestep_fs"] == 2.0
    assert config["gcmc"]["block_pockets"] is False
    assert config["learning"]["sizes"] == [10, 20]
    assert config["learning"]["source_pressures_bar"] == [1.0, 65.0]
    assert config["structures"]["target"]["limit"] == 5
    assert config["structures"]["target"]["cifs"] == "my/*.cif"
    assert config["structures"]["x"]["cifs"] is None


def test_input_is_not_changed(schema):
    config = {"gcmc": {"temperature_K": 300}}
    before = copy.deepcopy(config)
    complete(config, schema)
    assert config == before


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gcmc: {temperatur_K: 298}", ["gcmc.temperatur_K", "did you mean 'temperature_K'"]),
        ("gcm: {}", ["'gcm'", "did you mean 'gcmc'"]),
        ("energy: {bins: many}", ["energy.bins", "type integer", "'many'"]),
        ("energy: {bins: 0}", ["energy.bins", "at least 1", "0"]),
        ("gcmc: {engine: raspa}", ["gcmc.engine", "grid, raspa3", "did you mean 'raspa3'"]),
        ("learning: {sizes: []}", ["learning.sizes", "at least 1"]),
        ("structures: {target: {cif: x}}", ["structures.target.cif", "did you mean 'cifs'"]),
        ("structures: {target: {limit: 0}}", ["structures.target.limit", "0"]),
    ],
)
def test_errors_name_file_key_value_and_remedy(schema, tmp_path, text, parts):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        complete(yaml.safe_load(text), schema, [path])
    for part in [str(path), *parts]:
        assert part in str(error.value)


def test_a_key_from_the_command_line_is_said_to_be_so(schema):
    with pytest.raises(ConfigError, match="command line"):
        complete({"shardz": 4}, schema, [])
