"""Figures inside the page, and what the documents call them."""

import base64
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from bilevelrl.reporting.page.content import Picture
from bilevelrl.runs.table_files import CorruptRecord

_IMAGE = re.compile(r"!\[(?P<text>[^\]]+)\]\((?P<target>[^)\s]+\.png)\)")
#: Beginnings of names of what a reader wants first.
_FIRST = ("learning_curves", "final_return")


def captions(root: Path) -> dict[Path, str]:
    """What README.md and docs/ call the images that they show, by their absolute paths."""
    found = dict[Path, str]()
    for page in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        if page.is_file():
            for match in _IMAGE.finditer(page.read_text(encoding="utf-8")):
                # The longest says most.
                place = (page.parent / match["target"]).resolve()
                found[place] = max(found.get(place, ""), match["text"], key=len)
    return found


def ordered(folder: Path) -> list[Path]:
    """PNG files of a folder, learning curves first, others by name."""

    def key(path: Path) -> tuple[int, str]:
        matches = [place for place, name in enumerate(_FIRST) if path.stem.startswith(name)]
        return min(matches, default=len(_FIRST)), path.stem

    return sorted(folder.glob("*.png"), key=key)


def pictures(paths: Iterable[Path], told: Mapping[Path, str], root: Path) -> Iterator[Picture]:
    """Every PNG file as a picture, its caption from `told` by the path below `root`.

    Raises:
        CorruptRecord: if one is no image.
    """
    paths = list(paths)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for path, (source, size) in zip(paths, pool.map(_embedded, paths), strict=True):
            name = Path("figures", "png", path.parent.name, path.name)
            title = path.stem.replace("_", " ").capitalize()
            caption = told.get((root / name).resolve(), "")
            says_more = not title.lower().startswith(caption.lower())
            yield Picture(title, caption if says_more else "", source, *size)


def _embedded(path: Path) -> tuple[str, tuple[int, int]]:
    """Data URI and size in pixels: the same pixels as WebP, or the file itself if that is smaller.

    Matplotlib's PNG files are about 1.8 times as large as their pixels need.
    """
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            smaller = io.BytesIO()
            image.save(smaller, "WEBP", lossless=True, method=1, quality=20)
            size = image.size
    except (UnidentifiedImageError, OSError) as error:
        raise CorruptRecord(f"{path}: {error}") from error
    kind, data = min((("png", content), ("webp", smaller.getvalue())), key=lambda one: len(one[1]))
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", size
