"""`itscale plugins`: what is installed, and what each plugin can be told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itscale.errors import PluginError, nearest

if TYPE_CHECKING:
    from itscale.plugins.entries import Kind, Options
    from itscale.plugins.registry import Plugin

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List the installed plugins, or show one.")


@app.command("list")
def list_plugins(
    kind: Annotated[
        str | None, typer.Argument(help="tasks, engines, strategies ...; all if left out")
    ] = None,
) -> None:
    """List the installed plugins, by kind."""
    from rich.table import Table

    from itscale.cli.console import LiteralConsole
    from itscale.plugins.registry import registry

    table = Table("kind", "name", "summary", "from", box=None, pad_edge=False)
    for one in _kinds(kind):
        for plugin in registry().plugins(one):
            entry = plugin.entry
            table.add_row(one, entry.name, entry.summary, f"{plugin.distribution} {plugin.version}")
    console = LiteralConsole()
    console.print(table)
    for aside in registry().set_aside:  # on stderr, too, but a list that is kept should be whole
        console.print(f"set aside: {aside}")


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="a plugin's name, or distribution/name")]) -> None:
    """Show a plugin: what it does, where it comes from, and its options."""
    from itscale.plugins.entries import KINDS
    from itscale.plugins.registry import registry

    short = name.rpartition("/")[2]
    known = {kind: {plugin.entry.name for plugin in registry().plugins(kind)} for kind in KINDS}
    aliases = {
        kind: {alias for plugin in registry().plugins(kind) for alias in plugin.entry.aliases}
        for kind in KINDS
    }
    found = [kind for kind in KINDS if short in known[kind] | aliases[kind]]
    if not found:
        raise PluginError(registry().missing(f"no plugin {name!r}", name, KINDS))
    for kind in found:
        _show(kind, registry().get(kind, name))


def _show(kind: Kind, plugin: Plugin) -> None:
    from rich.table import Table

    from itscale.cli.console import LiteralConsole
    from itscale.plugins.entries import LawEntry

    entry = plugin.entry
    facts = {
        "summary": entry.summary,
        "reference": entry.reference,
        "from": f"{plugin.distribution} {plugin.version}, revision {entry.revision}",
        "columns": f"response; {entry.inputs}" if isinstance(entry, LawEntry) and entry.inputs else "",
        "also called": ", ".join(entry.aliases),
        "needs": ", ".join(entry.requires) + (f" ({entry.installed_by})" if entry.installed_by else ""),
    }
    lines = Table.grid(padding=(0, 2))
    for label, fact in facts.items():
        if fact:
            lines.add_row(label, fact)
    console = LiteralConsole()
    console.print(f"{kind}/{entry.name}", style="bold")
    console.print(lines)
    rows = list(_options(entry.options))
    if rows:
        options = Table("option", "type", "default", "what it is", box=None, pad_edge=False)
        for row in rows:
            options.add_row(*row)
        console.print("")
        console.print(options)


def _options(model: type[Options]) -> list[tuple[str, str, str, str]]:
    """Return name, type, default and description of each option, and of what is inside it."""
    schema = model.model_json_schema()
    return list(_rows(schema, schema.get("$defs", {}), ""))


def _rows(
    schema: Mapping[str, Any], inner: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str, str, str]]:
    from itscale.study.schema import describe_type

    for name, value in schema.get("properties", {}).items():
        default = "required" if name in schema.get("required", ()) else json.dumps(value.get("default"))
        yield prefix + name, describe_type(value), default, value.get("description", "")
        for part in (value, *value.get("anyOf", ())):
            if "$ref" in part:
                yield from _rows(inner[part["$ref"].rpartition("/")[2]], inner, f"{prefix}{name}.")


def _kinds(kind: str | None) -> tuple[Kind, ...]:
    from itscale.plugins.entries import KINDS

    if kind is None:
        return KINDS
    found = tuple(known for known in KINDS if known == kind)
    if not found:
        raise PluginError(f"no kind of plugin {kind!r}; {nearest(kind, KINDS)}")
    return found
