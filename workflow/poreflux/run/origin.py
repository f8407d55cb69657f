"""When a page was made, and by which state of the repository."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def origin(folder: Path = REPOSITORY) -> dict[str, str]:
    """The date, and the commit of the repository in a folder.

    Returns
    -------
    dict
        ``date`` (UTC; that of ``SOURCE_DATE_EPOCH`` where it is set, so that a page can be made
        again to the byte) and ``commit`` (with ``-dirty`` where files differ from it; empty where
        the folder is no repository or git is not there).
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return {"date": now.strftime("%Y-%m-%d"), "commit": _commit(folder)}


def _commit(folder: Path) -> str:
    # installed elsewhere, it may lie in a repository of somebody's own
    if not (folder / ".git").exists():
        return ""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--tags"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
