"""The errors that users see: each names what was given, where, and what to do about it."""


class PorefluxError(Exception):
    """Base of every error that Poreflux raises on purpose."""


class ConfigError(PorefluxError):
    """A configuration value is wrong: the message names file, key, value and remedy."""


class StructureError(PorefluxError):
    """A structure cannot be used: the message is the ``reason`` of its row in the tables."""


class StructureWarning(UserWarning):
    """A structure was read, but not as it stands in the file, or something in it is in doubt."""


class DataError(PorefluxError):
    """A table or data file lacks what a stage needs."""


class StoreError(PorefluxError):
    """The content store cannot be read or written."""


class ExternalToolError(PorefluxError):
    """A program outside Poreflux failed.

    Parameters
    ----------
    command : str
        What was run.
    returncode : int or None
        Its exit status, ``None`` where it has none (an in-process library).
    output : str
        What it printed; the last 2000 characters go into the message.
    """

    def __init__(self, command: str, returncode: int | None, output: str):
        self.command, self.returncode, self.output = command, returncode, output
        super().__init__(f"{command} failed (exit status {returncode}): {output[-2000:].strip()}")
