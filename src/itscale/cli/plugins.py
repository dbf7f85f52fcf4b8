"""`itscale plugins`: what is installed, and what each plugin can be told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from itscale.errors import PluginError, nearest
from itscale.messages.printable import printable

if TYPE_CHECKING:
    from itscale.cli.console import LiteralConsole
    from itscale.plugins.entries import Entry, Kind, Options
    from itscale.plugins.registry import Plugin

__all__ = ["app"]

LONGEST = 60
"""Characters of a default that are shown."""

app = typer.Typer(no_args_is_help=True, help="List the installed plugins, or show one.")


@app.command("list")
def list_plugins(
    kind: Annotated[
        str | None, typer.Argument(help="tasks, engines, strategies ...; all if left out")
    ] = None,
) -> None:
    """List the installed plugins, by kind; strategies alone by family, with what they need and cost."""
    from rich.table import Table

    from itscale.cli.console import LiteralConsole
    from itscale.plugins.registry import registry

    console = LiteralConsole()
    table = Table("kind", "name", "summary", "from", box=None, pad_edge=False)
    for one in _kinds(kind):
        if one == kind == "strategies":
            _list_strategies(console)
            continue
        for plugin in registry().plugins(one):
            entry = plugin.entry
            table.add_row(one, entry.name, entry.summary, f"{plugin.distribution} {plugin.version}")
    if table.row_count:
        console.print(table)
    for aside in registry().set_aside:  # on stderr, too, but a list that is kept should be whole
        console.print(f"set aside: {aside}")


def _list_strategies(console: LiteralConsole) -> None:
    """Print the strategies by family: of each its summary, what it needs, and what it costs at most."""
    from rich.table import Table
    from rich.text import Text

    from itscale.plugins.registry import registry
    from itscale.plugins.strategies import FAMILIES, StrategyEntry

    plugins = list(registry().plugins("strategies"))
    several = len({plugin.distribution for plugin in plugins}) > 1
    widest = max((len(plugin.entry.name) for plugin in plugins), default=0)
    for family in FAMILIES:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=widest, no_wrap=True)
        table.add_column()
        for plugin in plugins:
            entry = plugin.entry
            if not isinstance(entry, StrategyEntry) or entry.family != family:
                continue
            table.add_row(entry.name, entry.summary)
            facts = _strategy_facts(entry)
            if several:
                facts["from"] = f"{plugin.distribution} {plugin.version}"
            for label, fact in facts.items():
                if fact:
                    table.add_row("", Text(f"{label} {printable(fact)}", style="dim"))
        if table.row_count:
            console.print(f"{family or 'of no family'}", style="bold")
            console.print(table)
            console.print("")


def _strategy_facts(entry: Entry) -> dict[str, str]:
    """Return what a strategy needs and costs; nothing of another plugin."""
    from itscale.plugins.demands import costs, may_name, needs
    from itscale.plugins.strategies import StrategyEntry

    if not isinstance(entry, StrategyEntry):
        return {}
    named = {"needs": ", ".join(needs(entry)), "may name": ", ".join(may_name(entry))}
    return {**named, "at most": costs(entry)}


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
    from itscale.plugins.strategies import StrategyEntry

    entry = plugin.entry
    asks = _strategy_facts(entry)
    facts = {
        "summary": entry.summary,
        "reference": entry.reference,
        "from": f"{plugin.distribution} {plugin.version}, revision {entry.revision}",
        "columns": f"response; {entry.inputs}" if isinstance(entry, LawEntry) and entry.inputs else "",
        "also called": ", ".join(entry.aliases),
        "family": entry.family if isinstance(entry, StrategyEntry) else "",
        **asks,
        "installed by" if asks else "needs": ", ".join(entry.requires)
        + (f" ({entry.installed_by})" if entry.installed_by else ""),
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
        options.columns[0].no_wrap = True
        options.columns[0].min_width = max(len(row[0]) for row in rows)
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
        given = json.dumps(value.get("default"), ensure_ascii=False)
        default = "required" if name in schema.get("required", ()) else _shortened(given)
        yield prefix + name, describe_type(value), default, value.get("description", "")
        for place, options in _inside(value):
            yield from _rows(inner[options], inner, f"{prefix}{name}{place}.")


def _inside(value: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the options that a value may hold, by name, and where: the first of each list stands for all."""
    if "$ref" in value:
        yield place, value["$ref"].rpartition("/")[2]
    for part in value.get("anyOf", ()):
        yield from _inside(part, place)
    if "items" in value:
        yield from _inside(value["items"], f"{place}.0")


def _shortened(default: str) -> str:
    """Return a default as a list shows it: of a long text, as a template of a prompt, its beginning."""
    return (
        default
        if len(default) <= LONGEST
        else f"{default[:LONGEST].rstrip()} ... ({len(default)} characters)"
    )


def _kinds(kind: str | None) -> tuple[Kind, ...]:
    from itscale.plugins.entries import KINDS

    if kind is None:
        return KINDS
    found = tuple(known for known in KINDS if known == kind)
    if not found:
        raise PluginError(f"no kind of plugin {kind!r}; {nearest(kind, KINDS)}")
    return found
