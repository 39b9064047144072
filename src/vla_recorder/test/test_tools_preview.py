"""The preview: what the page and the sheet hold, and that a dataset cannot put markup into it."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tools_dataset as rig
from PIL import Image

from vla_recorder.cli.dataset import main
from vla_recorder.tools.preview_pictures import Strip, contact_sheet, depth_picture
from vla_recorder.tools.skew import skew_of

HOSTILE = 'pick <script>alert("x")</script> & <img src=x onerror=alert(1)>'
SKEW = {"edges_ms": [0, 1, 2, 5], "counts": [3, 20, 1]}


@pytest.fixture(scope="module", params=["v2.1", "v3.0"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    dataset = rig.make_dataset(
        folder / "dataset", version=request.param, lengths=(24, 30, 20), tasks=("swing", HOSTILE),
        extras=({"success": True, "skew": {"top": SKEW}}, {"bad": "<b>bad</b>"}, {}),
        contract=rig.CONTRACT,
    )  # fmt: skip
    assert main(["preview", str(dataset), str(folder / "out"), "--pictures", "4"]) == 3
    return folder / "out"


class Seen(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_all_episodes_findings_and_plots(made: Path) -> None:
    page = Seen((made / "report.html").read_text())
    assert sum(tag == "details" for tag, _ in page.tags) == 3
    for text in ("usable, with warnings", "labelled bad", "Episode 1", "Range of action", "Tasks"):
        assert text in page.text
    assert "Age of the samples" in page.text
    pictures = [attrs["src"] or "" for tag, attrs in page.tags if tag == "img"]
    assert len(pictures) == 3 * (2 + 1) + 4  # strips and joints of each; lengths, ranges, ages
    for source in pictures:
        data = base64.b64decode(source.partition("base64,")[2])
        image = np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float)
        assert image.std() > 5  # something is drawn


def test_the_page_loads_nothing_and_runs_nothing(made: Path) -> None:
    page = Seen((made / "report.html").read_text())
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe"})
    names = {name for _, attrs in page.tags for name in attrs}
    assert not [name for name in names if name.startswith("on")]
    sources = [attrs["src"] or "" for _, attrs in page.tags if "src" in attrs]
    assert all(source.startswith("data:image/") for source in sources)
    assert HOSTILE in page.text


def test_the_sheet_shows_the_pictures_of_the_episodes(made: Path) -> None:
    with Image.open(made / "contact_sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels.shape[1] > 4 * 180
    square = (np.abs(pixels.astype(int) - (240, 220, 60)).max(axis=2) < 30).sum()
    assert square > 3 * 4 * 300  # the yellow square of `top` in each of its pictures


def test_episodes_can_be_chosen(made: Path, tmp_path: Path) -> None:
    dataset = made.parent / "dataset"
    out = tmp_path / "out"
    assert main(["preview", str(dataset), str(out), "--episodes", "2", "--quick"]) == 3
    headings = re.findall(r"<summary>Episode (\d+)", (out / "report.html").read_text())
    assert headings == ["2"]


@pytest.mark.parametrize("options", [[], ["--episodes", "0"]])
def test_an_empty_dataset_is_refused(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = rig.make_dataset(tmp_path / "d", lengths=(8,))
    file = dataset / "meta/info.json"
    info = json.loads(file.read_text())
    file.write_text(json.dumps({**info, "total_episodes": 0, "total_frames": 0}))
    (dataset / "meta/episodes.jsonl").write_text("")
    assert main(["preview", str(dataset), str(tmp_path / "out"), *options]) == 1
    assert "there is nothing to show" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_broken_video_is_an_empty_place_and_exit_1(tmp_path: Path) -> None:
    dataset = rig.make_dataset(tmp_path / "d", lengths=(20, 20))
    file = sorted(dataset.glob("videos/**/*.mp4"))[0]
    file.unlink()
    file.write_bytes(b"no video")
    assert main(["preview", str(dataset), str(tmp_path / "out")]) == 1
    assert 'class="badge FAIL"' in (tmp_path / "out/report.html").read_text()


def test_a_table_that_cannot_be_read_leaves_the_rest(tmp_path: Path) -> None:
    dataset = rig.make_dataset(tmp_path / "d", lengths=(20, 20))
    (dataset / "data/chunk-000/episode_000000.parquet").write_bytes(b"no table")
    assert main(["preview", str(dataset), str(tmp_path / "out")]) == 1
    page = Seen((tmp_path / "out/report.html").read_text())
    assert sum(attrs.get("alt") == "state and action" for _, attrs in page.tags) == 1


def test_a_dataset_without_pictures_has_a_page(tmp_path: Path) -> None:
    numbers = {k: f for k, f in rig.FEATURES.items() if f.dtype != "video"}
    dataset = rig.make_dataset(tmp_path / "d", lengths=(20,), features=numbers)
    assert main(["preview", str(dataset), str(tmp_path / "out")]) == 3
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


def test_depth_is_shown_near_red_far_blue_unknown_black() -> None:
    depth = np.full((10, 10), 500, dtype=np.uint16)
    depth[:, 5:] = 3000
    depth[0] = 0
    shown = depth_picture(depth)
    assert shown[5, 0, 0] > shown[5, 0, 2]
    assert shown[5, 9, 2] > shown[5, 9, 0] or shown[5, 9].max() < 130
    assert not shown[0].any()


def test_long_texts_fit_the_sheet(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 100, dtype=np.uint8)
    strip = Strip(camera="c" * 300, times_s=[0.0, 1.0], pictures=[picture, None])
    contact_sheet("t" * 500, [("e" * 500, [strip])], tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width < 500


def test_ages_of_all_episodes_are_summed() -> None:
    found = skew_of([{"skew": {"top": SKEW}}, {}, {"skew": {"top": SKEW}}])
    assert found["top"].counts.tolist() == [6, 40, 2]


@pytest.mark.parametrize(
    "raw",
    [None, 3, {}, {"edges_ms": [0, 1], "counts": [1, 2]}, {"edges_ms": [1, 0], "counts": [1]}],
)
def test_what_is_no_histogram_is_left_out(raw: object) -> None:
    assert skew_of([{"skew": {"top": raw}}, {"skew": 5}]) == {}
