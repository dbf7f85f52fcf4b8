"""The command line. Commands import what they need when they run, so that `itscale --help` is instant."""

from __future__ import annotations

import logging

import typer
from typer.core import TyperGroup

from itscale.cli.terminal import complain
from itscale.errors import UserError, describe_os_error
from itscale.messages.printable import PrintableFormatter
from itscale.store.directory import keep_off_import_path

__all__ = ["app"]


class _Commands(TyperGroup):
    """Shows a user's error and ends with status 1; anything else is a bug and shows itself.

    An error is one line, except that the mistakes of a study are a line each, and counted.
    """

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        keep_off_import_path()
        if logging.lastResort is not None:
            logging.lastResort.setFormatter(PrintableFormatter())  # warnings that no handler takes
        try:
            return super().invoke(ctx)
        except UserError as error:
            complain(*error.lines())
        except BrokenPipeError:
            raise  # whoever read what we print has seen enough
        except OSError as error:  # a disk that is full, a directory that cannot be written ...
            complain(describe_os_error(error))
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From one study file to inference-time scaling laws.",
)


def _register() -> None:
    from itscale.cli import check, fit, import_, merge, plugins, power, run, schema, tree, verify

    app.add_typer(plugins.app, name="plugins")
    app.command("check")(check.check)
    app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run.run)
    app.command("import")(import_.import_)
    app.command("fit")(fit.fit)
    app.command("merge")(merge.merge)
    app.command("power")(power.power)
    app.command("tree")(tree.tree)
    app.command("verify")(verify.verify)
    app.command("schema")(schema.schema)


_register()
