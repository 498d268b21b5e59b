"""Strict, frozen models and one-line messages for what they refuse."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

#: Of seeds and counts: what 32 bits with a sign hold, as all that is handed a seed accepts.
LARGEST = 2**31 - 1


Item = TypeVar("Item")


def repeated(values: Sequence[Item]) -> list[Item]:
    """Those that equal an earlier one; they need no hash."""
    return [value for place, value in enumerate(values) if value in values[:place]]


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    if twice := repeated(values):
        raise ValueError(f"{twice[0]} stands there twice; values must differ")
    return values


def shown(value: float) -> str:
    """A number as names of metrics show it, 12 digits long."""
    return f"{value:.12g}"


def _shown_apart(values: tuple[float, ...]) -> tuple[float, ...]:
    if twice := repeated([shown(value) for value in values]):
        raise ValueError(f"values differ only after 12 digits: two are {twice[0]}")
    return values


Positive = Annotated[float, Field(gt=0.0)]
UnitInterval = Annotated[float, Field(gt=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
NonNegative = Annotated[float, Field(ge=0.0)]
Whole = Annotated[int, Field(ge=0, le=LARGEST)]
Seed = Whole
#: A list whose values differ.
Distinct = Annotated[tuple[Item, ...], Field(strict=False), AfterValidator(_distinct)]
#: The same with at least one value.
Choices = Annotated[tuple[Item, ...], Field(min_length=1, strict=False), AfterValidator(_distinct)]
#: Added to a list of numbers after which metrics are named.
Apart = AfterValidator(_shown_apart)
Model = TypeVar("Model", bound=BaseModel)
#: Of a YAML file, as read.
Content = dict[str, Any]
Variant = Literal["published", "corrected", "improved"]


class ConfigError(ValueError):
    """A parameter is impossible; the message names key, value and what is allowed."""


class Block(BaseModel):
    """A block of params.yaml: immutable, strictly typed, finite, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def seed_counts(self) -> dict[str, int]:
        """How many seeds follow from `first_seed`, by the keys that say so."""
        counts = {key: getattr(self, key, None) for key in ("num_seeds", "replicates")}
        return {key: count for key, count in counts.items() if count is not None}

    @model_validator(mode="after")
    def _last_seed_is_possible(self) -> Self:
        first: int = getattr(self, "first_seed", 0)
        for key, count in self.seed_counts().items():
            if first + count - 1 > LARGEST:
                raise ValueError(
                    f"first_seed = {first}: with {key} = {count} the last seed is "
                    f"{first + count - 1}; at most {LARGEST} is allowed"
                )
        return self


def validate(model: type[Model], content: Content, where: str, within: str = "") -> Model:
    """An instance of `model` from content of the file `where`, `within` being its dotted key there.

    Raises:
        ConfigError: if the content is impossible; the message starts with `where`.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_one_line(error, model, where, within)) from None


@contextmanager
def refusing(where: str) -> Iterator[None]:
    """Say of a ValueError where in params.yaml its values come from.

    Raises:
        ConfigError: in place of the ValueError; the message starts with `where`.
    """
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{where}: {shortened(str(error))}") from error


def shortened(text: str) -> str:
    """The text in one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:300]}..."


def _one_line(error: ValidationError, model: type[BaseModel], where: str, within: str) -> str:
    first = error.errors()[0]
    path, beside, options = _walk(model, first["loc"])
    tag = first["type"] in ("union_tag_invalid", "union_tag_not_found")
    key = ".".join(([within] if within else []) + path + (["kind"] if tag else []))
    place = f"{where}: {key}" if key else where
    if first["type"] == "extra_forbidden":
        return unknown_key(f"{where}:", key, first["input"], _fields(beside))
    if first["type"] in ("missing", "union_tag_not_found"):
        return f"{place} is missing"
    if first["type"] == "union_tag_invalid":
        return f"{place} = {first['input']['kind']!r}: allowed are {first['ctx']['expected_tags']}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("model_type", "model_attributes_type"):
        message = f"a mapping of keys is needed; allowed are {_fields(options)}"
    whole = isinstance(first["input"], dict) and first["type"] == "value_error"  # names its keys
    value = "" if not key or whole else f" = {shortened(repr(first['input']))}"
    return f"{place}{value}: {message}"


def unknown_key(where: str, key: str, value: object, allowed: list[str]) -> str:
    """What to say about a key that is not allowed, with the closest one that is."""
    close = difflib.get_close_matches(key.split(".")[-1], allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{where} {key} = {value!r}: unknown key{hint}; allowed are {allowed}"


def _fields(models: list[type[BaseModel]]) -> list[str]:
    return sorted({name for each in models for name in each.model_fields})


def _walk(
    model: type[BaseModel], loc: tuple[int | str, ...]
) -> tuple[list[str], list[type[BaseModel]], list[type[BaseModel]]]:
    # Names on the way to a place, without pydantic's own of alternatives, models that it is part
    # of, and models that may stand there.
    path, beside, options = list[str](), [model], [model]
    for part in loc:
        tagged = [each for each in options if len(options) > 1 and part in _kinds(each)]
        if tagged:
            options = tagged
        elif isinstance(part, int) or "[" not in part:
            beside = options
            path.append(str(part))
            inner = [each.model_fields[str(part)] for each in options if part in each.model_fields]
            if inner:  # or a key of a mapping
                options = [each for field in inner for each in _models(field.annotation)]
    return path, beside, options


def _kinds(model: type[BaseModel]) -> tuple[object, ...]:
    return get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [each for inner in get_args(annotation) for each in _models(inner)]
