"""A specification that does not hold together is refused, with file, heading and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from native_dvt.markdown import Definition, MarkdownError, read_document
from native_dvt.spec import SpecificationError, check_names, in_order

GOOD = """# Title

## Helpers

```python
def f(x: int) -> int:
    return x + LIMIT
```

| Name | Value | Description |
| --- | --- | --- |
| `LIMIT` | `uint64(4)` (= 4) keys | how many |

| Name | SSZ equivalent |
| --- | --- |
| `Index` | `uint64` |

| Word | Meaning |
| --- | --- |
| prose | is no constant |
"""


def read(tmp_path: Path, text: str) -> object:
    path = tmp_path / "text.md"
    path.write_text(text)
    return read_document(path)


def test_functions_constants_and_types_are_read(tmp_path: Path) -> None:
    path = tmp_path / "text.md"
    path.write_text(GOOD)
    document = read_document(path)
    assert list(document.definitions) == ["f"]
    assert document.definitions["f"].line == 6
    assert document.constants == {"LIMIT": "uint64(4)"}
    assert document.types == {"Index": "uint64"}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("return x + LIMIT", "return x +", "text.md:7: under 'Helpers': code block does not parse"),
        ("def f(x: int) -> int:\n    return x + LIMIT", "x = 1", "text.md:6: under 'Helpers': a code block holds one"),
        ("    return x + LIMIT\n", "    return x\n\n\ndef g():\n    pass\n", "one class or function"),
        ("    return x + LIMIT\n```", "    return x", "text.md:5: under 'Helpers': code block is not closed"),
        ("`uint64(4)` (= 4)", "4", "name and value of a table stand in backticks"),
    ],
)
def test_malformed_text_is_refused_with_its_place(tmp_path: Path, before: str, after: str, message: str) -> None:
    assert before in GOOD
    with pytest.raises(MarkdownError) as error:
        read(tmp_path, GOOD.replace(before, after))
    assert message in str(error.value)


def test_a_function_cannot_be_defined_twice(tmp_path: Path) -> None:
    block = "```python\ndef f():\n    pass\n```\n"
    with pytest.raises(MarkdownError, match="f is defined twice, first in line 3"):
        read(tmp_path, f"# T\n{block}\n{block}")


def test_a_name_that_nobody_defines_is_refused_with_its_place() -> None:
    source = "def f(x):\n    return x + unknown\n"
    definition = Definition("f", source, Path("text.md"), 10, False)
    with pytest.raises(MarkdownError, match="text.md:11: under 'f': unknown is not defined"):
        check_names(source, {"f": definition})


def test_a_container_cannot_contain_itself() -> None:
    def container(name: str, field: str) -> Definition:
        return Definition(name, f"class {name}(Container):\n    x: {field}\n", Path("text.md"), 1, True)

    with pytest.raises(SpecificationError, match="contains itself"):
        in_order({"A": container("A", "B"), "B": container("B", "A")})
    assert [d.name for d in in_order({"A": container("A", "B"), "B": container("B", "int")})] == ["B", "A"]
