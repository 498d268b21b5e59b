"""What a result depends on: source files, versions of packages, and digests over them."""

import ast
import hashlib
import importlib.metadata
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
#: Packages that run without being declared: Numba's linear algebra is SciPy's BLAS and LAPACK.
_UNDECLARED = {"numba": ("scipy",)}
#: Required but never run here: torch's compiler of extensions, which no lock pins.
_BUILD_TOOLS = frozenset({"setuptools"})
#: A requirement's name, and its marker if that names an extra.
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)[^;]*(;.*\bextra\b)?")


def imported_modules(path: Path) -> frozenset[str]:
    """Dotted names that the file imports, `from a import b` counted as both a and a.b."""
    return _imported(path.read_text(encoding="utf-8"))


@cache
def _imported(source: str) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


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


def third_party(sources: Iterable[Path]) -> dict[str, str]:
    """Versions of the installed distributions that run when the sources do, by normalised name.

    What the sources import, what that requires without extras, and what is known to run undeclared.
    A version has its build's label (2.13.0+cpu): no build of PyTorch stands for another. What is
    not installed cannot run, and is left out: public functions take tensors only with PyTorch.
    """
    tops = {name.split(".")[0] for path in sources for name in imported_modules(path)}
    own = {PACKAGE.name, *sys.stdlib_module_names}
    waiting = [name for top in tops - own if (name := _distribution(top))]
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in found or name in _BUILD_TOOLS:
            continue
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # required for another platform only, or part of the Python installation
        waiting += [*_required(name), *_UNDECLARED.get(name, ())]
    return dict(sorted(found.items()))


@cache
def _required(distribution: str) -> tuple[str, ...]:
    listed = map(_REQUIREMENT.match, importlib.metadata.requires(distribution) or ())
    return tuple(normalised(one[1]) for one in listed if one and not one[2])


@cache
def _distribution(module: str) -> str | None:
    """Normalised name of the installed distribution that a top-level module belongs to."""
    try:
        importlib.metadata.distribution(module)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(module)
        return normalised(names[0]) if names else None
    return normalised(module)


def normalised(name: str) -> str:
    """A package's name as locks have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def digest_of(sources: Iterable[Path]) -> str:
    """SHA-256 over names (within this package) and contents of files, their packages and Python."""
    digest = hashlib.sha256()
    files = sorted(sources)
    for path in files:
        inside = path.is_relative_to(PACKAGE)
        name = str(path.relative_to(PACKAGE) if inside else path)
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    python = f"{sys.implementation.name}=={sys.version_info.major}.{sys.version_info.minor}"
    packages = (f"{name}=={version}" for name, version in third_party(files).items())
    digest.update("\0".join((python, *packages)).encode())
    return digest.hexdigest()


@cache
def code_digest(*modules: str, values: tuple[str, ...] = ()) -> str:
    """Digest of all that `bilevelrl.<module>` run: their source closures and what these import.

    Modules or packages of `values` are left out: they only hold what callers have in their key.
    """
    left_out = [PACKAGE.joinpath(*name.split(".")) for name in values]
    sources = {
        path
        for module in modules
        for path in source_closure(PACKAGE.joinpath(*module.split(".")).with_suffix(".py"))
    }
    return digest_of(
        path
        for path in sources
        if not any(path.with_suffix("").is_relative_to(place) for place in left_out)
    )


@cache
def folders_digest(*folders: str) -> str:
    """Digest of all that `bilevelrl.<folder>` and what is below import."""
    return digest_of(
        path for folder in folders for path in PACKAGE.joinpath(*folder.split(".")).rglob("*.py")
    )


@cache
def package_digest() -> str:
    """Digest of this whole package and all that it imports, to tell equal installations."""
    return digest_of(PACKAGE.rglob("*.py"))
