"""Cases that ask several questions."""

from __future__ import annotations

from typing import Any

import pytest

from native_dvt.cases.questions import ANY, REFUSED, Question, questions_case


def half(asked: Question) -> int:
    assert asked["number"] % 2 == 0
    return int(asked["number"]) // 2


def case(*asked: tuple[int, Any]) -> Any:
    return questions_case("none", "half", "numbers", half, [({"number": number}, answer) for number, answer in asked])


def test_each_question_has_an_answer_and_invalid_input_is_refused() -> None:
    made = case((4, 2), (3, REFUSED), (8, ANY), (5, ANY))
    assert made.outcome() is not None
    assert made.data["data"]["output"] == [2, REFUSED, 4, REFUSED]


@pytest.mark.parametrize(("number", "answer"), [(4, 3), (4, REFUSED), (3, 1)])
def test_an_answer_that_is_not_the_expected_one_is_no_case(number: int, answer: Any) -> None:
    assert case((2, 1), (number, answer)).outcome() is None


def test_an_error_of_the_generator_is_not_taken_for_a_refusal() -> None:
    with pytest.raises(TypeError):
        questions_case("none", "half", "text", half, [({"number": "text"}, ANY)])
