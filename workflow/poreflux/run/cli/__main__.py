"""``python -m poreflux.run.cli``: the command line where ``poreflux`` is not on the path."""

import sys

from poreflux.run.cli import main

sys.exit(main())
