"""Predictions for CIF files: made, shown, written."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from poreflux.base.tables import csv_text, write_csv
from poreflux.prediction import COLUMNS, Prediction, predict, shipped
from poreflux.run.commands.files import members_of, to_json, will_compile
from poreflux.run.commands.plans import tell
from poreflux.run.commands.show import DIRECTIONS, WIDTH

# More than so many files are shown as a table, a row each.
FEW = 3
STAGES = ("percolation", "geometry")


def run(
    files: Sequence[str],
    *,
    guest: str,
    simulate: bool,
    card: bool,
    csv: str | None,
    json: bool,
) -> int:
    """Predict for CIF files, show and write what was found.

    Parameters
    ----------
    files : sequence of str
        CIF files, folders and globs of them.
    guest, simulate, card, csv, json
        As on the command line.

    Returns
    -------
    int
        How many files failed.

    Raises
    ------
    ConfigError
        If no model ships for the guest, or a folder holds no CIFs.
    """
    shipped.model(guest)
    members = members_of(files)
    if any(map(will_compile, (*STAGES, *(["diffusion"] if simulate else [])))):
        tell("Compiling the kernels, once per version: about a minute")
    errors = Console(stderr=True)
    found = [
        predict(path, guest=guest, simulate=simulate, name=name)
        for name, path in track(
            members.items(), "Predicting", console=errors, transient=True, disable=len(members) < 2
        )
    ]
    table = pd.DataFrame(found, columns=COLUMNS)
    if csv == "-":
        sys.stdout.write(csv_text(table))
    elif csv:
        write_csv(table, csv)
    if json:
        sys.stdout.write(to_json(table))
    elif csv != "-":
        _show(found, guest, card)
    return sum(one.status == "failed" for one in found)


def _show(found: Sequence[Prediction], guest: str, card: bool) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    if card:
        console.print(_card(guest))
    if len(found) <= FEW:
        for one in found:
            console.print(_one(one))
    else:
        console.print(_many(found))
    if any(one.status == "ok" and math.isnan(one.simulated_d_m2_s) for one in found):
        console.print("Simulate the same with --simulate, a second or two each.", style="dim")


def _one(found: Prediction) -> Table:
    """One structure, a line per fact."""
    shown = Table.grid(padding=(0, 2))
    shown.title, shown.title_justify = escape(found.name), "left"
    shown.title_style = "bold"
    for head, text in _facts(found):
        shown.add_row(f"  {head}", text)
    return shown


def _facts(found: Prediction) -> list[tuple[str, str]]:
    if found.status == "failed":
        return [("[red]failed[/]", escape(found.reason))]
    facts = []
    if found.status == "ok":
        where = f"{found.guest}, {found.temperature_K:g} K, infinite dilution"
        interval = f"90 %: {found.d_low_m2_s:.1e} to {found.d_high_m2_s:.1e}"
        facts.append(("D, predicted", f"[bold]{found.d_m2_s:.1e}[/] m²/s  ({interval}); {where}"))
        if not math.isnan(found.simulated_d_m2_s):
            error = f"± {found.simulated_d_err_m2_s:.0e}"
            facts.append(("D, simulated", f"[bold]{found.simulated_d_m2_s:.2e}[/] m²/s {error}"))
        similar = "like" if found.in_domain else "[yellow]unlike[/]"
        domain = f"{similar} those learnt from; nearest: {found.nearest}"
        if found.trained_on:
            domain = f"is one of those learnt from: {found.trained_on}"
        facts.append(("structure", domain))
    else:
        facts.append(("D", "[yellow]none[/]"))
    facts += [
        ("largest cavity", f"{found.lcd_A:.2f} Å"),
        ("pore limit", f"{found.pld_A:.2f} Å"),
        ("channels run in", DIRECTIONS[found.dimensionality]),
        ("Henry coefficient", f"{found.henry_mol_kg_bar:.3g} mol/kg/bar"),
    ]
    if not math.isnan(found.heat_of_adsorption_kJ_mol):
        facts.append(("heat of adsorption", f"{found.heat_of_adsorption_kJ_mol:.1f} kJ/mol"))
    if found.note:
        facts.append(("[yellow]note[/]", escape(found.note)))
    if found.warnings:
        facts.append(("[yellow]check[/]", escape(found.warnings)))
    return facts


def _many(found: Sequence[Prediction]) -> Table:
    """Many structures, a row each."""
    title = f"D of {found[0].guest} at {found[0].temperature_K:g} K, infinite dilution"
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    shown.add_column("file", overflow="fold")
    heads = ["D\nm²/s", "90 %\nfrom", "\nto", "pore limit\nÅ", "channels\nrun in"]
    simulated = any(not math.isnan(one.simulated_d_m2_s) for one in found)
    heads[3:3] = ["simulated\nm²/s"] if simulated else []
    for head in heads:
        shown.add_column(head, justify="right")
    shown.add_column("note", overflow="fold")
    for one in found:
        numbers = [_short(x) for x in (one.d_m2_s, one.d_low_m2_s, one.d_high_m2_s)]
        numbers += [_short(one.simulated_d_m2_s, 2)] if simulated else []
        pores = ["", ""]
        if one.status != "failed":
            pores = [f"{one.pld_A:.2f}", DIRECTIONS[one.dimensionality]]
        note = {"failed": one.reason, "closed": "no channel"}.get(one.status, one.note)
        shown.add_row(escape(one.name), *numbers, *pores, escape(note))
    return shown


def _short(value: float, digits: int = 1) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}e}"


def _card(guest: str) -> Table:
    """What a model learnt from, and how good it is."""
    card = shipped.card()
    model = card["models"][guest]
    held_out = model["held_out"]
    shown = Table.grid(padding=(0, 2))
    shown.title, shown.title_justify, shown.title_style = f"Model of {guest}", "left", "bold"
    for head, text in (
        ("version", f"{card['version']} of {card['date']}, {card['licence']}"),
        ("learnt", model["label"]),
        ("from", f"{model['structures']} structures of CoRE MOF 2019"),
        ("by", f"{model['draws']} models, {model['learner']}"),
        (
            "unseen",
            f"R² {held_out['r2']:.3f}, error {held_out['rmse_decades']:.2f} decades (root mean "
            f"square), {held_out['median_abs_error_decades']:.2f} (median)",
        ),
        ("90 % interval", f"holds {held_out['coverage_of_90_percent']:.0%} of those unseen"),
    ):
        shown.add_row(f"  {head}", text)
    return shown
