"""What the commands of the command line do, see :mod:`poreflux.run.cli`."""
