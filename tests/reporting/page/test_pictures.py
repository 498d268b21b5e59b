"""Figures inside the page."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bilevelrl.reporting.page.pictures import captions, ordered, pictures
from bilevelrl.runs.table_files import CorruptRecord


def test_pixels_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "figures" / "png" / "toy" / "a_map.png"
    path.parent.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    told = {path: "What it shows"}
    (picture,) = pictures([path], told, tmp_path)
    assert (picture.title, picture.caption) == ("A map", "What it shows")
    assert (picture.width, picture.height) == (60, 40)
    _, _, data = picture.source.partition("base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), pixels)
    assert len(data) <= 4 * path.stat().st_size / 3 + 4


def test_what_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(CorruptRecord, match=r"broken\.png"):
        list(pictures([tmp_path / "broken.png"], {}, tmp_path))


def test_captions_are_those_of_the_documents(tmp_path: Path) -> None:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    (tmp_path / "README.md").write_text("![Short](figures/png/toy/a.png)\n")
    page = tmp_path / "docs" / "results" / "toy.md"
    page.write_text("![Longer text](../../figures/png/toy/a.png)\n")
    assert captions(tmp_path) == {tmp_path / "figures" / "png" / "toy" / "a.png": "Longer text"}


def test_learning_curves_come_first(tmp_path: Path) -> None:
    for name in ("ablation", "learning_curves_updates", "final_return", "learning_curves"):
        (tmp_path / f"{name}.png").write_bytes(b"")
    assert [path.stem for path in ordered(tmp_path)] == [
        "learning_curves", "learning_curves_updates", "final_return", "ablation",
    ]  # fmt: skip
