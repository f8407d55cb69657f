"""The topics of the synthesis page, a module each: its numbers, figures and what it prints."""

from poreflux.report.sections.synthesis import choices, data, interpretation, scores, verdict

# Those that are always there, in the order of the page.
SECTIONS = (
    verdict.section,
    data.section,
    scores.section,
    choices.section,
    interpretation.section,
)
