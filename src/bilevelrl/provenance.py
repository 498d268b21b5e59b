"""Which source files a result depends on, and one digest over them."""

import ast
import hashlib
import importlib.metadata
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def imported_modules(path: Path) -> set[str]:
    """Dotted names that the file imports, `from a import b` counted as both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def source_closure(path: Path) -> tuple[Path, ...]:
    """The file and all files of this package that it imports, directly or not, sorted."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for name in imported_modules(current):
            parts = name.split(".")
            if parts[0] != PACKAGE.name:
                continue
            module = PACKAGE.joinpath(*parts[1:])
            candidates = (module.with_suffix(".py"), module / "__init__.py")
            waiting += [candidate for candidate in candidates if candidate.is_file()]
    return tuple(sorted(seen))


@cache
def code_digest(*modules: str, values: tuple[str, ...] = ()) -> str:
    """SHA-256 over all that `bilevelrl.<module>` run: their source closures, NumPy and Numba.

    Args:
        modules: dotted names below the package.
        values: modules or packages to leave out because they only hold values that callers have in
            their key.
    """
    digest = hashlib.sha256()
    left_out = [PACKAGE.joinpath(*name.split(".")) for name in values]
    sources = {
        path
        for module in modules
        for path in source_closure(PACKAGE.joinpath(*module.split(".")).with_suffix(".py"))
    }
    for path in sorted(sources):
        if not any(path.with_suffix("").is_relative_to(place) for place in left_out):
            name = str(path.relative_to(PACKAGE))
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    for package in ("numba", "numpy"):
        digest.update(f"{package}=={importlib.metadata.version(package)}\0".encode())
    return digest.hexdigest()
