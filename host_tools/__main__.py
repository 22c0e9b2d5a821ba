"""`python -m thumbnet.host_tools` is the `thumbnet` command, for machines where scripts are not on PATH."""

from .cli import main

main()
