"""The one reader of environment variables: a process declares its settings as a class, read once.

    class Settings(LogSettings):
        registry: str = setting("LCM_REGISTRY", kinds.OBJECT_NAME, "default", "The TrialRegistry to use.")

    found = read(Settings, os.environ)

All validation errors are reported together; an empty variable counts as unset. docs/reference/settings.md is
made from the declarations. Engines load this module, so its imports must be light.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, dataclass_transform

import msgspec

from lcm_operator import kinds
from lcm_operator.kinds import Kind

T = TypeVar("T")
D = TypeVar("D")
S = TypeVar("S", bound="LogSettings")

EXIT_STATUS = 2
"""The exit status of a process with invalid settings."""
PREFIX = "LCM_"
POD_NAME = "LCM_POD_NAME"
LOG_LEVEL = "LCM_LOG_LEVEL"
LOG_FORMAT = "LCM_LOG_FORMAT"
_SERVICE_HOST = "_SERVICE_HOST"


class SettingsError(Exception):
    """Settings are invalid: one sentence for each error, which begins with the variable's name."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Variable(msgspec.Struct, frozen=True, kw_only=True):
    """One declared variable. `is_family`: all variables whose names begin with `name`.

    `before`: another name of it, which counts first.
    """

    name: str
    kind: Kind[Any]
    default: Any
    description: str
    required: bool = False
    secret: bool = False
    is_family: bool = False
    before: str | None = None


class Reading(msgspec.Struct, Generic[S]):
    """The result of `read`.

    `settings` has the default of each invalid variable. `unknown` has the LCM_ variables that the process
    does not know, each with the nearest name that it knows, or ''.
    """

    settings: S
    faults: tuple[str, ...]
    unknown: Mapping[str, str]

    def checked(self) -> S:
        """Return the settings. Raises SettingsError if any is invalid."""
        if self.faults:
            raise SettingsError(*self.faults)
        return self.settings


def setting(
    name: str,
    kind: Kind[T],
    default: D,
    description: str,
    *,
    required: bool = False,
    secret: bool = False,
    before: str | None = None,
) -> T | D:
    """Declare a field that is read from a variable.

    A `required` one must be set; its `default` only completes the settings until the error is reported. The
    value of a `secret` one is not shown in messages and `repr`. `before` is another name, which counts first.
    """
    declared: Any = Variable(
        name=name,
        kind=kind,
        default=default,
        description=description,
        required=required,
        secret=secret,
        before=before,
    )
    return declared  # type: ignore[no-any-return]


def family(name: str, description: str) -> Mapping[str, str]:
    """Declare a field for all variables whose names begin with `name`; their values are secrets."""
    declared: Any = Variable(
        name=name, kind=kinds.TEXT, default={}, description=description, secret=True, is_family=True
    )
    return declared  # type: ignore[no-any-return]


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(setting, family))
class Declared:
    """Immutable values with defaults. Dataclasses would delay an engine's start by 3 to 4 ms."""

    variables: ClassVar[Mapping[str, Variable]] = {}

    def __init_subclass__(cls) -> None:
        """Collect the declarations of `setting` and `family`; each attribute becomes its default."""
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Variable)}
        cls.variables = {**cls.variables, **own}
        for name, variable in own.items():
            setattr(cls, name, variable.default)

    def __init__(self, **values: Any) -> None:
        if unknown := [name for name in values if not hasattr(type(self), name)]:
            raise TypeError(f"{type(self).__name__} has no {', '.join(unknown)}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.variables)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = (name for name, variable in self.variables.items() if not variable.secret)
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def with_(self, **values: Any) -> Self:
        """Return a copy with other values."""
        return type(self)(**{**self.__dict__, **values})


def read(
    settings: type[S],
    environment: Mapping[str, str],
    check: Callable[[S, frozenset[str]], Iterable[str]] | None = None,
) -> Reading[S]:
    """Read the variables of a process.

    `check` yields errors of combinations; it gets the settings and the names of the invalid variables.
    """
    declared = settings.variables
    values: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for part, variable in declared.items():
        if variable.is_family:
            values[part] = {
                name: text for name, text in environment.items() if name.startswith(variable.name)
            }
        elif text := environment.get(variable.before or "") or environment.get(variable.name):
            try:
                values[part] = variable.kind.parse(text)
            except ValueError as error:
                faults[variable.name] = _fault(variable, text, str(error))
        elif variable.required:
            faults[variable.name] = f"{variable.name}: expected {variable.kind.allowed}, but it is not set"
    found = settings(**values)
    further = check(found, frozenset(faults)) if check is not None else ()
    return Reading(found, (*faults.values(), *further), _unknown(declared.values(), environment))


def print_faults(program: str, faults: Iterable[str]) -> None:
    """Print a line for each error to standard error, before an exit with EXIT_STATUS."""
    sys.stderr.write("".join(f"{program}: {fault}\n" for fault in faults))


def _fault(variable: Variable, text: str, detail: str) -> str:
    given = "another value, which is not shown" if variable.secret else ascii(text)
    detail = f" ({' '.join(detail.split())})" if detail else ""
    return f"{variable.name}: expected {variable.kind.allowed}, got {given}{detail}"


def _unknown(declared: Iterable[Variable], environment: Mapping[str, str]) -> dict[str, str]:
    names = {variable.name for variable in declared if not variable.is_family}
    families = tuple(variable.name for variable in declared if variable.is_family)
    of_services = tuple(_of_services(environment))
    strange = sorted(
        name
        for name in environment
        if name.startswith(PREFIX)
        and name not in names
        and not name.startswith(families)
        and not name.startswith(of_services)
    )
    return {name: _nearest(name, names) for name in strange}


def _of_services(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the prefixes of the variables that Kubernetes sets for each Service of the namespace."""
    for name in environment:
        if name.startswith(PREFIX) and name.endswith(_SERVICE_HOST):
            service = name.removesuffix(_SERVICE_HOST)
            yield from (f"{service}_SERVICE_", f"{service}_PORT")


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415 - only a typo needs it

    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.75)), "")


class LogSettings(Declared):
    """The settings of every process."""

    log_level: str = setting(
        LOG_LEVEL, kinds.LOG_LEVELS, "INFO", "The lowest level of log records that are written."
    )
    log_format: str = setting(
        LOG_FORMAT, kinds.LOG_FORMATS, "text", "`json` writes each log record as a JSON object on one line."
    )

    @property
    def log_variables(self) -> tuple[tuple[str, str], ...]:
        """The variables with which another process logs like this one, without defaults."""
        chosen = ((LOG_LEVEL, self.log_level, "INFO"), (LOG_FORMAT, self.log_format, "text"))
        return tuple((name, value) for name, value, default in chosen if value != default)
