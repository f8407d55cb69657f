"""Settings as parameters of functions: what each means, and settings made of arguments."""

from __future__ import annotations

import inspect
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from poreflux.base.settings import Settings, names_checked, unit_of

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=Settings)
WIDTH = 88


def takes(model: type[Settings]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a function whose keyword arguments are settings.

    It checks their names (:func:`poreflux.base.settings.names_checked`), and puts what each
    means before the section "Returns" of the docstring, which ends with "Parameters" there.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        checked = names_checked(model)(function)
        if function.__doc__:
            head, line, tail = inspect.cleandoc(function.__doc__).partition("\n\nReturns\n")
            checked.__doc__ = "\n".join([head, *_explained(function, model)]) + line + tail
        return checked

    return decorate


def settings_of(model: type[S], arguments: Mapping[str, Any]) -> S:
    """The settings among the arguments of a function, such as its ``locals()``.

    Numbers and arrays of numpy count as those of Python.
    """
    given = {name: arguments[name] for name in model.model_fields if name in arguments}
    return model(**{k: v.tolist() if hasattr(v, "tolist") else v for k, v in given.items()})


def _explained(function: Callable, model: type[Settings]) -> Iterator[str]:
    for name, parameter in inspect.signature(function).parameters.items():
        if name in model.model_fields:
            yield f"{name} : default {parameter.default!r}"
            yield textwrap.fill(
                meaning(model.model_fields[name]),
                WIDTH,
                initial_indent="    ",
                subsequent_indent="    ",
                break_on_hyphens=False,
            )


def meaning(field: FieldInfo) -> str:
    """Meaning, unit and range of a key in one line: ``probe of the areas [Å; above 0]``."""
    facts = [*filter(None, (unit_of(field), allowed(field)))]
    return f"{field.description}" + (f" [{'; '.join(facts)}]" if facts else "")


def allowed(field: FieldInfo) -> str:
    """The range of a key, or the values that it may have, in words."""
    found = [_range(field.metadata)]
    for kind, marks in _members(field.annotation):
        found += [_range(marks), _choices(kind)]
        if get_origin(kind) is tuple:
            for item, of_item in _members(get_args(kind)[0]):
                words = [*filter(None, (_range(of_item), _choices(item)))]
                found += [f"each {' and '.join(words)}"] if words else []
    return "; ".join(dict.fromkeys(filter(None, found)))


def _members(annotation, marks: tuple = ()) -> Iterator[tuple[Any, list]]:
    """The types that a value may have, with the constraints on each."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        for mark in more:
            marks += tuple(mark.metadata) if isinstance(mark, FieldInfo) else (mark,)
        yield from _members(inner, marks)
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _members(part, marks)
    else:
        yield annotation, [*marks]


def _choices(kind) -> str:
    return f"one of {', '.join(map(str, get_args(kind)))}" if get_origin(kind) is Literal else ""


def _range(marks: Iterable) -> str:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = []
    for mark in marks:
        for name, word in words.items():
            if (bound := getattr(mark, name, None)) is not None:
                found.append(f"{word} {bound:,}".removesuffix(".0"))
        if getattr(mark, "min_length", None):
            found.append("not empty")
    return ", ".join(found)
