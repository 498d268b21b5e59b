"""Strict, frozen models and one-line messages for what they refuse."""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0)]
Model = TypeVar("Model", bound=BaseModel)
Variant = Literal["published", "corrected", "improved"]


class ConfigError(ValueError):
    """A parameter is impossible; the message names key, value and what is allowed."""


class Block(BaseModel):
    """A block of params.yaml: immutable, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def read_mapping(path: Path) -> dict[str, Any]:
    """The YAML mapping in a file; ConfigError if it is missing or none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping, got {type(content).__name__}")
    return content


def validate(model: type[Model], content: dict[str, Any], where: str) -> Model:
    """An instance of `model`; ConfigError, starting with `where`, if the content is impossible."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_one_line(error, model, where)) from None


def _one_line(error: ValidationError, model: type[BaseModel], where: str) -> str:
    first = error.errors()[0]
    path = [part for part in first["loc"] if not (isinstance(part, str) and "[" in part)]
    key = ".".join(str(part) for part in path)
    place = f"{where}: {key}" if key else where
    if first["type"] == "extra_forbidden":
        return unknown_key(
            f"{where}:", key, first["input"], sorted(_fields_at(model, list(path[:-1])))
        )
    if first["type"] == "missing":
        return f"{place} is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if not key else f"{place} = {first['input']!r}: {message}"


def unknown_key(where: str, key: str, value: Any, allowed: list[str]) -> str:
    """What to say about a key that is not allowed, with the closest one that is."""
    close = difflib.get_close_matches(key.split(".")[-1], allowed, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{where} {key} = {value!r}: unknown key{hint}; allowed are {allowed}"


def _fields_at(model: type[BaseModel], path: list[Any]) -> list[str]:
    for part in path:
        if part not in model.model_fields:
            continue  # a key of a mapping such as environments.<problem>
        annotation = model.model_fields[str(part)].annotation
        nested = getattr(annotation, "__args__", (annotation,))[-1]
        if not (isinstance(nested, type) and issubclass(nested, BaseModel)):
            return []
        model = nested
    return list(model.model_fields)
