"""The command line: one module a group of commands; the only room that imports typer."""
