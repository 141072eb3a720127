"""Pictures made here, in a folder like that of the real ones."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from mnist_model import model_folder
from mnist_model.errors import InputError
from mnist_model.evaluation import metrics, wild
from mnist_model.publishing import card
from scripts import evaluate
from tests.strokes import drawing


def scribble():
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 2, (12, 12), np.uint8) * 255, np.ones((20, 20), np.uint8))


# The file, its picture, the digit that the CSV gives, and the repository.
PICTURES = [
    ("three.png", drawing(3), 3, "me/digits"),
    ("seven.png", drawing(7, height=30, left=10, top=10, width=4), 7, "me/digits"),
    ("false.png", drawing(3), 8, "me/digits"),
    ("scribble.png", scribble(), 4, "you/scribbles"),
    ("blank.png", np.full((60, 40), 255, np.uint8), 0, "you/scribbles"),
    ("broken.png", None, 5, "you/scribbles"),
]


def write(folder, rows):
    with open(folder / "single.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wild")
    (folder / "single").mkdir()
    for name, picture, *_ in PICTURES:
        if picture is None:
            (folder / "single" / name).write_text("milk, bread")
        else:
            Image.fromarray(picture).save(folder / "single" / name)
    write(folder, [("file", "digit", "repository"), *((name, *of) for name, _, *of in PICTURES)])
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return shutil.copytree(model_folder.PRETRAINED, tmp_path_factory.mktemp("measured") / "model")


@pytest.fixture(scope="module")
def record(folder, pictures):
    return wild.evaluate(folder, *wild.load(pictures), model_folder.PRETRAINED)


def test_each_picture_is_right_refused_or_misread(record):
    assert (record["pictures"], record["repositories"], record["tuned_on"]) == (6, 2, True)
    figures = record["systems"]["this model"]
    assert {name: of["pictures"] for name, of in figures.items() if name != "first_choice"} == {
        "right": 2,
        "refused": 3,
        "misread": 1,
    }
    assert record["statuses"] == {"digit": 3, "not_a_digit": 1, "blank": 1, "unreadable": 1}


def test_a_share_has_wilsons_interval(record):
    right = record["systems"]["this model"]["right"]
    assert right["share"] == pytest.approx(1 / 3, abs=1e-6)
    assert right["interval"] == pytest.approx([0.0968, 0.7000], abs=1e-4)


def test_a_digit_that_was_refused_may_still_be_the_first_choice(refusing_model, pictures):
    _, listed = wild.load(pictures)
    figures = wild.benchmark(refusing_model, listed[:3])[0]["systems"]["this model"]
    assert [figures[name]["pictures"] for name in ("right", "refused", "first_choice")] == [0, 3, 2]


def test_a_blank_picture_has_no_first_choice(folder, pictures):
    _, listed = wild.load(pictures)
    (blank,) = [each for each in listed if each.path.name == "blank.png"]
    figures = wild.benchmark(folder, [blank])[0]["systems"]["this model"]
    assert figures["first_choice"]["pictures"] == 0


def test_the_baseline_is_fed_the_usual_way_and_refuses_only_what_cannot_be_opened(record):
    figures = record["systems"]["the usual way"]
    assert (figures["right"]["pictures"], figures["refused"]["pictures"]) == (1, 1)
    assert figures["first_choice"] == figures["right"]
    assert record["baseline"]["config"]["model"] == "sketch"


def test_every_repository_has_both_systems(record):
    mine, yours = record["by_repository"]["me/digits"], record["by_repository"]["you/scribbles"]
    assert mine["this model"] == {"right": 2, "refused": 0, "misread": 1}
    assert mine["the usual way"] == {"right": 1, "refused": 0, "misread": 2}
    assert (yours["pictures"], yours["this model"]) == (3, {"right": 0, "refused": 3, "misread": 0})


def test_the_failures_are_drawn_beside_what_the_model_saw(folder, pictures):
    _, pairs, captions = wild.benchmark(folder, wild.load(pictures)[1])
    assert captions == [
        "8 → 3\nfalse.png",
        "4 → not a digit\nscribble.png",
        "0 → blank\nblank.png",
        "5 → unreadable\nbroken.png",
    ]
    given, seen = pairs[0][3:-3, 3:143], pairs[0][3:-3, -143:-3]
    assert given.shape == seen.shape
    for half in (given, seen):
        assert half.min() < 40
        assert np.median(half) == 255


def test_the_record_lies_in_the_folder_and_outlives_another_evaluation(record, folder, pictures):
    assert model_folder.read_json(folder / "metrics.json")["wild"] == record
    assert record["csv_sha256"] == model_folder.sha256(pictures / "single.csv")
    drawn = model_folder.read_json(model_folder.PRETRAINED / "metrics.json")["drawn"]
    assert metrics._kept(folder) == {"drawn": drawn, "wild": record}


def test_the_record_of_other_files_is_dropped_and_its_folder_called_changed(record, folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    assert model_folder.damaged(other) == ""
    (other / "detector.json").write_text('{"threshold": 0.5}')
    assert metrics._kept(other) == {}
    assert model_folder.damaged(other) == "detector.json"


def test_the_picture_of_the_failures_is_never_published(record, folder, tmp_path):
    assert (folder / "wild.png").stat().st_size > 10_000
    card.prepare(folder, tmp_path / "repo", "me/digits")
    assert not (tmp_path / "repo" / "wild.png").exists()


def test_without_repositories_all_pictures_are_one_group(pictures, tmp_path):
    shutil.copytree(pictures / "single", tmp_path / "single")
    write(tmp_path, [("file", "digit"), ("three.png", 3), ("seven.png", 7)])
    assert {each.repository for each in wild.load(tmp_path)[1]} == {"unnamed"}


MISTAKES = {
    "no columns": ([("file", "label"), ("three.png", 3)], "Expected the columns file and digit in"),
    "no content": ([], "Received: none"),
    "no pictures": ([("file", "digit")], "which lists none"),
    "no picture": ([("file", "digit"), ("missing.png", 3)], "Received: no file at"),
    "no digit": ([("file", "digit"), ("three.png", "three")], "Expected a digit from 0 to 9 for"),
    "two digits": ([("file", "digit"), ("three.png", 33)], "Received: '33'"),
    "a short row": ([("file", "digit"), ("three.png",)], "Received: None"),
}


@pytest.mark.parametrize(("rows", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_csv_is_told_in_one_line(rows, message, pictures, tmp_path):
    shutil.copytree(pictures / "single", tmp_path / "single")
    write(tmp_path, rows)
    with pytest.raises(InputError, match=r"^Expected .+\. Received: .+$") as told:
        wild.load(tmp_path)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_csv_that_is_no_text_is_told_in_one_line(tmp_path):
    (tmp_path / "single.csv").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(InputError, match=r"^Expected a CSV in UTF-8\. Received: .+$"):
        wild.load(tmp_path)


def test_without_a_folder_it_says_where_it_looks(tmp_path, monkeypatch):
    with pytest.raises(
        InputError, match=r"^Expected a folder of pictures \(--wild FOLDER, or \$WILD\)\. Received: none$"
    ):
        wild.load("")
    monkeypatch.setenv("WILD", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"^Expected a folder with single\.csv\. Received: .+nowhere, which has none$"):
        wild.load()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:These are not the canonical MNIST")
def test_evaluate_prints_a_summary_of_the_pictures_that_the_environment_names(
    pictures, small_npz, tmp_path, monkeypatch, capsys
):
    folder = shutil.copytree(model_folder.PRETRAINED, tmp_path / "model")
    monkeypatch.setenv("WILD", str(pictures))
    evaluate.main([str(folder), "--data", str(small_npz), "--wild", "--baseline", str(model_folder.PRETRAINED)])
    assert set(model_folder.read_json(folder / "metrics.json")) >= {"mnist_test", "drawn", "wild"}
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "6 real pictures of 2 repositories, tuned on, in %" in lines
    assert "right 33.33 (9.68 to 70.00) 16.67 (3.01 to 56.35)" in lines
    assert "you/scribbles 3 3 + 0 1 + 2" in lines


@pytest.mark.parametrize(
    ("line", "message"),
    [("a b --wild c", "--wild takes only one folder"), ("a --baseline b", "--baseline requires --wild")],
)
def test_options_that_do_not_go_together_are_refused(line, message, capsys):
    with pytest.raises(SystemExit):
        evaluate.main(line.split())
    assert message in capsys.readouterr().err
