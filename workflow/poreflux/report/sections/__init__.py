"""The topics of the page, a module each: its numbers, its figures and what its template prints.

A topic's module has ``section(study)``; :data:`SECTIONS` is their order on the page.
``headline`` stands before them, ``provenance`` (with ``cost``) after, ``crosscheck`` inside
uptake and diffusion. The topics of the other page are in ``synthesis``.
"""

from poreflux.report.sections import (
    catalogue,
    channels,
    descriptors,
    diffusion,
    held_out,
    importance,
    near_duplicates,
    pretraining,
    structures,
    transfer,
    uptake,
)

# Those that hold results, by name, in the order of the page.
SECTIONS = {
    "held-out": held_out.section,
    "catalogue": catalogue.section,
    "structures": structures.section,
    "descriptors": descriptors.section,
    "channels": channels.section,
    "uptake": uptake.section,
    "diffusion": diffusion.section,
    "pretraining": pretraining.section,
    "transfer": transfer.section,
    "near-duplicates": near_duplicates.section,
    "importance": importance.section,
}
