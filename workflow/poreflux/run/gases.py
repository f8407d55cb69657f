"""The guests and temperatures of a study, and the tables that it can have of each.

The first of ``guests`` and of ``temperatures_K`` are the study's own: tables and labels of these go
by the names of stages and quantities alone. Others stand after the name: ``diffusion_N2``,
``uptake_CH4_400K``. Others are those that the two keys list, and those that a label of the learning
names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

from poreflux.base.errors import ConfigError
from poreflux.base.stage_names import STAGES
from poreflux.data.labels import Label, parted, suffix
from poreflux.data.quantities import ACTIVATION

DIFFUSION = "diffusion"
# What a label may be of.
_OF_A_LABEL = ("guest", "temperature_K")


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
        self._guests, self._temperatures_K = config.guests, config.temperatures_K
        names = (*config.learning.source_labels, config.learning.target_label)
        self._of_labels = [parted(name)[1:] for name in names if name not in config.labels]
        self.own = {stage: config.settings_of(stage) for stage in STAGES}

    @cached_property
    def variants(self) -> dict[str, Variant]:
        """The stages for every guest and temperature, by the names of their tables.

        Those of the study's own come first.
        """
        found = {stage: Variant(stage, stage, self.own[stage]) for stage in STAGES}
        for table, (stage, changes) in self._further.items():
            if table not in self.impossible:
                found[table] = Variant(table, stage, self.own[stage].changed(**changes))
        return found

    @cached_property
    def impossible(self) -> dict[str, str]:
        """Why there is no table of some guest at some temperature, where it is liquid, say."""
        found = {}
        for table, (stage, changes) in self._further.items():
            try:
                self.own[stage].changed(**changes)
            except ConfigError as error:
                found[table] = f"there can be no table {table}: {error}"
        return found

    @cached_property
    def activations(self) -> dict[str, dict[float, str]]:
        """The tables of activation energies: for each, by temperature, those behind it.

        The temperatures are those that the study lists, whatever its labels name besides.
        """
        guests = (self.own[DIFFUSION].guest, *self._guests, *self._named_guests)
        return {
            ACTIVATION + self.table_name(DIFFUSION, guest).removeprefix(DIFFUSION): {
                t: self.table_name(DIFFUSION, guest, t) for t in self._temperatures_K
            }
            for guest in guests
            if len(self._temperatures_K) > 1
        }

    @cached_property
    def listed(self) -> set[str]:
        """The tables of the guests and temperatures that the study lists, and of its own."""
        return {*STAGES, *self._tables(self._guests, self._temperatures_K)}

    @property
    def _named_guests(self) -> list[str]:
        return [guest for guest, _ in self._of_labels if guest is not None]

    @cached_property
    def _further(self) -> dict[str, tuple[str, dict]]:
        """Tables beyond the study's own, their stages, and what their settings change."""
        named_K = [t for _, t in self._of_labels if t is not None]
        return self._tables((*self._guests, *self._named_guests), (*self._temperatures_K, *named_K))

    def _tables(
        self, guests: Iterable[str], temperatures_K: Iterable[float]
    ) -> dict[str, tuple[str, dict]]:
        many, found = dict(zip(_OF_A_LABEL, (guests, temperatures_K), strict=True)), {}
        for stage, settings in self.own.items():
            keys = [key for key in _OF_A_LABEL if key in type(settings).model_fields]
            for values in product(*((getattr(settings, key), *many[key]) for key in keys)):
                changes = dict(zip(keys, values, strict=True))
                table = self.table_name(stage, **changes)
                if table != stage:
                    found[table] = stage, changes
        return found

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
            If its stage knows none.
        """
        stage = label.quantity.stage
        own = self.own[stage_behind(stage)]
        keys = set(type(own).model_fields) - ({"temperature_K"} if stage == ACTIVATION else set())
        changes: dict[str, Any] = {}
        for key in _OF_A_LABEL:
            value = getattr(label, key)
            if value is None:
                continue
            if key not in keys:
                raise ConfigError(
                    f"there is no label {label.name}: {label.quantity.name} does not depend on the "
                    f"{key.removesuffix('_K')}; write {replace(label, **{key: None}).name}"
                )
            changes[key] = None if value == getattr(own, key) else value
        if changes.get("temperature_K") and not changes.get("guest"):
            changes["guest"] = own.guest
        return replace(label, **changes)


def stage_behind(stage: str) -> str:
    """The stage that a table comes from: activation energies are of diffusivities."""
    return DIFFUSION if stage == ACTIVATION else stage
