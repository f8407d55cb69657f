"""Every key of the configuration with values that mean nothing: refused by name, or harmless."""

import math

import pytest
import yaml

from poreflux.base.errors import ConfigError
from poreflux.run.config import complete
from poreflux.run.settings import StudyConfig

HOSTILE = (
    math.nan, math.inf, -math.inf, -1e300, 1e300, -1, 0.5, 10**30, True, "abc", "1e3", "", "nan",
    " ", "a\nb", "{x}", [], {}, [[]], [math.nan], [None], {"": None}, {"a": {"b": 1}},
    "2026-01-01", b"bytes",
)  # fmt: skip


def leaves(tree, path=()):
    """Path of every key that holds no mapping."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def keys(root):
    text = (root / "config" / "config.default.yaml").read_text(encoding="utf-8")
    return list(leaves(yaml.safe_load(text)))


def numbers(value):
    """Every number in a tree."""
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, float) else []


def nested(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def test_no_value_of_any_key_gets_through_that_is_no_number_or_is_not_named(root):
    outcomes = {"refused": 0, "taken": 0}
    for path in keys(root):
        for value in HOSTILE:
            case = f"{'.'.join(path)} = {value!r}"
            try:
                config = complete(nested(path, value))
            except ConfigError as error:
                assert path[-1] in str(error) or path[0] in str(error), f"{case}: {error}"
                outcomes["refused"] += 1
                continue
            except Exception as error:
                raise AssertionError(f"{case}: {error!r}") from error
            plain = config.model_dump(mode="json")
            limits = plain["limits"]  # .inf switches one off
            assert all(map(math.isfinite, numbers(plain | {"limits": {}}))), case
            assert not any(map(math.isnan, numbers(limits))), case
            # what was understood is a valid configuration and means the same when it is read again
            assert StudyConfig.model_validate(plain).model_dump(mode="json") == plain, case
            outcomes["taken"] += 1
    assert outcomes["refused"] > 5 * outcomes["taken"], outcomes


@pytest.mark.parametrize("value", [None, [], "abc", 1, [{}], math.nan])
def test_a_block_that_is_no_block_is_named(value):
    for block in StudyConfig.model_fields:
        try:
            complete({block: value})
        except ConfigError as error:
            assert block in str(error)
