"""The command line: one verb a file.

A module of this package is a verb when it has a function ``command`` (a single command, named after
the module) or a ``typer.Typer`` called ``app`` (a group of commands). Being there is being
registered; see docs/adding-a-verb.md. Modules import nothing heavier than typer at the top.
"""
