"""`python -m dbwatch` is the `dbwatch` command."""

import sys

from dbwatch.cli import main

sys.exit(main())
