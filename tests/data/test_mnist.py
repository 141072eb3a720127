import numpy as np
import pytest

from mnist_model.data import mnist
from mnist_model.errors import InputError
from mnist_model.reading.preprocessing import preprocess
from tests.conftest import data_file
from tests.strokes import drawing

IMAGES = np.zeros((20, 28, 28), np.uint8)
LABELS = np.arange(20) % 10


def arrays(**changed):
    every = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS} | changed
    return {name: array for name, array in every.items() if array is not None}


def test_the_canonical_images_are_known_by_their_content(recwarn):
    images, labels = mnist.load_train(data_file("MNIST_NPZ"))
    assert images.shape == (60000, 28, 28)
    assert len(mnist.load_test(data_file("MNIST_NPZ"))[1]) == 10000
    assert not recwarn


def test_other_content_is_a_warning_not_a_refusal(tmp_path):
    np.savez(tmp_path / "other.npz", **arrays())
    with pytest.warns(UserWarning, match="not the canonical MNIST test images"):
        images, labels = mnist.load_test(tmp_path / "other.npz")
    assert np.array_equal(labels, LABELS)


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    np.savez(tmp_path / "other.npz", **arrays())
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "other.npz"))
    with pytest.warns(UserWarning, match="not the canonical"):
        assert len(mnist.load_train()[0]) == 20


def test_without_a_file_keras_provides_it(monkeypatch):
    called = []
    monkeypatch.setattr(
        mnist.keras.datasets.mnist,
        "load_data",
        lambda: called.append(1) or ((IMAGES, LABELS), (IMAGES[:10], LABELS[:10])),
    )
    with pytest.warns(UserWarning, match="not the canonical"):
        assert len(mnist.load_test()[0]) == 10
    assert called


def test_without_a_network_it_says_what_else_to_give(monkeypatch):
    def fail():
        raise Exception("URL fetch failure on mnist.npz: None -- Name or service not known")

    monkeypatch.setattr(mnist.keras.datasets.mnist, "load_data", fail)
    with pytest.raises(InputError, match=r"or a local .npz \(--data\). Received: URL fetch failure"):
        mnist.load_train()


def test_training_does_not_read_the_test_set(tmp_path):
    np.savez(tmp_path / "half.npz", **arrays(x_test=None, y_test=None))
    with pytest.warns(UserWarning, match="not the canonical"):
        mnist.load_train(tmp_path / "half.npz")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_train": None}, "Expected arrays x_train and y_train in .* Received: x_train, x_test, y_test"),
        ({"x_train": IMAGES.astype(float)}, r"uint8. Received: \(20, 28, 28\), float64"),
        ({"x_train": IMAGES[:, :8]}, r"Received: \(20, 8, 28\)"),
        ({"y_train": LABELS[:5]}, r"Expected y_train of shape \(20,\)"),
        ({"y_train": LABELS + 1}, "Expected labels from 0 to 9 in y_train. Received: 1 to 10"),
    ],
)
def test_wrong_arrays_are_refused_by_name(tmp_path, changed, message):
    np.savez(tmp_path / "wrong.npz", **arrays(**changed))
    with pytest.raises(InputError, match=message):
        mnist.load_train(tmp_path / "wrong.npz")


def test_what_is_no_npz_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", IMAGES)
    np.savez(tmp_path / "cut.npz", **arrays())
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:5000])
    for name in ("text.npz", "one.npy", "cut.npz"):
        with pytest.raises(InputError, match="unreadable"):
            mnist.load_train(tmp_path / name)
    with pytest.raises(InputError, match="Received: no file at"):
        mnist.load_train(tmp_path / "nowhere.npz")


def test_the_split_is_fixed_stratified_and_11_to_1():
    labels = np.repeat(np.arange(10), 120)
    training, validation = mnist.split_indices(labels, 1 / 12)
    assert (len(training), len(validation)) == (1100, 100)
    assert not set(training) & set(validation)
    assert np.array_equal(np.bincount(labels[validation]), [10] * 10)
    assert sorted(validation)[:5] == [9, 21, 44, 47, 64]


def test_digits_in_small_pictures_are_the_same_digits_with_fewer_pixels():
    images = np.stack([preprocess(drawing(digit)) for digit in range(10)] * 4)
    seen = mnist.in_small_pictures(images, seed=0)
    assert seen.shape == images.shape
    assert seen.dtype == np.uint8
    assert np.array_equal(seen, mnist.in_small_pictures(images, seed=0))
    assert min(np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(images, seen, strict=True)) > 0.6
    assert np.abs(np.diff(seen.astype(int))).mean() < 0.9 * np.abs(np.diff(images.astype(int))).mean()
