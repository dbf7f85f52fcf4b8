"""Whatever is wrong with an installed plugin is said in one line that names it."""

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from itscale import hookimpl
from itscale.errors import PluginError
from itscale.plugins import (
    KINDS,
    Deferred,
    EngineEntry,
    FigureEntry,
    LawEntry,
    Registry,
    SelectorEntry,
    StrategyEntry,
    VerifierEntry,
)
from itscale.plugins.registry import add_installed, lazy, load, new_manager
from itscale.testing import plugin_module, registry_of


def law(name: str, **changes) -> LawEntry:
    return LawEntry(**{"name": name, "factory": list, "takes": "curve", "summary": "A law.", **changes})


def test_two_distributions_with_one_name_are_told_apart_by_the_distribution() -> None:
    both = registry_of({"ours": [law("line")], "theirs": [law("line")]})
    with pytest.raises(
        PluginError, match=r"'line' is brought by several distributions.*ours/line.*theirs/line"
    ):
        both.get("laws", "line")
    assert both.get("laws", "theirs/line").distribution == "theirs"
    assert len(list(both.plugins("laws"))) == 2


def test_an_alias_leads_to_the_same_plugin_and_can_clash_too() -> None:
    found = registry_of({"ours": [law("line", aliases=("linear",))]})
    assert found.get("laws", "linear") == found.get("laws", "line")
    assert [plugin.entry.name for plugin in found.plugins("laws")] == ["line"]
    with pytest.raises(PluginError, match="ours: laws: 'line' is registered twice"):
        registry_of({"ours": [law("line"), law("curve", aliases=("line",))]})


def test_an_unknown_name_suggests_the_nearest() -> None:
    found = registry_of({"ours": [law("power_law"), law("line")]})
    with pytest.raises(PluginError, match=r"no plugin 'powerlaw' among the laws; did you mean 'power_law'\?"):
        found.get("laws", "powerlaw")
    with pytest.raises(PluginError, match="known: line, power_law"):
        found.get("laws", "zzz")
    with pytest.raises(PluginError, match="there is none"):
        found.get("prices", "zzz")


def load_module(**attributes) -> None:
    module = ModuleType("odd")
    vars(module).update(attributes)
    manager = new_manager()
    manager.register(module, name="odd")
    load(manager)


def test_a_misspelt_hook_suggests_the_right_one() -> None:
    @hookimpl
    def itscale_register_selektors():
        return []

    with pytest.raises(
        PluginError, match=r"no hook 'itscale_register_selektors'; did you mean 'itscale_register_selectors'"
    ):
        load_module(itscale_register_selektors=itscale_register_selektors)


def test_a_hook_without_its_mark_is_not_passed_over() -> None:
    with pytest.raises(PluginError, match="itscale_register_laws is not marked"):
        load_module(itscale_register_laws=list)


def test_a_plugin_may_import_modules_that_begin_like_hooks() -> None:
    load_module(itscale_helpers=ModuleType("itscale_helpers"))


@pytest.mark.parametrize(
    "entries", [[EngineEntry(name="e", factory=list, offers=frozenset(), summary="")], ["line"]]
)
def test_an_entry_of_another_kind_is_refused(entries) -> None:
    with pytest.raises(
        PluginError, match=r"odd: itscale_register_laws returned .*expected entries of kind 'laws'"
    ):
        load_module(itscale_register_laws=hookimpl(_named("itscale_register_laws", entries)))


def _named(name, value):
    def hook():
        return value

    hook.__name__ = name
    return hook


@pytest.mark.parametrize("name", ["Line", "two words", "dist/line", "", "9lives", "line\n"])
def test_names_are_identifiers(name: str) -> None:
    with pytest.raises(PluginError, match="expected lower case"):
        law(name)
    with pytest.raises(PluginError, match="expected lower case"):
        law("line", aliases=(name,))


def test_options_must_derive_from_the_base() -> None:
    with pytest.raises(PluginError, match=r"laws/line: options: .*expected a subclass of Options"):
        law("line", options=dict)


def test_missing_modules_are_named() -> None:
    entry = law("line", requires=("json", "no_such_module", "no_such_package.part", "os.path"))
    assert entry.missing_modules() == ["no_such_module", "no_such_package.part"]


def install(folder: Path, distribution: str, module: str, code: str, points: str) -> None:
    """Lay out a distribution as an installer leaves it."""
    info = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[itscale]\n{points}\n")
    (folder / f"{module}.py").write_text(code)


LAW = """
from itscale import hookimpl
from itscale.plugins import LawEntry

@hookimpl
def itscale_register_laws():
    return [LawEntry(name="{name}", factory=list, takes="curve", summary="A law.")]
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("toy_"):
            del sys.modules[name]


def test_two_distributions_may_call_their_entry_points_alike(site: Path) -> None:
    install(site, "toy-one", "toy_one", LAW.format(name="toy_line"), "laws = toy_one")
    install(site, "toy-two", "toy_two", LAW.format(name="toy_curve"), "laws = toy_two")
    manager = new_manager()
    add_installed(manager)
    found = load(manager)
    assert found.get("laws", "toy_line").distribution == "toy-one"
    assert found.get("laws", "toy_curve").version == "1.2"
    assert found.get("laws", "power_law").distribution == "itscale"


HOOK = LAW.format(name="toy_line")
BROKEN = {
    "import no_such_module": "No module named 'no_such_module'",
    "from itscale import no_such_name": "cannot import name 'no_such_name'",
    "def :": "SyntaxError: invalid syntax",
    "raise RuntimeError('no\\nGPU')": "RuntimeError: no GPU",
    "import sys; sys.exit(3)": "SystemExit: 3",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    HOOK.replace("laws()", "laws(extra)"): "itscale_register_laws",
    HOOK.replace("laws()", "lawz()"): "no hook 'itscale_register_lawz'; did you mean",
    HOOK.replace("@hookimpl", ""): "itscale_register_laws is not marked, expected @itscale.hookimpl",
    HOOK.replace("return [", "1 / 0; return ["): "itscale_register_laws: ZeroDivisionError",
    HOOK.replace("[", "").replace("]", ""): "returned laws/toy_line, a single entry, expected a list",
    HOOK.replace("return [", "return 'line' or ["): "returned 'line', expected a list of entries",
    HOOK.replace("]", ", 'line']"): "returned 'line', expected entries of kind 'laws'",
    HOOK.replace("curve", "curves"): (
        "laws/toy_line: takes: found 'curves', expected 'curve', 'counts' or 'table'; did you mean 'curve'?"
    ),
}
"""Module of a package, and what is said of it."""


def test_ctrl_c_while_a_package_is_imported_is_no_fault_of_the_package(site: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    install(site, "toy-slow", "toy_slow", code, "laws = toy_slow")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for jobs behind
    try:
        with pytest.raises(KeyboardInterrupt):
            add_installed(new_manager())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_a_broken_package_says_is_shown_and_not_obeyed(site: Path, caplog) -> None:
    install(site, "toy-red", "toy_red", r"raise RuntimeError('\x1b[31mred')", "laws = toy_red")
    manager = new_manager()
    lazy(manager, add_installed(manager))
    (warning,) = caplog.messages
    assert "red" in warning
    assert warning.isprintable()


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_package_is_set_aside_and_fails_who_names_it(site: Path, code: str, caplog) -> None:
    install(site, "toy-broken", "toy_broken", code, "laws = toy_broken")
    install(site, "toy-whole", "toy_whole", LAW.format(name="toy_curve"), "laws = toy_whole")
    manager = new_manager()
    found = lazy(manager, add_installed(manager))
    assert found.get("laws", "toy_curve").distribution == "toy-whole"
    assert found.get("laws", "power_law").distribution == "itscale"
    (aside,) = found.set_aside
    assert aside.distribution == "toy-broken"
    assert BROKEN[code] in aside.reason
    (warning,) = caplog.messages
    assert warning == f"itscale: set aside: {aside}"
    assert "\n" not in warning
    for name in ("toy_line", "toy-broken/toy_line"):
        with pytest.raises(PluginError, match=r"no plugin 'toy.*; set aside: toy-broken: ") as caught:
            found.get("laws", name)
        assert BROKEN[code] in str(caught.value)


MANY = """
from itscale import hookimpl
from itscale.plugins import Deferred, deferred

@hookimpl
def itscale_register_laws():
    return deferred("toy_many", {names})
"""
ENTRY = """
from itscale.plugins import {kind}Entry
entry = {kind}Entry(name="{name}", factory=list, {more} summary="A law.", aliases={aliases})
"""


def many(site: Path, **modules: str) -> Registry:
    """Install a package of laws that are deferred, one module each; return the registry."""
    names = ", ".join(map(repr, modules))
    install(site, "toy-many", "toy_many_hooks", MANY.format(names=names), "laws = toy_many_hooks")
    (site / "toy_many").mkdir()
    for name, code in modules.items():
        (site / "toy_many" / f"{name}.py").write_text(code)
    manager = new_manager()
    return lazy(manager, add_installed(manager))


def entry(name: str, *aliases: str, kind: str = "Law", more: str = 'takes="curve",') -> str:
    return ENTRY.format(name=name, aliases=aliases, kind=kind, more=more)


def test_of_deferred_entries_only_the_one_that_is_named_is_imported(site: Path) -> None:
    found = many(site, toy_line=entry("toy_line"), toy_curve=entry("toy_curve", "toy_bow"))
    assert found.get("laws", "toy_line").distribution == "toy-many"
    assert {name for name in sys.modules if name.startswith("toy_many.")} == {"toy_many.toy_line"}
    assert found.get("laws", "toy-many/toy_bow").entry.name == "toy_curve"  # aliases are within
    with pytest.raises(PluginError, match="did you mean 'toy_curve'"):
        found.get("laws", "toy_curv")
    assert {"toy_line", "toy_curve", "power_law"} <= {one.entry.name for one in found.plugins("laws")}


def test_names_of_deferred_entries_clash_like_others(site: Path) -> None:
    clash = many(site, toy_line=entry("toy_line"), toy_curve=entry("toy_curve", "toy_line"))
    assert [one.entry.name for one in clash.plugins("laws") if one.distribution == "toy-many"] == ["toy_line"]
    assert str(*clash.set_aside) == "toy-many: laws: 'toy_line' is registered twice"
    twice = [Deferred("line", "toy_many.line"), Deferred("line", "toy_many.line")]
    with pytest.raises(PluginError, match="'line' is registered twice"):
        load_module(itscale_register_laws=hookimpl(lambda: twice))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_module", "laws/toy_line: ModuleNotFoundError: No module named 'no_such_module'"),
        ("import sys; sys.exit(3)", "laws/toy_line: SystemExit: 3"),
        ("", "toy_many.toy_line.entry: found None, expected laws/toy_line"),
        (entry("toy_lines"), "toy_many.toy_line.entry: found laws/toy_lines, expected laws/toy_line"),
        (entry("toy_line", kind="Price", more=""), "entry: found prices/toy_line, expected laws/toy_line"),
        (entry("toy_line", more='takes="curves",'), "laws/toy_line: takes: found 'curves', expected"),
    ],
)
def test_a_deferred_entry_that_breaks_is_set_aside_alone(site: Path, code: str, said: str) -> None:
    found = many(site, toy_line=code, toy_curve=entry("toy_curve"))
    assert found.get("laws", "toy_curve").distribution == "toy-many"
    assert not found.set_aside
    with pytest.raises(
        PluginError, match=r"no plugin 'toy_line' among the laws.*; set aside: toy-many: "
    ) as caught:
        found.get("laws", "toy_line")
    assert said in str(caught.value)
    assert len(found.set_aside) == 1
    assert found.get("laws", "power_law").distribution == "itscale"


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_of_built_in_entries_is_registered(kind: str) -> None:
    package = importlib.import_module(f"itscale_builtin.{kind}")
    folder = Path(package.__file__).parent
    with_entry = {
        file.stem
        for file in folder.glob("[!_]*.py")
        if re.search(r"^entry = ", file.read_text(), re.MULTILINE)
    }
    assert with_entry == set(package.NAMES)


def test_commands_go_on_beside_a_broken_package(site: Path, tmp_path: Path) -> None:
    install(site, "toy-broken", "toy_broken", "import sys; sys.exit(0)", "laws = toy_broken")
    command = [sys.executable, "-c", "from itscale.cli import app; app()", "plugins", "list", "laws"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "power_law" in done.stdout
    line = "set aside: toy-broken: entry point laws = toy_broken: SystemExit: 0"
    assert done.stderr.splitlines() == [f"itscale: {line}"]
    assert done.stdout.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: law("x", takes="curves"), "laws/x: takes: found 'curves', expected 'curve', 'counts' or"),
        (lambda: law("x", revision=0), "laws/x: revision: found 0, expected at least 1"),
        (lambda: law("x", revision="2"), "laws/x: revision: found '2', expected integer"),
        (lambda: law("x", revision=True), "laws/x: revision: found True, expected integer"),
        (lambda: law("x", summary="One.\nTwo."), "laws/x: summary: found 'One.\\\\nTwo.', expected one line"),
        (lambda: law("x", summary=None), "laws/x: summary: found None, expected string"),
        (lambda: law("x", factory=3), "laws/x: factory: found 3, expected callable"),
        (lambda: law("ensemble"), "laws/ensemble: found the name 'ensemble', which all laws together have"),
        (lambda: law("x", aliases="line"), "laws/x: aliases: found 'line', expected tuple"),
        (lambda: law("x", files=3), "laws/x: files: found 3, expected callable"),
        (
            lambda: law("x", files=lambda: 0),
            r"laws/x: files: found the signature \(\), expected .*\(options\)",
        ),
        (
            lambda: law("x", factory=lambda options, seed: None),
            r"laws/x: factory: found the signature \(options, seed\), expected one to be called as "
            r"\(options\): missing a required argument: 'seed'",
        ),
        (
            lambda: EngineEntry(name="x", factory=lambda options: 1, offers=frozenset(), summary=""),
            r"engines/x: factory: .*called as \(options, seed=\.\.\., model_directory=\.\.\.\)",
        ),
        (
            lambda: EngineEntry(name="x", factory=list, offers=frozenset({"logits"}), summary=""),
            "engines/x: offers: found 'logits', expected 'generate', 'continue', .* or ",
        ),
        (
            lambda: EngineEntry(name="x", factory=list, offers={"generate"}, summary=""),
            "engines/x: offers: found {'generate'}, expected frozenset",
        ),
        (
            lambda: StrategyEntry(name="x", factory=lambda problem: [], draws="runs", summary=""),
            r"strategies/x: factory: .*called as \(problem, session, options\)",
        ),
        (
            lambda: StrategyEntry(name="x", factory=list, draws="run", summary=""),
            "strategies/x: draws: found 'run', expected 'exchangeable' or 'runs'; did you mean 'runs'",
        ),
        (
            lambda: StrategyEntry(name="x", factory=list, draws="runs", design="until", summary=""),
            "strategies/x: design: found 'until', expected 'fixed', 'until_success' or 'adaptive'",
        ),
        (
            lambda: StrategyEntry(
                name="x",
                factory=lambda problem, session, options: [],
                draws="runs",
                axis="Documents!",
                summary="",
            ),
            "strategies/x: axis: found 'Documents!', expected a word or a few in lower case",
        ),
        (
            lambda: StrategyEntry(
                name="x",
                factory=lambda problem, session, options: [],
                draws="exchangeable",
                axis="rounds",
                summary="",
            ),
            "strategies/x: axis: found one with draws 'exchangeable', expected 'runs'",
        ),
        (
            lambda: VerifierEntry(name="x", factory=list, role="score", summary=""),
            "verifiers/x: role: found 'score', expected 'oracle' or 'scorer'; did you mean 'scorer'",
        ),
        (
            lambda: FigureEntry(name="x", factory=list, reads=("curve",), caption="", summary=""),
            "figures/x: reads: found 'curve', expected 'curves', 'fits', .*did you mean 'curves'",
        ),
        (
            lambda: SelectorEntry(name="x", factory=list, estimand="pass@k", summary=""),
            "selectors/x: estimand: found 'pass@k', expected 'coverage', 'single', 'selected' or",
        ),
        (
            lambda: SelectorEntry(name="x", factory=list, takes_scores=True, summary=""),
            "selectors/x: takes_scores: found True and no option of the type ScorerLabel",
        ),
    ],
)
def test_what_an_entry_declares_is_checked(make, said: str) -> None:
    with pytest.raises(PluginError, match=said) as caught:
        registry_of({"ours": [make()]})
    assert str(caught.value).startswith("ours: ")
    assert "\n" not in str(caught.value)


def test_a_module_of_entries_registers_each_under_its_kind() -> None:
    module = plugin_module(
        "mixed", [law("line"), EngineEntry(name="e", factory=list, offers=frozenset(), summary="")]
    )
    hooks = {name for name in dir(module) if name.startswith("itscale_")}
    assert hooks == {"itscale_register_laws", "itscale_register_engines"}
