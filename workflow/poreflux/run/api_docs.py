"""The page on all names of the Python API, from their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import poreflux
from poreflux.base.endings import unit
from poreflux.base.errors import PorefluxError
from poreflux.base.results import Result

COMMAND = "make config-docs"


def reference() -> str:
    """The page, as Markdown."""
    found = [getattr(poreflux, name) for name in poreflux.__all__]
    functions = [each for each in found if inspect.isfunction(each)]
    errors = [c for c in found if inspect.isclass(c) and issubclass(c, PorefluxError)]
    lines = [
        "# Python: reference",
        "",
        f"Written by `{COMMAND}` from the docstrings. How it all goes together is on the page "
        "[Python](api.md).",
        "",
        *_class(poreflux.Structure),
    ]
    for function in functions:
        lines += _function(function)
    lines += ["## Results", "", "All have `to_frame()`, `plot(ax)` and `columns()`.", ""]
    for result in (*_results(functions), poreflux.uptake.UptakePoint):
        lines += _result(result)
    lines += ["## Errors", ""]
    lines += [f"- `poreflux.{error.__name__}`: {_summary(error)}" for error in errors]
    return _plain("\n".join(lines)).rstrip() + "\n"


def _function(function) -> Iterator[str]:
    sections = _sections(function)
    yield from (f"## {function.__name__}", "", *_call(function), sections.pop(""), "")
    if parameters := sections.pop("Parameters", ""):
        known = inspect.signature(function).parameters
        yield from ("| parameter | default | meaning |", "| --- | --- | --- |")
        for head, text in _items(parameters):
            name, _, kind = head.partition(" : ")
            default = known[name].default
            shown = "" if default is inspect.Parameter.empty else f"`{default!r}`"
            kind = "" if kind.startswith("default") else f" ({kind})"
            yield f"| `{name}` | {shown} | {_cell(text)}{_cell(kind)} |"
        yield ""
    for title in ("Returns", "Raises"):
        for head, text in _items(sections.pop(title, "")):
            yield f"- {title} `{head}`" + (f": {text}" if text else "")
    yield ""
    if "Notes" in sections:
        yield from (sections["Notes"], "")


def _call(function) -> list[str]:
    names = [
        name if p.default is p.empty else f"{name}=..."
        for name, p in inspect.signature(function).parameters.items()
    ]
    shown = [*names[:3], "..."] if len(names) > 4 else names
    return ["```py", f"poreflux.{function.__name__}({', '.join(shown)})", "```", ""]


def _class(cls) -> Iterator[str]:
    """Attributes, properties and methods of a class that users make objects of."""
    yield from (f"## {cls.__name__}", "", _sections(cls)[""], "")
    yield from ("| member | meaning |", "| --- | --- |")
    for names, text in _attributes(cls):
        yield f"| {_code(names)} | {_cell(text)} |"
    for name, member in vars(cls).items():
        if not name.startswith("_") and inspect.getdoc(member):
            yield f"| `{name}{_arguments(member)}` | {_cell(_summary(member))} |"
    yield ""


def _result(cls) -> Iterator[str]:
    yield from (f"### {cls.__name__}", "", _sections(cls)[""], "")
    yield from ("| attribute | unit | meaning |", "| --- | --- | --- |")
    for names, text in _attributes(cls):
        units = ", ".join(dict.fromkeys(filter(None, map(unit, names))))
        yield f"| {_code(names)} | {units} | {_cell(text)} |"
    for name, member in vars(cls).items():
        if isinstance(member, property):
            yield f"| `{name}` | {unit(name)} | {_cell(_summary(member))} |"
    yield ""


def _results(functions) -> Iterator[type[Result]]:
    """What the functions return."""
    for function in functions:
        kind = inspect.signature(function).return_annotation
        found = vars(inspect.getmodule(function)).get(kind)
        if inspect.isclass(found) and issubclass(found, Result):
            yield found


def _attributes(cls) -> Iterator[tuple[list[str], str]]:
    """Names that are explained together, and the text."""
    for head, text in _items(_sections(cls).get("Attributes", "")):
        yield head.partition(" : ")[0].split(", "), text


def _code(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _arguments(member) -> str:
    function = getattr(member, "__func__", member)
    if not inspect.isfunction(function):
        return ""
    given = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return f"({', '.join(given)})"


def _sections(described) -> dict[str, str]:
    """Sections of a docstring by title; what stands before them has none."""
    parts = re.split(r"^(.+)\n-{3,}$", inspect.getdoc(described) or "", flags=re.MULTILINE)
    return {"": parts[0].strip()} | {
        title: text.strip("\n") for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _items(text: str) -> list[tuple[str, str]]:
    """Heads and texts of a section of names, such as "Parameters"."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith(" ") and found:
            found[-1][1].append(line.strip())
        elif line.strip():
            found.append((line.strip(), []))
    return [(head, " ".join(lines)) for head, lines in found]


def _summary(described) -> str:
    return " ".join(_sections(described)[""].split("\n\n")[0].split())


def _plain(text: str) -> str:
    """Without the marks of Sphinx."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda m: f"`{m[1].removeprefix('poreflux.')}`", text)
    return re.sub(r"(?<!`)``(?!`)", "`", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
