"""`{{ }}` expressions, by jinja2 in its sandbox.

The only module that imports jinja2; `templates` imports it when a plan has an expression. Statements
(`{% %}`) are rejected, so an expression can't loop, and so are unbounded numbers and repetitions.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lcm_operator.api.similar import did_you_mean
from lcm_operator.plan.values import LONGEST_TEXT, TemplateError, Undefined, as_number, quoted

_MOST_BITS = 4096
Chain = tuple[str, ...]
# What evaluation may raise besides jinja2's own errors; their text may contain values, so it is not shown.
_EVALUATION_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RecursionError,
    TypeError,
    ValueError,
)
# What parsing and compiling raise for thousands of brackets.
_NESTING_ERRORS = (MemoryError, RecursionError, SyntaxError)


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer the members of JSON objects to the methods of dict: `response.json.items` is data."""
        if isinstance(obj, Mapping) and attribute in obj:
            return self.getitem(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        found = super().getitem(obj, argument)
        return self.undefined(hint=found.reason) if isinstance(found, Undefined) else found

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * right > _MOST_BITS:
                raise SecurityError("a number is too large")
        elif operator == "*":
            for many, one in ((left, right), (right, left)):
                if isinstance(many, int) and isinstance(one, str | list | tuple):
                    if len(one) * many > LONGEST_TEXT:
                        raise SecurityError("a repetition is too long")
                elif isinstance(many, int) and isinstance(one, int) and many.bit_length() > _MOST_BITS:
                    raise SecurityError("a number is too large")
        return super().call_binop(context, operator, left, right)


def _literal(text: Any) -> Any:
    """Parse a Python literal, which old registries put into strings."""
    try:
        return ast.literal_eval(text.strip())
    except (AttributeError, ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise jinja2.TemplateRuntimeError(
            "the filter literal expects a Python literal in a string"
        ) from error


def _number(value: Any) -> Any:
    """Return the number that a text gives; a number stays as it is."""
    found = as_number(value)
    if found is None:
        raise jinja2.TemplateRuntimeError("the filter number expects a number, or text such as '5' or '2.5'")
    return found


def _strftime(moment: Any, form: str) -> str:
    """Format a time, or a time as RFC 3339 text."""
    try:
        found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return str(found.strftime(form))
    except (AttributeError, ValueError) as error:
        raise jinja2.TemplateRuntimeError("the filter strftime expects a time or RFC 3339 text") from error


def _sandbox() -> _Sandbox:
    environment = _Sandbox(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        comment_start_string="\0{#",  # no comments: `{#` is text like any other
        comment_end_string="#}\0",
    )
    environment.filters |= {"literal": _literal, "number": _number, "strftime": _strftime}
    environment.globals = {"range": environment.globals["range"]}
    return environment


_SANDBOX = _sandbox()


def _explained(error: jinja2.TemplateError) -> str:
    """Return jinja2's message in the words of a plan, with the nearest filter for an unknown one."""
    text = (error.message or type(error).__name__).rstrip(".")
    text = text.replace("'end of print statement'", "`}}`").replace("end of template", "end of text")
    text = text.replace("'dict object' has no attribute", "the object has no field")
    if found := re.fullmatch(r"No filter named '(.+)'", text):
        return f"there is no filter {found[1]}{did_you_mean(found[1], _SANDBOX.filters)}"
    return text


@dataclass(frozen=True)
class Piece:
    """One expression of a text; `parameters` are those that it uses, None if it uses anything else."""

    source: str
    names: frozenset[str]
    compiled: TemplateExpression
    parameters: frozenset[str] | None = None

    def evaluate(self, variables: Mapping[str, Any]) -> Any:
        """Return the value of the expression, whatever its type. Raises TemplateError."""
        try:
            value = self.compiled(**variables)
            if isinstance(value, jinja2.Undefined):
                str(value)  # raises, with jinja2's own explanation
        except jinja2.TemplateError as error:
            raise TemplateError(f"{_explained(error)} in {quoted(self.source)}") from error
        except _EVALUATION_ERRORS as error:
            raise TemplateError(f"{type(error).__name__} in {quoted(self.source)}") from error
        return value


@lru_cache(maxsize=1024)
def parse(source: str) -> tuple[str | Piece, ...]:
    """Return literal text and expressions of `source` in their order. Raises TemplateError."""
    body = _syntax(source).body
    try:
        return tuple(_piece(source, node) for output in body for node in output.iter_child_nodes())
    except jinja2.TemplateError as error:
        raise TemplateError(f"{_explained(error)} in {quoted(source)}") from error
    except _NESTING_ERRORS as error:
        raise TemplateError(f"the expression nests too deeply: {quoted(source)}") from error


def lookups(source: str) -> Iterator[Chain]:
    """Yield the names that the expressions of a text use: for `outputs.a.b` also `outputs` and `outputs.a`.

    Computed names, as in `outputs[values.which]`, are not included. Raises TemplateError.
    """
    for node in _syntax(source).find_all((nodes.Name, nodes.Getattr, nodes.Getitem)):
        if chain := _chain(node):
            yield chain


def _syntax(source: str) -> nodes.Template:
    """Return the syntax tree of `source`. Raises TemplateError."""
    try:
        if any(kind in {"block_begin", "raw_begin"} for _, kind, _ in _SANDBOX.lex(source)):
            raise TemplateError(
                f"statements {{% %}} are not supported, only expressions {{{{ }}}}: {quoted(source)}"
            )
        return _SANDBOX.parse(source)
    except jinja2.TemplateError as error:
        raise TemplateError(f"{_explained(error)} in {quoted(source)}") from error
    except _NESTING_ERRORS as error:
        raise TemplateError(f"the expression nests too deeply: {quoted(source)}") from error


def _piece(source: str, node: nodes.Node) -> str | Piece:
    if isinstance(node, nodes.TemplateData):
        return node.data
    names = {name.name for name in node.find_all(nodes.Name)}
    if isinstance(node, nodes.Name):
        names.add(node.name)
    assign = nodes.Assign(nodes.Name("result", "store"), node, lineno=1)
    template = _SANDBOX.from_string(nodes.Template([assign], lineno=1))
    compiled = TemplateExpression(template, undefined_to_none=False)
    return Piece(source, frozenset(names), compiled, _parameters(node))


def _parameters(expression: nodes.Node) -> frozenset[str] | None:
    """Return the parameters that an expression uses by their names; None if it uses anything else."""
    kinds = (nodes.Name, nodes.Getattr, nodes.Getitem)
    found = [*expression.find_all(kinds), *([expression] if isinstance(expression, kinds) else [])]
    chains = [_chain(node) for node in found]
    roots = [chain[0] for chain in chains if len(chain) == 1]
    named = [chain[1] for chain in chains if len(chain) == 2]  # noqa: PLR2004 - a variable and a member
    is_plain = set(roots) <= {"parameters"} and len(named) == len(roots)
    return frozenset(named) if is_plain else None


def _chain(node: nodes.Node) -> Chain:
    match node:
        case nodes.Name():
            return (node.name,)
        case nodes.Getattr():
            name = node.attr
        case nodes.Getitem(arg=nodes.Const(value=str(key))):
            name = key
        case _:
            return ()
    before = _chain(node.node)
    return (*before, name) if before else ()
