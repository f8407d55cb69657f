"""Log lines that say how far a long job is: done, rate, time left."""

from __future__ import annotations

import logging
import time


class Progress:
    """Counts finished items and logs at most one line every ``every_s`` seconds.

    Parameters
    ----------
    total : int
        Items to be done.
    what : str
        Plural noun for the log line, e.g. ``'structures'``.
    logger : logging.Logger
    every_s : float
        Seconds between lines; the last item is always logged.
    """

    def __init__(self, total: int, what: str, logger: logging.Logger, every_s: float = 10.0):
        self.total, self.what, self.logger, self.every_s = total, what, logger, every_s
        self.done = 0
        self.start = self.last = time.monotonic()

    def step(self, n: int = 1) -> None:
        """``n`` more items are done."""
        self.done += n
        now = time.monotonic()
        if now - self.last < self.every_s and self.done < self.total:
            return
        self.last = now
        rate = self.done / max(now - self.start, 1e-9)
        left = (self.total - self.done) / rate
        self.logger.info(
            "%d/%d %s done, %.3g/s, about %s left",
            self.done,
            self.total,
            self.what,
            rate,
            f"{left:.0f} s" if left < 120 else f"{left / 60:.0f} min",
        )
