"""Every refusal of the cell language: the user's line, a caret, what was wrong, how to mend it.

A cell is written here as text and run from memory, so that line numbers are known. Where Python
or NumPy words a part of the text, that part is ``...``.
"""

import cProfile
import linecache
import re
import sys
from typing import Annotated, Any

import numpy
import pytest
import torch

import conveyor
from conveyor import cells
from conveyor.cells import CELLS, Cell
from conveyor.compiler.trace import trace
from conveyor.errors import CellError

FUNCTIONS = (
    "equal, exp, floor, greater, log, maximum, mean, minimum, mod, normalise, places, relu, "
    "sigmoid, softmax, sqrt, tanh, total"
)
MADE_OF = (
    f"  Equations are made of + - * / % @ and the functions {FUNCTIONS}, of numbers and of "
    "declared letters."
)
BOTH_SIDES = (
    "  Make both sides equally wide: multiply by a matrix, as in U.f @ h, or give a name its "
    "width, as in h: Annotated[State, 'P']."
)
ASKS = "a Python if, and, or, while or comparison asks for the value of"
NO_VALUE_YET = ", but an equation has no value yet when it is written."
CHOOSE = (
    "  Choose with arithmetic: gate * a + (1 - gate) * b, maximum(a, b), minimum(a, b); "
    "greater(a, b) and equal(a, b) are 1 or 0."
)
OWN = f"  Use the language's own: {FUNCTIONS}."

HEAD = "@cell\ndef mine(x: Input, h: State, W: Matrix, U: Matrix, b: Bias):\n"
TWO_STATES = "@cell\ndef mine(x: Input, h: State, c: State, W: Matrix, U: Matrix, b: Bias):\n"


def define(source: str, file: str = "cell.py") -> dict[str, Any]:
    """Run source as a file of that name would be; its text is known to tracebacks."""
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    names: dict[str, Any] = {name: getattr(cells, name) for name in cells.__all__}
    names |= {"Annotated": Annotated, "math": __import__("math"), "torch": torch}
    names |= {"numpy": numpy, "cells": cells}
    exec(compile(source, file, "exec"), names)
    return names


def refusal(source: str) -> str:
    """The text with which source is refused."""
    with pytest.raises(CellError) as caught:
        define(source)
    return str(caught.value)


def body(*lines: str, head: str = HEAD) -> str:
    """A cell of these lines; the first is line 3 of its file."""
    return head + "".join(f"    {line}\n" for line in lines)


def matches(got: str, pattern: str) -> None:
    """Equal, but for the parts that are ``...`` in the pattern."""
    parts = [re.escape(part) for part in pattern.split("...")]
    if not re.fullmatch("(.|\n)*".join(parts), got):
        assert got == pattern


# What is written, and the full text with which it is refused.
EQUATIONS: dict[str, tuple[str, str]] = {
    "undefined letter": (
        body("h = tanh(W @ x + U @ h + q)", "return h"),
        f"""q is not defined.
  cell.py:3   h = tanh(W @ x + U @ h + q)
                                       ^
  There are: U, W, b, {FUNCTIONS.replace("log", "h, log")}, x.""",
    ),
    "misspelled function": (
        body("h = tahn(W @ x + U @ h + b)", "return h"),
        """tahn is not defined.
  cell.py:3   h = tahn(W @ x + U @ h + b)
                  ^^^^
  Did you mean 'tanh'?""",
    ),
    "letter of the other case": (
        body("h = tanh(W @ x + U @ H + b)", "return h"),
        """H is not defined.
  cell.py:3   h = tanh(W @ x + U @ H + b)
                                   ^
  Did you mean 'h'?""",
    ),
    "letter that is not set yet": (
        body("f = sigmoid(W.f @ x + g)", "g = tanh(W.g @ x)", "h = f * g", "return h"),
        """...g...
  cell.py:3   f = sigmoid(W.f @ x + g)
                                    ^
  ...""",
    ),
    "no return": (
        body("h = tanh(W @ x + U @ h + b)"),
        """mine: state h is not returned; the states are h.
  cell.py:3   h = tanh(W @ x + U @ h + b)
              ^
  End the body with: return h""",
    ),
    "nothing is returned": (
        body("h = tanh(W @ x + U @ h + b)", "return None"),
        """mine: state h is not returned; the states are h.
  cell.py:4   return None
                     ^^^^
  End the body with: return h""",
    ),
    "the second of two states is not returned": (
        body("c = tanh(W @ x + U @ h + b)", "h = tanh(c)", "return h", head=TWO_STATES),
        """mine: state c is not returned; the states are h, c.
  cell.py:5   return h
              ^^^^^^^^
  End the body with: return h, c""",
    ),
    "the first of two states is not returned": (
        body("c = tanh(W @ x + U @ h + b)", "h = tanh(c)", "return c", head=TWO_STATES),
        """mine: state h is not returned; the states are h, c.
  cell.py:5   return c
              ^^^^^^^^
  End the body with: return h, c""",
    ),
    "states in the wrong order": (
        body("c = tanh(W @ x + U @ h + b)", "h = tanh(c)", "return c, h", head=TWO_STATES),
        """mine: c is returned where h belongs.
  cell.py:5   return c, h
              ^^^^^^^^^^^
  End the body with: return h, c""",
    ),
    "one state twice": (
        body("c = tanh(W @ x + U @ h + b)", "h = tanh(c)", "return h, h", head=TWO_STATES),
        """mine: h is returned where c belongs.
  cell.py:5   return h, h
              ^^^^^^^^^^^
  End the body with: return h, c""",
    ),
    "a number is returned": (
        body("h = tanh(W @ x + U @ h + b)", "return 1.0"),
        """mine: something else is returned; the states are h.
  cell.py:4   return 1.0
                     ^^^
  End the body with: return h""",
    ),
    "a list is returned": (
        body("h = tanh(W @ x + U @ h + b)", "return [h]"),
        """mine: something else is returned; the states are h.
  cell.py:4   return [h]
              ^^^^^^^^^^
  End the body with: return h""",
    ),
    "widths that cannot agree": (
        body("h = tanh(x + U @ h + b)", "return h"),
        f"""the widths [I] and [H] cannot agree: input x [I] and matmul(...) [H].
  cell.py:3   h = tanh(x + U @ h + b)
                       ^^^^^^^^^
{BOTH_SIDES}""",
    ),
    "widths that cannot agree, under Unicode": (
        body("ĝ = W @ x; ñ = tanh(ĝ); h = 'é' and ñ + x", "return h"),
        f"""the widths [H] and [I] cannot agree: tanh(...) [H] and input x [I].
  cell.py:3   ĝ = W @ x; ñ = tanh(ĝ); h = 'é' and ñ + x
                                                  ^^^^^
{BOTH_SIDES}""",
    ),
    "widths that cannot agree, in a line that goes on": (
        body("h = (W @ x", "     + U @ h", "     + x)", "return h"),
        f"""the widths [H] and [I] cannot agree: add(...) [H] and input x [I].
  cell.py:3   h = (W @ x
                   ^^^^^
{BOTH_SIDES}""",
    ),
    "new state of the wrong width": (
        body("h = W @ x", "return x"),
        """mine: state h is [H], its new value is [I]: the widths cannot agree.
  cell.py:4   return x
              ^^^^^^^^
  Declare the width, as in h: Annotated[State, 'P'], or project it.""",
    ),
    "new state of one number": (
        body("h = total(W @ x)", "return h"),
        """mine: state h is [H], its new value is one number: the widths cannot agree.
  cell.py:4   return h
              ^^^^^^^^
  Declare the width, as in h: Annotated[State, 'P'], or project it.""",
    ),
    "input as a weight": (
        body("h = x @ W", "return h"),
        """input x [I] is used as a weight: only a Matrix stands left of @.
  cell.py:3   h = x @ W
                  ^^^^^
  Declare a matrix, as in W: Matrix, and write W @ x; for unit by unit write *.""",
    ),
    "bias as a weight": (
        body("h = b @ h", "return h"),
        """bias b [H] is used as a weight: only a Matrix stands left of @.
  cell.py:3   h = b @ h
                  ^^^^^
  Declare a matrix, as in W: Matrix, and write W @ x; for unit by unit write *.""",
    ),
    "matrix of a matrix": (
        body("h = W @ U @ h", "return h"),
        """matrix W [H] multiplies matrix U [H], a matrix.
  cell.py:3   h = W @ U @ h
                  ^^^^^
  Multiply a vector: W @ x.""",
    ),
    "matrix of a number": (
        body("h = W @ 2", "return h"),
        """matrix W [H] multiplies 2.
  cell.py:3   h = W @ 2
                  ^^^^^
  Multiply a vector: W @ x.""",
    ),
    "matrix of one number each": (
        body("h = W @ total(h)", "return h"),
        """a matrix product needs a matrix and a vector, got ...
  cell.py:3   h = W @ total(h)
                  ^^^^^^^^^^^^
  ...""",
    ),
    "one matrix of two widths": (
        body("h = W @ x + W @ h", "return h"),
        f"""the matrix [H, I] takes a vector [I], got [H]: matrix W [H, I] and state h [H].
  cell.py:3   h = W @ x + W @ h
                          ^^^^^
{BOTH_SIDES}""",
    ),
    "matrix unit by unit": (
        body("a = W @ x", "h = a + W * h", "return h"),
        """a matrix [H, I] cannot be used unit by unit; multiply it: W @ x: ...
  cell.py:4   h = a + W * h
                      ^^^^^
  ...""",
    ),
    "if": (
        body("if h > 0:", "    h = W @ x", "return h"),
        f"""{ASKS} state h [H]{NO_VALUE_YET}
  cell.py:3   if h > 0:
                 ^^^^^
{CHOOSE}""",
    ),
    "if on a value": (
        body("f = W @ x", "h = h if f else b", "return h"),
        f"""{ASKS} matmul(...) [H]{NO_VALUE_YET}
  cell.py:4   h = h if f else b
...^...
{CHOOSE}""",
    ),
    "and": (
        body("h = W @ x and U @ h", "return h"),
        f"""{ASKS} matmul(...) [H]{NO_VALUE_YET}
  cell.py:3   h = W @ x and U @ h
                  ^^^^^^^^^^^^^^^
{CHOOSE}""",
    ),
    "not": (
        body("h = not h", "return h"),
        f"""{ASKS} state h [H]{NO_VALUE_YET}
  cell.py:3   h = not h
                  ^^^^^
{CHOOSE}""",
    ),
    "while": (
        body("while h:", "    h = W @ x", "return h"),
        f"""{ASKS} state h [H]{NO_VALUE_YET}
  cell.py:3   while h:
              ^^^^^^^^
{CHOOSE}""",
    ),
    "comparison": (
        body("h = 1.0 * (h <= b)", "return h"),
        f"""{ASKS} state h [H]{NO_VALUE_YET}
  cell.py:3   h = 1.0 * (h <= b)
                         ^^^^^^
{CHOOSE}""",
    ),
    "Python's max": (
        body("h = max(W @ x, U @ h)", "return h"),
        f"""{ASKS} matmul(...) [H]{NO_VALUE_YET}
  cell.py:3   h = max(W @ x, U @ h)
                  ^^^^^^^^^^^^^^^^^
{CHOOSE}""",
    ),
    "math.exp": (
        body("h = math.exp(W @ x)", "return h"),
        f"""a function that is not of the cell language asks for the number matmul(...) [H].
  cell.py:3   h = math.exp(W @ x)
                  ^^^^^^^^^^^^^^^
{OWN}""",
    ),
    "float": (
        body("h = h * float(h)", "return h"),
        f"""a function that is not of the cell language asks for the number state h [H].
  cell.py:3   h = h * float(h)
                      ^^^^^^^^
{OWN}""",
    ),
    "torch.tanh": (
        body("h = torch.tanh(W @ x)", "return h"),
        f"""...
  cell.py:3   h = torch.tanh(W @ x)
                  ^^^^^^^^^^^^^^^^^
  ...{FUNCTIONS}...""",
    ),
    "numpy.tanh": (
        body("h = numpy.tanh(W @ x)", "return h"),
        f"""...
  cell.py:3   h = numpy.tanh(W @ x)
                  ^^^^^^^^^^^^^^^^^
  ...{FUNCTIONS}...""",
    ),
    "array left of a value": (
        body("h = numpy.ones(3) * (W @ x)", "return h"),
        """...
  cell.py:3   h = numpy.ones(3) * (W @ x)
                  ^^^^^^^^^^^^^^^^^^^^^^^
  ...""",
    ),
    "array right of a value": (
        body("h = (W @ x) * numpy.ones(3)", "return h"),
        """array([1., 1., 1.]) stands in an equation.
  cell.py:3   h = (W @ x) * numpy.ones(3)
                  ^^^^^^^^^^^^^^^^^^^^^^^
  Equations hold values and plain numbers.""",
    ),
    "text in an equation": (
        body("h = W @ x + 'b'", "return h"),
        """'b' stands in an equation.
  cell.py:3   h = W @ x + 'b'
                  ^^^^^^^^^^^
  Equations hold values and plain numbers.""",
    ),
    "truth in an equation": (
        body("h = W @ x + True", "return h"),
        """True stands in an equation.
  cell.py:3   h = W @ x + True
                  ^^^^^^^^^^^^
  Equations hold values and plain numbers.""",
    ),
    "power 3": (
        body("h = (W @ x) ** 3", "return h"),
        """only the power 2 is known, got 3.
  cell.py:3   h = (W @ x) ** 3
                  ^^^^^^^^^^^^
  Write the product out.""",
    ),
    "power one half": (
        body("h = (W @ x) ** 0.5", "return h"),
        """only the power 2 is known, got 0.5.
  cell.py:3   h = (W @ x) ** 0.5
                  ^^^^^^^^^^^^^^
  Write the product out.""",
    ),
    "power of a power": (
        body("h = 2 ** (W @ x)", "return h"),
        f"""TypeError: ...
  cell.py:3   h = 2 ** (W @ x)
                  ^^^^^^^^^^^^
{MADE_OF}""",
    ),
    "absolute value": (
        body("h = abs(W @ x)", "return h"),
        f"""TypeError: ...
  cell.py:3   h = abs(W @ x)
                  ^^^^^^^^^^
{MADE_OF}""",
    ),
    "value taken apart": (
        body("a, b = W @ x", "return h"),
        """matmul(...) [H] cannot be taken apart.
  cell.py:3   a, b = W @ x
              ^^^^
  Write the equation on whole vectors.""",
    ),
    "one unit": (
        body("h = h[0]", "return h"),
        """h[0] is read; only the last h is declared.
  cell.py:3   h = h[0]
                  ^^^^
  Declare as many as are read, as in h: Annotated[State, Last(2)]; h[1] is h of the step before.""",
    ),
    "gate of a state": (
        body("h = h.f", "return h"),
        """state h [H] has no gates, so no .f.
  cell.py:3   h = h.f
                  ^^^
  Only what is declared as Matrix, Bias, Vector or Constant has gates, as in W.f.""",
    ),
    "method of a tensor": (
        body("h = (W @ x).clamp(0, 1)", "return h"),
        """matmul(...) [H] has no gates, so no .clamp.
  cell.py:3   h = (W @ x).clamp(0, 1)
                  ^^^^^^^^^^^^^
  Only what is declared as Matrix, Bias, Vector or Constant has gates, as in W.f.""",
    ),
    "too many arguments": (
        body("h = sigmoid(W @ x, h)", "return h"),
        f"""TypeError: sigmoid() takes 1 positional argument but 2 were given.
  cell.py:3   h = sigmoid(W @ x, h)
                  ^^^^^^^^^^^^^^^^^
{MADE_OF}""",
    ),
    "sum of a number": (
        body("h = h * mean(total(h))", "return h"),
        """a sum over units needs a vector, got one number: total(...) one number.
  cell.py:3   h = h * mean(total(h))
                      ^^^^^^^^^^^^^^
  ...""",
    ),
    "softmax of a number": (
        body("h = h * softmax(total(h))", "return h"),
        """softmax is over the units of a vector, got one number: total(...) one number.
  cell.py:3   h = h * softmax(total(h))
                      ^^^^^^^^^^^^^^^^^
  Give it a vector, as in softmax(W @ x).""",
    ),
    "softmax of a matrix": (
        body("h = tanh(softmax(W) @ x)", "return h"),
        """a matrix [H] cannot be used unit by unit; multiply it: W @ x: matrix W [H].
  cell.py:3   h = tanh(softmax(W) @ x)
                       ^^^^^^^^^^
  ...""",
    ),
    "normalised over another width": (
        body("h = normalise(W @ x + U @ h, over=(x,))", "return h"),
        f"""the widths [H] and [I] cannot agree: add(...) [H] and input x [I].
  cell.py:3   h = normalise(W @ x + U @ h, over=(x,))
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
{BOTH_SIDES}""",
    ),
    "normalised over nothing": (
        body("h = normalise(W @ x, over=())", "return h"),
        """normalise is over ().
  cell.py:3   h = normalise(W @ x, over=())
                  ^^^^^^^^^^^^^^^^^^^^^^^^^
  Give the vectors whose mean and deviation are taken, as in normalise(a, over=(a, b)).""",
    ),
    "normalised over a vector that stands alone": (
        body("h = normalise(W @ x, over=h)", "return h"),
        """normalise is over state h [H].
  cell.py:3   h = normalise(W @ x, over=h)
                  ^^^^^^^^^^^^^^^^^^^^^^^^
  Give the vectors whose mean and deviation are taken, as in normalise(a, over=(a, b)).""",
    ),
    "nothing is added to the variance": (
        body("h = normalise(W @ x, epsilon=0)", "return h"),
        """normalise adds 0 to the variance.
  cell.py:3   h = normalise(W @ x, epsilon=0)
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  Give a number above 0, as in normalise(a, epsilon=1e-5).""",
    ),
    "a matrix times the number of the step": (
        "@cell\ndef mine(x: Input, t: Step, h: State, U: Matrix):\n    h = tanh(U @ t)\n"
        "    return h\n",
        """a matrix product needs a matrix and a vector, got [H] and one number: matrix U [H] and \
step t one number.
  cell.py:3   h = tanh(U @ t)
                       ^^^^^
  ...""",
    ),
    "a last value that is not declared": (
        body("h = tanh(W @ x + U @ h[2])", "return h"),
        """h[2] is read; only the last h is declared.
  cell.py:3   h = tanh(W @ x + U @ h[2])
                                   ^^^^
  Declare as many as are read, as in h: Annotated[State, Last(2)]; h[1] is h of the step before.""",
    ),
    "a last value beyond those declared": (
        "@cell\ndef mine(x: Input, h: Annotated[State, Last(3)], W: Matrix):\n"
        "    h = tanh(W @ x + h[4])\n    return h\n",
        """h[4] is read; the last 3 of h are declared.
  cell.py:3   h = tanh(W @ x + h[4])
                               ^^^^
  Declare as many as are read, as in h: Annotated[State, Last(2)]; h[1] is h of the step before.""",
    ),
    "a last value after the state is assigned": (
        "@cell\ndef mine(x: Input, h: Annotated[State, Last(3)], W: Matrix):\n"
        "    h = tanh(W @ x)\n    h = h + h[2]\n    return h\n",
        """tanh(...) [H] cannot be taken apart.
  cell.py:4   h = h + h[2]
                      ^^^^
  Write the equation on whole vectors. Only a state has last values, as in h[2]: read them \
before it is assigned.""",
    ),
    "division by zero": (
        body("h = h * (1 / 0)", "return h"),
        f"""ZeroDivisionError: division by zero.
  cell.py:3   h = h * (1 / 0)
                       ^^^^^
{MADE_OF}""",
    ),
    "number too large": (
        body("h = h * 10**400", "return h"),
        """...
  cell.py:3   h = h * 10**400
                  ^^^^^^^^^^^
  ...""",
    ),
    "cell within itself": (
        body("h = mine(x, h)", "return h"),
        f"""mine is not defined.
  cell.py:3   h = mine(x, h)
                  ^^^^
  There are: U, W, b, {FUNCTIONS.replace("log", "h, log")}, x.""",
    ),
    "recursion": (
        body("def r(a):", "    return r(a)", "h = r(h)", "return h"),
        f"""RecursionError: maximum recursion depth exceeded...
  cell.py:5   h = r(h)
                  ^^^^
{MADE_OF}""",
    ),
    "matrix alone and with gates": (
        body("h = W.f @ x + W @ x", "return h"),
        """mine: W is used alone and with gates.
  cell.py:1   @cell
  Give it a gate everywhere, as in W.f.""",
    ),
    "bias alone and with gates": (
        body("h = b.f * h + b", "return h"),
        """mine: b is used alone and with gates.
  cell.py:1   @cell
  Give it a gate everywhere, as in b.f.""",
    ),
}


@pytest.mark.parametrize("what", EQUATIONS)
def test_equation_is_refused(what: str) -> None:
    source, text = EQUATIONS[what]
    matches(refusal(source), text)


def declared(letters: str) -> str:
    return f"@cell\ndef mine({letters}):\n    h = W @ x\n    return h\n"


DECLARATIONS: dict[str, tuple[str, str]] = {
    "no input": (
        declared("h: State, W: Matrix"),
        """mine has no Input.
  cell.py:1   @cell
  A cell needs both, as in x: Input, h: State.""",
    ),
    "no state": (
        declared("x: Input, W: Matrix"),
        """mine has no State.
  cell.py:1   @cell
  A cell needs both, as in x: Input, h: State.""",
    ),
    "one last value": (
        declared("x: Input, h: Annotated[State, Last(1)]"),
        """state h [H] keeps the last 1.
  cell.py:1   @cell
  A state keeps the last 2 or more, as in h: Annotated[State, Last(2)].""",
    ),
    "last values of a matrix": (
        declared("x: Input, h: State, W: Annotated[Matrix, Last(2)]"),
        """matrix W [H] keeps the last 2.
  cell.py:1   @cell
  A state keeps the last 2 or more, as in W: Annotated[State, Last(2)].""",
    ),
    "a letter that is a last value": (
        "@cell\ndef mine(x: Input, h: Annotated[State, Last(2)], h_2: State):\n"
        "    h = h + mean(x)\n    return h, h\n",
        """mine: h_2 is a letter, and what a state's last values are called.
  cell.py:1   @cell
  Choose another letter.""",
    ),
    "a step with a width": (
        declared("x: Input, h: State, t: Annotated[Step, 'P']"),
        """t has the width 'P'.
  cell.py:1   @cell
  A Step is one number.""",
    ),
    "no state but a step": (
        declared("x: Input, t: Step"),
        """mine has no State.
  cell.py:1   @cell
  A cell needs both, as in x: Input, h: State.""",
    ),
    "a step that starts elsewhere": (
        "@cell(start={'t': 3.0})\ndef mine(x: Input, t: Step, h: State):\n    h = h + t * mean(x)\n"
        "    return h\n",
        """mine: start or keep names t.
  cell.py:1   @cell(start={'t': 3.0})
  There are: h.""",
    ),
    "no letters": (declared(""), "mine has no ...\n  A cell needs both, as in x: Input, h: State."),
    "no annotation": (
        declared("x: Input, h: State, W"),
        """the letter W is declared as 'nothing'.
  cell.py:1   @cell
  Declare it as Input, State, Memory, Step, Matrix, Bias, Vector or Constant, as in W: Matrix.""",
    ),
    "annotation of another kind": (
        declared("x: Input, h: State, W: int"),
        """the letter W is declared as <class 'int'>.
  cell.py:1   @cell
  Declare it as Input, State, Memory, Step, Matrix, Bias, Vector or Constant, as in W: Matrix.""",
    ),
    "annotation that is a value": (
        declared("x: Input, h: State, W: Value"),
        "the letter W is declared as ...\n  Declare it as Input, State, Memory, Step, Matrix, ...",
    ),
    "unknown annotation": (
        declared("x: Input, h: State, W: 'Matrx'"),
        """mine: name 'Matrx' is not defined.
  cell.py:1   @cell
  Import it from conveyor.cells.""",
    ),
    "unknown annotation of a module": (
        declared("x: Input, h: State, W: 'cells.Matrx'"),
        "...Matrx...\n  cell.py:1   @cell\n  ...",
    ),
    "annotation that is no Python": (
        declared("x: Input, h: State, W: 'Matrix['"),
        "...\n  cell.py:1   @cell\n  ...",
    ),
    "width that is a number": (
        declared("x: Input, h: Annotated[State, 3], W: Matrix"),
        """h has the width 3.
  cell.py:1   @cell
  A width is a letter: 'H' or 'P'.""",
    ),
    "width of two words": (
        declared("x: Input, h: Annotated[State, 'a b'], W: Matrix"),
        """h has the width 'a b'.
  cell.py:1   @cell
  A width is a letter: 'H' or 'P'.""",
    ),
    "letter by keyword only": (
        declared("x: Input, h: State, *, W: Matrix"),
        "...\n  cell.py:1...",
    ),
    "letters in a star": (declared("x: Input, h: State, *W: Matrix"), "...\n  cell.py:..."),
    "start of an unknown gate": (
        "@cell(start={'b.g': 1.0})\n"
        "def mine(x: Input, h: State, W: Matrix, b: Bias):\n"
        "    h = W @ x + b.f\n"
        "    return h\n",
        """mine: start or keep names b.g.
  cell.py:1   @cell(start={'b.g': 1.0})
  Did you mean 'b.f'?""",
    ),
    "keep of an unknown gate": (
        "@cell(keep={'b.g': 1})\n"
        "def mine(x: Input, h: State, W: Matrix, b: Bias):\n"
        "    h = W @ x + b.f\n"
        "    return h\n",
        """mine: start or keep names b.g.
  cell.py:1   @cell(keep={'b.g': 1})
  Did you mean 'b.f'?""",
    ),
}


@pytest.mark.parametrize("what", DECLARATIONS)
def test_declaration_is_refused(what: str) -> None:
    source, text = DECLARATIONS[what]
    matches(refusal(source), text)


def started(arguments: str) -> str:
    return (
        f"@cell({arguments})\n"
        "def mine(x: Input, h: State, W: Matrix, b: Bias):\n"
        "    h = W @ x + b.f\n"
        "    return h\n"
    )


# Wrong cells that must be refused where they are defined, in whatever words, with their line.
LINES: dict[str, tuple[str, str]] = {
    "equality": (body("h = h == b", "return h"), "cell.py:3   h = h == b"),
    "if equal": (body("if h == 0:", "    h = W @ x", "return h"), "cell.py:3   if h == 0:"),
    "if unequal": (body("if h != b:", "    h = W @ x", "return h"), "cell.py:3   if h != b:"),
    "equal number on the left": (
        body("if 0 == h:", "    h = W @ x", "return h"),
        "cell.py:3   if 0 == h:",
    ),
    "value in a list": (
        body("if W @ x in [h, b]:", "    h = W @ x", "return h"),
        "cell.py:3   if W @ x in [h, b]:",
    ),
    "matrix that multiplies nothing, times": (body("h = W * h", "return h"), "cell.py:3"),
    "matrix that multiplies nothing, plus": (body("h = h + W", "return h"), "cell.py:3"),
    "matrix that multiplies nothing, function": (body("h = tanh(W.f)", "return h"), "cell.py:3"),
    "matrix as a new state": (body("h = W", "return h"), "cell.py:"),
    "not a number": (body("h = W @ x + float('nan')", "return h"), "cell.py:3"),
    "infinity": (body("h = W @ x + 1e400", "return h"), "cell.py:3"),
    "gate of a gate": (body("h = W.f.g @ x", "return h"), "cell.py:3   h = W.f.g @ x"),
    "start of an input": (started("start={'x': 1.0}"), "cell.py:1"),
    "start of a family": (started("start={'b': 1.0}"), "cell.py:1"),
    "start that is not a number": (started("start={'b.f': float('nan')}"), "cell.py:1"),
    "start that is text": (started("start={'b.f': 'one'}"), "cell.py:1"),
    "start of a matrix": (started("start={'W': 1.0}"), "cell.py:1"),
    "keep of a matrix": (started("keep={'W': 1}"), "cell.py:1"),
    "keep that is no sign": (started("keep={'b.f': 7}"), "cell.py:1"),
    "no function": ("mine = cell(3)\n", "cell.py:1"),
    "text for a function": (declared("x: Input").replace("@cell", "@cell('paper')"), "cell.py:1"),
    "class": ("@cell\nclass Mine:\n    pass\n", "cell.py:"),
    "value of another cell": (
        "leak = []\n"
        "@cell\n"
        "def one(x: Input, h: State, W: Matrix):\n"
        "    leak.append(W @ x)\n"
        "    h = W @ x\n"
        "    return h\n"
        "@cell\n"
        "def two(x: Input, h: State, W: Matrix):\n"
        "    h = W @ x + leak[0]\n"
        "    return h\n",
        "cell.py:",
    ),
}


@pytest.mark.parametrize("what", LINES)
def test_wrong_cell_is_refused_with_its_line(what: str) -> None:
    source, line = LINES[what]
    text = refusal(source)
    assert line in text
    assert " object at 0x" not in text
    assert "AttributeError" not in text


def test_a_power_that_is_a_value_is_described() -> None:
    text = refusal(body("h = (W @ x) ** h", "return h"))
    assert "state h [H]" in text
    assert " object at 0x" not in text


def test_known_letters_are_listed_once() -> None:
    letters = refusal(body("h = W @ x + qqq", "return h")).splitlines()[-1]
    listed = letters.removeprefix("  There are: ").removesuffix(".").split(", ")
    assert len(listed) == len(set(listed))


def test_where_no_source_is_known_the_error_is_still_clear() -> None:
    source = body("h = tanh(W @ x + q)", "return h")
    with pytest.raises(CellError) as caught:
        exec(compile(source, "<nowhere>", "exec"), {n: getattr(cells, n) for n in cells.__all__})
    first, place, *mend = str(caught.value).splitlines()
    assert first == "q is not defined."
    assert place == "  <nowhere>:3"
    assert mend[0].startswith("  There are: U, ")


def test_where_no_source_is_known_a_cell_works() -> None:
    names = {n: getattr(cells, n) for n in cells.__all__}
    exec(body("h = tanh(W @ x + U @ h + b)", "return h"), names)
    assert trace(names["mine"]).leaves == trace(CELLS["rnn"]).leaves


def test_the_line_of_a_helper_function_is_shown() -> None:
    source = (
        "def part(U, h):\n"
        "    return U @ h\n"
        "@cell\n"
        "def mine(x: Input, h: State, W: Matrix):\n"
        "    h = W @ x + part(W, h)\n"
        "    return h\n"
    )
    assert "  cell.py:2   return U @ h\n" in refusal(source)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_who_wants_to_stop_is_not_held_up(kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        define(body(f"raise {kind.__name__}", "return h"))


def test_a_refusal_leaves_the_profile_function_as_it_was() -> None:
    before = sys.getprofile()
    refusal(body("h = q", "return h"))
    define(body("h = W @ x", "return h"))
    assert sys.getprofile() is before


def test_cells_can_be_defined_under_a_profiler() -> None:
    """``python -m cProfile`` must not break ``import conveyor``."""
    with cProfile.Profile():
        define(body("h = W @ x", "return h"))
        define(body("h = W @ x", "return h"))


def test_cells_can_be_defined_under_a_profile_function() -> None:
    seen: list[str] = []
    before = sys.getprofile()

    def watch(frame: Any, event: str, argument: object) -> None:
        seen.append(event)

    sys.setprofile(watch)
    try:
        define(body("h = W @ x", "return h"))
        assert sys.getprofile() is watch
    finally:
        sys.setprofile(before)
    assert seen


# Accepted ------------------------------------------------------------------------------------

ACCEPTED = {
    "local h that is not the new state": body("h = W @ x", "n = tanh(h)", "return n"),
    "local h that is an output": body("h = W @ x", "n = tanh(h)", "return n, h"),
    "gate named as an attribute of ours": body("h = tanh(W.order @ x + b.order)", "return h"),
    "gate named name": body("h = tanh(W.name @ x + U.kind @ h + b.op)", "return h"),
    "gate named axes": body("h = tanh(W.axes @ x + U.gates @ h)", "return h"),
    "letters by other names": body("x = tanh(W @ x)", "W = x + h", "h = W", "return h"),
    "one output twice": body("h = tanh(W @ x)", "y = 2 * h", "return h, y, y"),
    "output that is a letter": body("h = tanh(W @ x)", "return h, b"),
    "local named as an output without a name": body(
        "h = W @ x", "output0 = tanh(h)", "return h, output0 + h, output0"
    ),
    "numbers of NumPy": body("h = numpy.float32(2) * (W @ x) * numpy.float32(2)", "return h"),
    "whole numbers of NumPy": body("h = numpy.int64(2) * (W @ x) * numpy.int64(2)", "return h"),
    "a loop": body("for k in range(3):", "    h = tanh(W @ x + U @ h) / (k + 1)", "return h"),
    "a choice by a number": body("h = tanh(W @ x) if 2 > 1 else h", "return h"),
    "two names of one value": body("a = c = tanh(W @ x)", "h = a * c", "return h"),
}


@pytest.mark.parametrize("what", ACCEPTED)
def test_unusual_cell_is_accepted_or_refused_when_defined(what: str) -> None:
    """Whatever the language accepts has a program that can be planned."""
    try:
        made = define(ACCEPTED[what])["mine"]
    except CellError:
        return
    program = trace(made)
    conveyor.show(program, "plan")
    assert all(
        operation.op != "constant" or operation.attribute in (2, 3, 1)
        for operation in program.operations
    )


def test_an_output_that_shares_the_states_letter_is_itself() -> None:
    """The new state is n; the output is what the body calls h."""
    made: Cell = define(body("h = W @ x", "n = tanh(h)", "return n, h"))["mine"]
    program = trace(made)
    (output,) = program.values_of("output").values()
    (state,) = program.values_of("state").values()
    assert output != state
