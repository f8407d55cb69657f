"""The guests and temperatures of a study, and the tables that it can have of each.

The first of ``guests`` and of ``temperatures_K`` are the study's own: tables and labels of these go
by the names of stages and quantities alone. Others stand after the name: ``diffusion_N2``,
``uptake_CH4_400K``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from poreflux.base.canonical import canonical_json
from poreflux.base.errors import ConfigError
from poreflux.base.stage_names import STAGES
from poreflux.data.labels import Label, suffix
from poreflux.data.quantities import ACTIVATION

DIFFUSION = "diffusion"
# What a label may be of, and where the study says which there are.
_OF_A_LABEL = {"guest": "guests", "temperature_K": "temperatures_K"}


class Variant(NamedTuple):
    """A stage for one guest at one temperature: name of its tables, the stage, its settings."""

    table: str
    stage: str
    settings: Any

    @property
    def words(self) -> str:
        """What stands after the stage in a sentence: of which guest, where it is a further one."""
        return self.table.removeprefix(self.stage).replace("_", " ")


class Gases:
    """What a study may have tables of.

    Parameters
    ----------
    config : StudyConfig
        Complete.

    Attributes
    ----------
    own : dict of str to Settings
        The settings of each stage for the study's own guest and temperature.
    """

    def __init__(self, config):
        self.guests, self.temperatures_K = config.guests, config.temperatures_K
        self.own = {stage: config.settings_of(stage) for stage in STAGES}

    @cached_property
    def variants(self) -> dict[str, Variant]:
        """The stages for every guest and temperature, by the names of their tables.

        Those of the study's own come first.
        """
        found = {stage: Variant(stage, stage, self.own[stage]) for stage in STAGES}
        for table, stage, changes in self._further():
            if table not in self.impossible:
                found[table] = Variant(table, stage, self.own[stage].changed(**changes))
        return found

    @cached_property
    def impossible(self) -> dict[str, str]:
        """Why there is no table of some guest at some temperature, where it is liquid, say."""
        found = {}
        for table, stage, changes in self._further():
            try:
                self.own[stage].changed(**changes)
            except ConfigError as error:
                found[table] = f"there can be no table {table}: {error}"
        return found

    @cached_property
    def activations(self) -> dict[str, dict[float, str]]:
        """The tables of activation energies: for each, by temperature, those behind it."""
        temperatures = self.temperatures_K
        guests = self.guests or (self.own[DIFFUSION].guest,)
        return {
            ACTIVATION + self.table_name(DIFFUSION, guest).removeprefix(DIFFUSION): {
                t: self.table_name(DIFFUSION, guest, t) for t in temperatures
            }
            for guest in guests
            if len(temperatures) > 1
        }

    def _further(self) -> Iterator[tuple[str, str, dict]]:
        """Tables beyond the study's own, their stages, and what their settings change."""
        for stage, settings in self.own.items():
            keys = [key for key in _OF_A_LABEL if key in type(settings).model_fields]
            if not keys:
                continue
            warm = self.temperatures_K if "temperature_K" in keys else ()
            for guest in self.guests or (settings.guest,):
                for temperature_K in warm or (getattr(settings, "temperature_K", None),):
                    table = self.table_name(stage, guest, temperature_K)
                    if table != stage:
                        changes = {"guest": guest, "temperature_K": temperature_K}
                        yield table, stage, {key: changes[key] for key in keys}

    def table_name(
        self, stage: str, guest: str | None = None, temperature_K: float | None = None
    ) -> str:
        """The name of a stage's table for a guest and temperature; None: the study's own."""
        own = self.own[stage]
        own_guest = getattr(own, "guest", None)
        guest = own_guest and (guest or own_guest)
        if temperature_K == getattr(own, "temperature_K", temperature_K):
            temperature_K = None
        return (
            stage
            if (guest, temperature_K) == (own_guest, None)
            else (stage + suffix(guest, temperature_K))
        )

    def table_of(self, label: Label) -> str:
        """The name of the table that a label is in."""
        stage = label.quantity.stage
        behind = stage_behind(stage)
        table = self.table_name(behind, label.guest, label.temperature_K)
        return stage + table.removeprefix(behind)

    def made_of(self, table: str) -> list[str]:
        """The tables that a stage computes behind a table: of an activation energy, several."""
        return [*self.activations[table].values()] if table in self.activations else [table]

    def short(self, label: Label) -> Label:
        """A label without the study's own guest and temperature.

        Raises
        ------
        ConfigError
            If its stage knows none, or the study has no such guest or temperature.
        """
        stage = label.quantity.stage
        own = self.own[stage_behind(stage)]
        keys = set(type(own).model_fields) - ({"temperature_K"} if stage == ACTIVATION else set())
        changes: dict[str, Any] = {}
        for key, many in _OF_A_LABEL.items():
            value = getattr(label, key)
            if value is None:
                continue
            if key not in keys:
                raise ConfigError(
                    f"there is no label {label.name}: {label.quantity.name} does not depend on the "
                    f"{key.removesuffix('_K')}; write {replace(label, **{key: None}).name}"
                )
            known = getattr(self, many) or (getattr(own, key),)
            if value not in known:
                raise ConfigError(
                    f"the label {label.name} is of none of the study's {many} "
                    f"({canonical_json(list(known))}); add it there"
                )
            changes[key] = None if value == getattr(own, key) else value
        if changes.get("temperature_K") and not changes.get("guest"):
            changes["guest"] = own.guest
        return replace(label, **changes)


def stage_behind(stage: str) -> str:
    """The stage that a table comes from: activation energies are of diffusivities."""
    return DIFFUSION if stage == ACTIVATION else stage
