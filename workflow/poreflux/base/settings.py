"""Settings: declared once, typed, closed and frozen, with errors that say what to change.

A settings class says of each key its type, default, range, unit and meaning. The configuration,
its JSON schema, the commented default file and the table in the documentation come from these.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, ParamSpec, Self, TypeVar, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from poreflux.base.errors import ConfigError

T = TypeVar("T")
P = ParamSpec("P")


def _in(unit: str):
    return Annotated[float, Field(json_schema_extra={"unit": unit})]


Angstrom, Kelvin, Bar, KT = _in("Å"), _in("K"), _in("bar"), _in("kT")
Femtoseconds, Picoseconds, Seconds, Megabytes = _in("fs"), _in("ps"), _in("s"), _in("MB")


def _distinct(values: tuple) -> tuple:
    if len({(type(value), value) for value in values}) < len(values):
        raise ValueError("must not hold a value twice")
    return values


# A list in YAML; kept as a tuple, for settings do not change.
Many = Annotated[tuple[T, ...], Strict(False)]
Distinct = Annotated[
    tuple[T, ...],
    Strict(False),
    AfterValidator(_distinct),
    Field(json_schema_extra={"uniqueItems": True}),
]

# What JSON calls the types that pydantic found missing.
_TYPES = {
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "string_type": "string",
    "bool_type": "boolean",
    "tuple_type": "array",
    "dict_type": "object",
    "model_type": "object",
    "model_attributes_type": "object",
    "none_required": "null",
}


class Mistake(ValueError):
    """A check across keys failed; for validators of a settings class.

    Parameters
    ----------
    key : str
        The key to change.
    rule : str
        What must be: ``must be at least production_ps (1000 ps)``.
    value
        What is.
    """

    def __init__(self, key: str, rule: str, value: Any):
        self.key, self.rule, self.value = key, rule, value
        super().__init__(f"{key} {rule}, got {value!r}")


class Settings(BaseModel):
    """Base of all settings classes: closed, frozen, strict about types, finite numbers.

    Raises
    ------
    ConfigError
        Where a value is wrong; the message names key, value, range and the nearest valid key,
        for all mistakes at once.
    """

    model_config = ConfigDict(
        defer_build=True, extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )
    # Where its keys stand in the configuration.
    block: ClassVar[str] = ""

    def __init__(self, /, **given):
        try:
            super().__init__(**given)
        except ValidationError as error:
            found = problems(error, type(self), tuple(filter(None, [self.block])))
            raise ConfigError("\n".join(problem.text for problem in found)) from None

    # So that pydantic collects the mistakes of settings inside others, without calling this.
    __init__.__pydantic_base_init__ = True

    @model_validator(mode="before")
    @classmethod
    def _whole_numbers(cls, given):
        """40.0 is 40 where a whole number is wanted, so that both give the same results."""
        if not isinstance(given, Mapping):
            return given
        fields = cls.model_fields
        meant = {k: whole(v, fields[k].annotation) if k in fields else v for k, v in given.items()}
        for key, value in meant.items():
            if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
                raise Mistake(key, f"must be at most {LARGEST_WHOLE}", value)
        return meant

    @classmethod
    def chosen(cls, settings: Self | None, changes: Mapping[str, Any]) -> Self:
        """``settings``, or the defaults, but for ``changes``."""
        return (settings or cls()).changed(**changes) if changes else settings or cls()

    def changed(self, **changes) -> Self:
        """The same settings but for ``changes``, checked as a whole."""
        return type(self)(**dict(self) | changes)


# Whole numbers beyond have no place in 64 bits.
LARGEST_WHOLE = 2**63 - 1


def whole(value, annotation):
    """A value with integers, as Python has them, for whole floats and numpy's integers.

    Only where the annotation asks for an integer and for no float, at any depth of lists and
    dicts.
    """
    kinds = [*kinds_of(annotation)]
    if isinstance(value, numbers.Integral) and not isinstance(value, (bool, int)):
        value = int(value)
    if isinstance(value, float) and int in kinds and float not in kinds:
        return int(value) if value.is_integer() and abs(value) <= LARGEST_WHOLE else value
    if isinstance(value, (list, tuple)):
        return type(value)(_inner(each, kinds, i) for i, each in enumerate(value))
    # settings inside see to their own
    if isinstance(value, dict) and not any(map(_is_model, kinds)):
        return {key: _inner(each, kinds, key) for key, each in value.items()}
    return value


def _inner(value, kinds: list, part: str | int):
    found = [there for kind in kinds if (there := inside(kind, part))]
    return whole(value, found[0][0]) if found else value


@dataclass(frozen=True)
class Problem:
    """One mistake: ``path`` of the key, ``value`` there and the ``text`` that says it all."""

    path: tuple[str | int, ...]
    value: Any
    text: str


def problems(
    error: ValidationError, model: type[BaseModel], prefix: tuple[str, ...] = ()
) -> list[Problem]:
    """What pydantic found, in words: key path, rule, value, meaning, nearest valid key.

    Parameters
    ----------
    error : ValidationError
        Of ``model``.
    model : type of BaseModel
        Whose annotations give meaning and valid keys.
    prefix : tuple of str
        Put before every path.

    Returns
    -------
    list of Problem
        Sorted by path. Of a key that may be of several types, the mistakes of the type that the
        value has.
    """
    found = []
    said: dict[tuple, Problem] = {}
    for one in error.errors(include_url=False):
        # pydantic counts the entries that are right
        if one["type"] == "too_short" and len(one["input"]) >= one["ctx"]["min_length"]:
            continue
        if one["loc"] and one["loc"][-1] == "[key]":
            *path, name = one["loc"][:-1]
            rule = _rule(one, None, name) if one["type"] not in _TYPES else "must be text: quote it"
            text = f"{'.'.join(map(str, (*prefix, *path)))}: the name {name!r} {rule}"
            said[(*prefix, *path, name)] = Problem((*prefix, *path, name), name, text)
            continue
        path, field, kinds = _locate(model, one["loc"])
        found.append((path, one, field, kinds))
    wrong_types = {path for path, one, *_ in found if one["type"] in _TYPES}
    better = {
        path
        for path in wrong_types
        for other, one, *_ in found
        if other[: len(path)] == path and (other != path or one["type"] not in _TYPES)
    }
    for path, one, field, kinds in found:
        kind, value = one["type"], one["input"]
        if kind in _TYPES:
            if path in better:
                continue
            wanted = dict.fromkeys(
                _TYPES[o["type"]] for p, o, *_ in found if p == path and o["type"] in _TYPES
            )
            rule = f"must be of type {' or '.join(wanted)}"
        elif kind == "extra_forbidden":
            known = sorted({key for k in kinds if _is_model(k) for key in k.model_fields})
            near = nearest(str(path[-1]), known)
            hint = f"did you mean {near!r}? " if near else ""
            name = ".".join(map(str, (*prefix, *path)))
            text = f"unknown key {name!r}; {hint}Valid keys here: {', '.join(known)}"
            said[prefix + path] = Problem(prefix + path, value, text)
            continue
        elif kind == "missing":
            name = ".".join(map(str, (*prefix, *path[:-1]))) or "(top level)"
            text = f"{name} {path[-1]!r} is a required property"
            said[prefix + path] = Problem(prefix + path, value, text)
            continue
        elif isinstance(one.get("ctx", {}).get("error"), Mistake):
            mistake = one["ctx"]["error"]
            path, rule, value = (*path, mistake.key), mistake.rule, mistake.value
            _, field, _ = _locate(model, path)
        else:
            rule = _rule(one, field, value)
        name = ".".join(map(str, (*prefix, *path))) or "(top level)"
        meaning = f" ({field.description})" if field and field.description else ""
        text = f"{name} {rule}, got {value!r}{meaning}"
        said.setdefault(prefix + path, Problem(prefix + path, value, text))
    return sorted(said.values(), key=lambda problem: [str(part) for part in problem.path])


def _rule(one: Mapping, field: FieldInfo | None, value) -> str:
    kind, context = one["type"], one.get("ctx", {})
    unit = f" {unit_of(field)}" if field and unit_of(field) else ""
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        near = nearest(value, allowed) if isinstance(value, str) else None
        hint = f"; did you mean {near!r}?" if near else ""
        return f"must be one of {', '.join(allowed)}{hint}"
    if kind == "value_error":
        return str(context["error"])
    bounds = {
        "greater_than": ("above", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("below", "lt"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in bounds:
        word, name = bounds[kind]
        return f"must be {word} {context[name]:g}{unit}"
    if kind == "too_short":
        least = context["min_length"]
        return "must not be empty: at least 1 entry" if least == 1 else f"needs {least} entries"
    if kind == "too_long":
        return f"must have at most {context['max_length']} entries"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}"
    if kind == "finite_number":
        return "must be a finite number"
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    return one["msg"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was meant, if it can be told: ``temperature_K`` for ``temp`` and ``Temp_K``."""
    by_lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    if not near and len(name) > 2:
        near = [each for each in by_lower if each.startswith(name.lower())]
    return by_lower[near[0]] if near else None


def names_checked(
    model: type[Settings] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorator of a function: of an argument it does not have, it says which one was meant.

    Parameters
    ----------
    model : type of Settings, optional
        The settings that the function takes, as its parameters or as one of them.

    Raises
    ------
    ConfigError
        By the decorated function, in place of Python's TypeError.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        known = signature.parameters

        @functools.wraps(function)
        def checked(*args: P.args, **given: P.kwargs) -> T:
            try:
                signature.bind(*args, **given)
            except TypeError:
                by_name = [n for n, p in known.items() if p.kind is p.KEYWORD_ONLY]
                if len(args) > len(known) - len(by_name):
                    text = f"{function.__name__}(): give these by name: {', '.join(by_name)}"
                else:
                    text = _misnamed(function.__name__, [*known], model, given)
                if text:
                    raise ConfigError(text) from None
                raise
            return function(*args, **given)

        return checked

    return decorate


def _misnamed(function: str, known: list[str], model: type[Settings] | None, given: Mapping) -> str:
    """What to say of the first argument that a function does not have; empty if it has all."""
    for name in given:
        if name in known:
            continue
        near = nearest(name, [*known, *(model.model_fields if model else ())])
        if near and near not in known:
            near = f"settings={model.__name__}({near}=...)"
        hint = f"; did you mean {near}?" if near else "."
        return f"{function}() has no parameter {name!r}{hint} It takes {', '.join(known)}"
    return ""


def unit_of(field: FieldInfo) -> str:
    """The unit of a key, or of the numbers in its list; empty where it has none."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and extra.get("unit"):
        return extra["unit"]
    for kind in kinds_of(field.annotation):
        if get_origin(kind) is tuple:
            for item in get_args(kind):
                for part in getattr(item, "__metadata__", ()):
                    if isinstance(part, FieldInfo) and unit_of(part):
                        return unit_of(part)
    return ""


def kinds_of(annotation) -> Iterator:
    """The types that a value may have: unions taken apart, ``Annotated`` unwrapped."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from kinds_of(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from kinds_of(part)
    else:
        yield annotation


def _is_model(kind) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def inside(kind, part: str | int) -> tuple[Any, FieldInfo | None] | None:
    """Annotation and field of what stands at ``part`` in a value of a type; None if nothing can."""
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return (field.annotation, field) if field else None
    arguments = get_args(kind)
    if get_origin(kind) is dict and isinstance(part, str):
        return arguments[1], None
    if get_origin(kind) is tuple and isinstance(part, int):
        return arguments[0 if arguments[-1] is Ellipsis else part], None
    return None


def _locate(model: type[BaseModel], loc: tuple) -> tuple[tuple, FieldInfo | None, list]:
    """Path without pydantic's marks of union members, the field there, and types around it."""
    kinds, around, path, field = [model], [model], [], None
    for i, part in enumerate(loc):
        found = [there for kind in kinds if (there := inside(kind, part))]
        if found:
            path.append(part)
            around = kinds
            field = next((f for _, f in found if f), field)
            kinds = [kind for annotation, _ in found for kind in kinds_of(annotation)]
        elif i == len(loc) - 1 and any(map(_is_model, kinds)):
            path.append(part)  # a key that is not there
            around = kinds
    return tuple(path), field, around
