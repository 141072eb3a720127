import numpy as np
import pytest

from mnist_model.data import augmentation
from mnist_model.data.augmentation import AugmentedBatches
from mnist_model.training.config import TrainConfig


def batches(**limits):
    images = np.random.default_rng(0).integers(0, 256, (100, 28, 28), np.uint8)
    return AugmentedBatches(images, np.arange(100), batch_size=32, seed=3, **limits)


def test_an_epoch_holds_each_image_once():
    labels = [batches()[i][1] for i in range(len(batches()))]
    assert [len(part) for part in labels] == [32, 32, 32, 4]
    assert sorted(np.concatenate(labels)) == list(range(100))


def test_some_images_are_in_every_epoch_and_the_others_take_turns():
    taking_turns = batches(always=40, turns=3)
    seen = []
    for epoch in range(6):
        taking_turns.epoch = epoch
        labels = np.concatenate([taking_turns[i][1] for i in range(len(taking_turns))])
        assert len(labels) == 60
        assert set(range(40)) < set(labels)
        seen.append(set(labels) - set(range(40)))
    assert set.union(*seen[:3]) == set(range(40, 100))
    assert seen[3:] == seen[:3]


def test_without_augmentation_the_images_are_untouched():
    images, labels = batches()[1]
    assert np.array_equal(images[..., 0], batches().images[labels])


def test_in_the_last_epochs_the_images_are_untouched():
    ending = batches(rotation=10, elastic=0.5, thickness=0.4, augmented_epochs=2)
    for ending.epoch in range(4):
        images, labels = ending[0]
        assert np.array_equal(images[..., 0], ending.images[labels]) == (ending.epoch >= 2)


def test_the_last_epochs_are_a_share_of_them_all():
    images, labels = np.zeros((4, 28, 28), np.uint8), np.arange(4)
    for epochs, augmented in ((36, 32), (5, 4), (2, 2)):
        config = TrainConfig("sketch", epochs=epochs, unaugmented=0.12)
        assert augmentation.augmented_batches(images, labels, config).augmented_epochs == augmented


def test_batches_follow_from_seed_epoch_and_index_alone():
    first, second = batches(rotation=10, shift=2), batches(rotation=10, shift=2)
    first.epoch = second.epoch = 4
    np.asarray(first[0][0])
    assert np.array_equal(np.asarray(first[2][0]), np.asarray(second[2][0]))
    second.epoch = 5
    assert not np.array_equal(first[2][1], second[2][1])


@pytest.mark.parametrize("limits", [{}, {"rotation": 10}, {"elastic": 0.5}, {"thickness": 0.4}])
def test_the_dataset_gives_the_batches_of_the_epoch_then_set_and_does_not_tune_itself(limits):
    expected = batches(**limits)
    dataset = expected.dataset()
    assert dataset.cardinality() == len(expected) == 4
    for expected.epoch in (0, 1):
        for i, (images, labels) in enumerate(dataset.as_numpy_iterator()):
            assert images.dtype == np.float32
            assert np.array_equal(images, expected[i][0])
            assert np.array_equal(labels, expected[i][1])
    assert dataset.options().autotune.enabled is False


def test_the_affine_maps_turn_and_move_about_the_centre():
    limits = {"rotation": 0, "zoom": 0, "shear": 0, "shift": 0}
    unchanged = augmentation.sampling_points(np.random.default_rng(0), 2, **limits)
    assert np.allclose(unchanged, np.indices((28, 28))[:, np.newaxis])
    for name, limit in (("rotation", 20), ("zoom", 0.2), ("shear", 0.2)):
        points = augmentation.sampling_points(np.random.default_rng(0), 50, **limits | {name: limit})
        assert np.allclose(points.mean(axis=(2, 3)), 13.5)
        assert not np.allclose(points, unchanged[:, :1])
    moved = augmentation.sampling_points(np.random.default_rng(0), 50, **limits | {"shift": 2}) - unchanged[:, :1]
    assert 1.5 < np.abs(moved).max() <= 2


def test_a_quarter_turn_turns_the_image():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 3:25, 13:15] = 255
    turned = [
        AugmentedBatches(image, np.zeros(1), batch_size=1, seed=seed, rotation=90)[0][0][0, ..., 0]
        for seed in range(40)
    ]
    level = max(turned, key=lambda each: each.sum(axis=1).max())
    assert level.sum(axis=1).max() > 15 * 255
    assert np.abs(level.sum() - image.sum()) < 0.1 * image.sum()


def test_bends_are_smooth_and_as_large_as_asked():
    fields = augmentation.bends(np.random.default_rng(0), 400, 0.8)
    assert 0.7 < fields[..., 8:20, 8:20].std() < 0.9
    assert np.abs(np.diff(fields, axis=-1)).max() < 0.7


def test_strokes_are_made_thicker_and_thinner():
    image = np.zeros((2, 28, 28), np.float32)
    image[:, 5:23, 12:16] = 255
    thicker, thinner = augmentation.thicken(image, np.array([1.0, -0.5]))
    assert (thicker > 0).sum() == 20 * 6
    assert thinner[10, 12] == pytest.approx(127.5)
    assert thinner[10, 13] == 255
