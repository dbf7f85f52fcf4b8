"""The schema and the table of keys are those of the study's types; `pytest --fix` renews them."""

import json
from pathlib import Path

import pytest
import yaml

from itscale.study.schema import keys_table, study_schema, study_schema_text

CHECKOUT = Path(__file__).resolve().parents[2]
SCHEMA = CHECKOUT / "workflow" / "schemas" / "study.schema.json"
README = CHECKOUT / "config" / "README.md"
BEGIN, END = "<!-- keys: generated, `pytest --fix` renews them -->\n", "<!-- end of keys -->"


def renewed(page: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{keys_table()}\n{END}{after}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [(SCHEMA, lambda _: study_schema_text()), (README, renewed)],
    ids=["schema", "table of keys"],
)
def test_generated_files_are_up_to_date(path, expected, pytestconfig):
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    wanted = expected(found)
    if pytestconfig.getoption("--fix"):
        path.write_text(wanted, encoding="utf-8")
        found = wanted
    assert found == wanted, f"{path.name} is out of date; renew it with: pytest --fix {Path(__file__).name}"


@pytest.mark.parametrize("study", sorted(CHECKOUT.glob("config/**/*.yaml")), ids=lambda path: path.stem)
def test_studies_match_the_schema(study):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(study_schema()).validate(yaml.safe_load(study.read_text()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sed": 1},
        {"block": {"problems": 0}},
        {"strategies": {"repeated_sampling": {"completions": "many"}}},
        {"selectors": [1]},
    ],
)
def test_schema_refuses_what_the_study_refuses(wrong):
    jsonschema = pytest.importorskip("jsonschema")
    right = {"study": "s", "tasks": {"gcd": None}, "models": ["m"], "strategies": ["repeated_sampling"]}
    validator = jsonschema.Draft202012Validator(json.loads(study_schema_text()))
    validator.validate(right)
    assert not validator.is_valid(right | wrong)
