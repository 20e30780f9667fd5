"""The calculator: arithmetic on numbers and nothing else, with limits on how large a number and an expression may be.

simpleeval walks the expression; names, attributes, strings and whatever is no arithmetic are not among its nodes here,
and each operator checks its result's size before it is computed, so that 9**9**9 costs nothing.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import simpleeval  # type: ignore[import-untyped]

from app.tools.tool import ToolError

Number = int | float
N = TypeVar("N", int, float)

LONGEST = 1_000  # characters
MOST_BITS = 4_096  # of a whole number: about 1,230 digits
MOST_DIGITS = 100  # that round() may be asked for
MOST_FACTORIAL = 300
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "^": "**"})
_ALLOWED = re.compile(r"[0-9A-Za-z_.,+\-*/%() ]*")


def calculator(
    expression: Annotated[str, "Mathematical expression to evaluate (e.g., '2 + 2', '10 * 3')"],
) -> int | float:
    """Perform basic mathematical calculations"""
    text = " ".join(expression.translate(_SIGNS).split())
    if len(text) > LONGEST:
        raise ToolError(f"The expression is longer than {LONGEST} characters")
    if not text:
        raise ToolError("The expression is empty")
    if not _ALLOWED.fullmatch(text):
        raise ToolError("Only numbers, + - * / // % ** ( ), functions and constants can be used")
    try:
        return sound(evaluator().eval(text, previously_parsed=parse(text)))
    except simpleeval.NameNotDefined as error:
        raise ToolError(f"There is no {error.name}; there are: {', '.join(NAMES)}") from None
    except simpleeval.InvalidExpression:
        raise ToolError("Only numbers, + - * / // % ** ( ), functions and constants can be used") from None
    except ZeroDivisionError:
        raise ToolError("Division by zero") from None
    except OverflowError:
        raise ToolError("The result is too large") from None
    except (ValueError, TypeError) as error:
        raise ToolError(f"The expression has no value ({error})") from None
    except (RecursionError, MemoryError):
        raise ToolError("The expression is nested too deeply") from None


def parse(text: str) -> ast.expr:
    """Return the tree of an expression. Raises ToolError."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        raise ToolError("The expression is not complete or not well formed") from None


def evaluator() -> Any:
    """Return an evaluator that knows arithmetic only."""
    made = simpleeval.SimpleEval(operators=dict(OPERATORS), functions=dict(FUNCTIONS), names=dict(NAMES), allowed_attrs={})
    known = made.nodes
    made.nodes = {kind: known[kind] for kind in (ast.BinOp, ast.UnaryOp, ast.Name)}
    made.nodes[ast.Constant] = lambda node: sound(node.value)
    made.nodes[ast.Call] = lambda node: call(made, node)
    return made


def call(made: Any, node: ast.Call) -> Number:
    """Call one of the functions with the values of its arguments."""
    if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
        name = node.func.id if isinstance(node.func, ast.Name) else "that"
        raise ToolError(f"There is no function {name}; there are: {', '.join(FUNCTIONS)}")
    if node.keywords:
        raise ToolError("Functions take numbers only")
    return sound(FUNCTIONS[node.func.id](*(made._eval(argument) for argument in node.args)))


def sound(value: object) -> Number:
    """Return a value that is a finite real number of a bearable size. Raises ToolError."""
    if isinstance(value, complex):
        raise ToolError("The result is not a real number")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ToolError("Only numbers can be calculated with")
    if isinstance(value, float) and not math.isfinite(value):
        raise ToolError("The result is too large" if math.isinf(value) else "The expression has no value")
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise ToolError("The result is too large")
    return value


def bits(value: Number) -> int:
    """Return the size of a whole number in bits; a float's is always the same."""
    return value.bit_length() if isinstance(value, int) else 64


def checked(operation: Callable[[Any, Any], Any], growth: Callable[[int, int], int]) -> Callable[[Number, Number], Number]:
    """Wrap an operation of two numbers: refused before it is done when its result would be too large."""

    def operate(left: Number, right: Number) -> Number:
        if growth(bits(left), bits(right)) > MOST_BITS + 64:
            raise ToolError("The result is too large")
        return sound(operation(left, right))

    return operate


def power(base: Number, exponent: Number) -> Number:
    """Raise to a power, unless the result would be too large."""
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and abs(base) > 1 and bits(int(abs(base)) - 1) * exponent > MOST_BITS:
        raise ToolError("The result is too large")
    return sound(base**exponent)


def rounded(number: N, digits: int = 0) -> N | int:
    """Round to a whole number, or to `digits` behind the point."""
    if not isinstance(digits, int) or abs(digits) > MOST_DIGITS:
        raise ToolError(f"round() takes a whole number of digits up to {MOST_DIGITS}")
    return round(number, digits) if digits else round(number)


def factorial(number: int) -> int:
    """Return 1 * 2 * … * number."""
    if not isinstance(number, int) or not 0 <= number <= MOST_FACTORIAL:
        raise ToolError(f"factorial() takes a whole number from 0 to {MOST_FACTORIAL}")
    return math.factorial(number)


OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: checked(operator.add, max),
    ast.Sub: checked(operator.sub, max),
    ast.Mult: checked(operator.mul, int.__add__),
    ast.Div: checked(operator.truediv, max),
    ast.FloorDiv: checked(operator.floordiv, max),
    ast.Mod: checked(operator.mod, max),
    ast.Pow: power,
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs, "round": rounded, "floor": math.floor, "ceil": math.ceil, "trunc": math.trunc, "min": min, "max": max,
    "sqrt": math.sqrt, "pow": power, "exp": math.exp, "log": math.log, "log2": math.log2, "log10": math.log10,
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos, "atan": math.atan,
    "atan2": math.atan2, "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "degrees": math.degrees,
    "radians": math.radians, "hypot": math.hypot, "gcd": math.gcd, "factorial": factorial,
}  # fmt: skip
NAMES: Mapping[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}
