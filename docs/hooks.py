"""For MkDocs: pages outside docs/ join the site, and links in any page are those of the repository.

A page links to another file by its place in the repository, so that links work there, too. Files of
:data:`JOIN` are on the site under ``repository/``; a link to any other file of the repository
becomes plain text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
JOIN = (
    "benchmarks/*.md",
    "benchmarks/*.png",
    "config/*.md",
    "config/*.yaml",
    "config/schema.json",
    "profiles/*/config.yaml",
    "results/README.md",
    "workflow/poreflux/prediction/core2019/README.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "LICENSE",
)
PLACE = "repository/"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")


def on_files(files, config):
    """Add the files of the repository."""
    for pattern in JOIN:
        for path in sorted(ROOT.glob(pattern)):
            uri = PLACE + path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links of the repository as links of the site, outside blocks of code."""
    parts = re.split(r"(^ *```.*?^ *```$|`[^`\n]+`)", markdown, flags=re.MULTILINE | re.DOTALL)
    # a link may hold code, so that pieces between blocks are joined again
    blocks = [i for i, part in enumerate(parts) if part.lstrip().startswith("```")]
    text, last = [], 0
    for i in [*blocks, len(parts)]:
        text.append(LINK.sub(lambda m: _link(m, page.file, files), "".join(parts[last:i])))
        text += parts[i : i + 1]
        last = i + 1
    return "".join(text)


def _link(match, file, files):
    mark, text, target = match.groups()
    path, hash_, anchor = target.partition("#")
    if not path or "://" in target or target.startswith("mailto:"):
        return match[0]
    here = posixpath.dirname(_in_repository(file.src_uri))
    wanted = posixpath.normpath(posixpath.join(here, path))
    uri = wanted.removeprefix("docs/") if wanted.startswith("docs/") else PLACE + wanted
    if files.get_file_from_path(uri) is None and (ROOT / wanted).exists():
        return match[0] if mark else text
    site = posixpath.relpath(uri, posixpath.dirname(file.src_uri) or ".")
    return f"{mark}[{text}]({site}{hash_}{anchor})"


def _in_repository(uri):
    return uri.removeprefix(PLACE) if uri.startswith(PLACE) else f"docs/{uri}"
