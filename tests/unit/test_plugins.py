"""Whatever is wrong with an installed plugin is said in one line that names it."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from itscale import hookimpl
from itscale.errors import PluginError
from itscale.plugins import EngineEntry, LawEntry, Options, add_installed, load, new_manager, registry
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
    with pytest.raises(PluginError, match="none is installed"):
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


def test_options_show_their_schema() -> None:
    class Slope(Options):
        slope: float = 1.0
        """How steep."""

    schema = registry_of({"ours": [law("line", options=Slope)]}).options_schema("laws", "line")
    assert schema["properties"]["slope"] == {
        "default": 1.0, "description": "How steep.", "title": "Slope", "type": "number"
    }  # fmt: skip
    assert schema["additionalProperties"] is False


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
    ours = {plugin.entry.name for plugin in registry().plugins("laws")}
    assert ours <= {plugin.entry.name for plugin in found.plugins("laws")}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("from itscale import no_such_name", "cannot import name 'no_such_name'"),
        (LAW.format(name="x").replace("laws()", "laws(extra)"), "itscale_register_laws"),
    ],
)
def test_a_broken_distribution_is_named(site: Path, code: str, expected: str) -> None:
    install(site, "toy-broken", "toy_broken", code, "laws = toy_broken")
    with pytest.raises(PluginError) as caught:
        add_installed(new_manager())
    assert str(caught.value).startswith("toy-broken: entry point laws = toy_broken: ")
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_of_entries_registers_each_under_its_kind() -> None:
    module = plugin_module(
        "mixed", [law("line"), EngineEntry(name="e", factory=list, offers=frozenset(), summary="")]
    )
    hooks = {name for name in dir(module) if name.startswith("itscale_")}
    assert hooks == {"itscale_register_laws", "itscale_register_engines"}
