"""Cases that ask a function several questions, of which some may be refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .case import INVALID, Case

Question = dict[str, Any]

REFUSED = "refused"
#: In place of an answer: whatever the text says.
ANY = object()


def answers(
    ask: Callable[[Question], Any], questions: Sequence[Question], invalid: tuple[type[Exception], ...]
) -> list[Any]:
    """What comes of each question. `invalid` is what it raises when it refuses one."""
    found = []
    for question in questions:
        try:
            found.append(ask(question))
        except invalid:
            found.append(REFUSED)
    return found


def questions_case(
    runner: str,
    handler: str,
    name: str,
    ask: Callable[[Question], Any],
    asked: Sequence[tuple[Question, Any]],
    inputs: dict[str, Any] | None = None,
    **files: Any,
) -> Case:
    """Questions with the answers that they have to have; `files` are YAML files beside them."""
    questions = [question for question, _ in asked]
    found = answers(ask, questions, INVALID)
    output = [answer if expected is ANY else expected for answer, (_, expected) in zip(found, asked, strict=True)]

    def call() -> list[Any]:
        # Changed text may raise anything.
        return answers(ask, questions, (Exception,))

    def run(_: Any) -> Any:
        assert answers(ask, questions, INVALID) == output
        return "nothing"

    data = {"data": {"input": questions, "output": output}, **files}
    return Case(runner, handler, name, inputs or {}, run, data=data, has_post=False, call=call)
