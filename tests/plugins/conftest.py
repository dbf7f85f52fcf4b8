import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--renew-digests",
        action="store_true",
        help="record the digests of the built-ins as they are: their outputs did not change",
    )
