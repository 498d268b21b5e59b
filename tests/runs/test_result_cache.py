"""The cache of results, its keys and its folder."""

from pathlib import Path

import numpy as np
import pytest

from bilevelrl.core.arrays import Arrays
from bilevelrl.runs.execution import ResultCache, content_key, work_folder


def arrays() -> Arrays:
    return {"theta": np.arange(3.0), "update": np.array([0, 4]), "empty": np.zeros((0, 2))}


def test_cached_arrays_come_back(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "runs")
    assert cache.get("ab12") is None
    cache.put("ab12", arrays())
    found = ResultCache(tmp_path / "runs").get("ab12")
    assert found is not None
    assert found.keys() == arrays().keys()
    for name, values in arrays().items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert cache.get("ab13") is None
    assert [path.name for path in (tmp_path / "runs").rglob("*.*")] == ["ab12.npz"]


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_cache_file_is_computed_again_with_a_warning(tmp_path: Path, kept: int) -> None:
    cache = ResultCache(tmp_path)
    cache.put("ab12", arrays())
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.warns(UserWarning, match=r"ab12\.npz is damaged \(.*\); computing it again"):
        assert cache.get("ab12") is None
    cache.put("ab12", arrays())
    assert cache.get("ab12") is not None


def test_a_flipped_bit_in_a_cache_file_is_noticed(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path)
    cache.put("ab12", {"theta": np.arange(500.0)})
    (path,) = tmp_path.rglob("*.npz")
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert cache.get("ab12") is None


def test_a_foreign_cache_file_is_computed_again(tmp_path: Path) -> None:
    cache = ResultCache(tmp_path)
    cache.put("ab12", arrays())
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(b"not an archive, whoever wrote it")
    with pytest.warns(UserWarning, match="damaged"):
        assert cache.get("ab12") is None


def test_content_keys_depend_on_the_content_and_not_on_its_order() -> None:
    content = {"seed": 1, "setting": {"temperature": 0.003, "step_size": 0.5}}
    reordered = {"setting": {"step_size": 0.5, "temperature": 0.003}, "seed": 1}
    assert content_key(content) == content_key(reordered)
    assert content_key(content) != content_key(content | {"seed": 2})
    assert content_key({"x": 0.1 + 0.2}) != content_key({"x": 0.3})
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_key({"x": float("nan")})


def test_the_work_folder_follows_dvc_and_its_own_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BILEVELRL_WORK", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert work_folder() == Path(".work")
    monkeypatch.setenv("DVC_ROOT", "/somewhere")
    assert work_folder() == Path("/somewhere/.work")
    monkeypatch.setenv("BILEVELRL_WORK", "/else")
    assert work_folder() == Path("/else")
