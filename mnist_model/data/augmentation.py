"""Augment training images: rotate, scale, shear, shift and bend them, and thicken or thin their strokes."""

import numpy as np
import tensorflow as tf
from scipy import ndimage

from mnist_model.reading.preprocessing import SIZE

BENDS = 5  # points along each side of the coarse grid that bends an image


class AugmentedBatches:
    """Shuffled batches of augmented images.

    The content of a batch depends only on (seed, epoch, index), so a resumed run sees the same batches. Set `epoch`
    before each epoch.

    Args:
        images: (N, 28, 28) uint8.
        labels: (N,) integers, or (N, 10) one-hot.
        rotation: greatest rotation, in degrees.
        zoom: greatest change of scale, as a fraction, independent for each axis.
        shear: greatest horizontal shear, as a fraction of the height.
        shift: greatest shift, in pixels.
        elastic: standard deviation of the displacements of a coarse grid, in pixels; interpolated smoothly, they bend
            the image (as in Ronneberger et al., U-Net, 2015, https://arxiv.org/abs/1505.04597).
        thickness: greatest weight with which a grey dilation or erosion by one pixel is blended into the image.
        augmented_epochs: number of epochs, from the first, in which images are augmented; None for all. Later images
            are as the model will see them (as in Ge et al., YOLOX, 2021, https://arxiv.org/abs/2107.08430).
        always: number of images, from the first, that are in every epoch; None for all.
        turns: number of epochs among which the remaining images are divided; they take turns.
    """

    def __init__(
        self,
        images,
        labels,
        *,
        batch_size,
        seed,
        rotation=0,
        zoom=0,
        shear=0,
        shift=0,
        elastic=0,
        thickness=0,
        augmented_epochs=None,
        always=None,
        turns=1,
    ):
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.seed = seed
        self.affine = {"rotation": rotation, "zoom": zoom, "shear": shear, "shift": shift}
        self.elastic = elastic
        self.thickness = thickness
        self.augmented_epochs = augmented_epochs
        self.always = len(images) if always is None else always
        self.turns = turns
        self.epoch = 0

    @property
    def epoch(self):
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self._epoch = epoch
        # The order of turns is fixed for the whole run.
        others = np.random.default_rng(self.seed).permutation(np.arange(self.always, len(self.images)))
        chosen = np.concatenate([np.arange(self.always), others[epoch % self.turns :: self.turns]])
        self._order = np.random.default_rng((self.seed, epoch)).permutation(chosen)

    def __len__(self):
        return -(-len(self._order) // self.batch_size)

    def __getitem__(self, index):
        chosen = self._chosen(index)
        images = self.images[chosen].astype(np.float32)
        if self.augmented_epochs is None or self.epoch < self.augmented_epochs:
            images = self._varied(images, np.random.default_rng((self.seed, self.epoch, index)))
        return images[..., np.newaxis], self.labels[chosen]

    def _chosen(self, index):
        return self._order[index * self.batch_size : (index + 1) * self.batch_size]

    def _varied(self, images, rng):
        if any(self.affine.values()) or self.elastic:
            fields = sampling_points(rng, len(images), **self.affine)
            if self.elastic:
                fields += bends(rng, len(images), self.elastic)
            images = _sample(images, fields)
        if self.thickness:
            images = thicken(images, rng.uniform(-self.thickness, self.thickness, len(images)))
        return images

    def dataset(self):
        """Return the batches as a tf.data.Dataset; each pass over it yields those of the current `epoch`.

        Autotuning is off. Keras 3.15.1 leaves it on for arrays and PyDatasets, but in TensorFlow 2.21.0 its thread may
        miss the signal to stop, and then the next epoch starts up to a minute late. To drop this, check that epochs on
        one core start without delay when Keras is given a PyDataset.
        """
        if any(self.affine.values()) or self.elastic or self.thickness:
            signature = tuple(tf.TensorSpec([None, *part.shape[1:]], part.dtype) for part in self[0])
            batches = tf.data.Dataset.from_generator(
                lambda: map(self.__getitem__, range(len(self))), output_signature=signature
            )
        else:
            # Let TensorFlow gather the images: even a little Python is slow compared with a small network's step.
            images, labels = tf.constant(self.images[..., np.newaxis]), tf.constant(self.labels)
            batches = tf.data.Dataset.from_generator(
                lambda: map(self._chosen, range(len(self))), output_signature=tf.TensorSpec([None], tf.int64)
            ).map(lambda chosen: (tf.cast(tf.gather(images, chosen), tf.float32), tf.gather(labels, chosen)))
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(2).with_options(options)


def augmented_batches(images, labels, config, drawings=None):
    """Return AugmentedBatches with a TrainConfig's settings; `drawings`, images and labels, take turns."""
    always = len(images)
    if drawings:
        images, labels = (np.concatenate(both) for both in zip((images, labels), drawings, strict=True))
    names = ("batch_size", "seed", "rotation", "zoom", "shear", "shift", "elastic", "thickness")
    settings = {name: getattr(config, name) for name in names}
    varied = config.epochs - round(config.unaugmented * config.epochs)
    return AugmentedBatches(images, labels, **settings, augmented_epochs=varied, always=always, turns=config.ink_turns)


def sampling_points(rng, count, *, rotation, zoom, shear, shift):
    """Return each pixel's source point under random affine maps about the centre: (2, count, 28, 28), rows first."""
    angle = np.deg2rad(rng.uniform(-rotation, rotation, count))
    scale_x, scale_y = rng.uniform(1 - zoom, 1 + zoom, (2, count))
    slant = rng.uniform(-shear, shear, count)
    move_x, move_y = rng.uniform(-shift, shift, (2, count, 1, 1))
    cos, sin = np.cos(angle), np.sin(angle)
    maps = np.array([[cos * scale_y, sin * scale_x], [slant - sin * scale_y, cos * scale_x]])
    centre = (SIZE - 1) / 2
    points = np.einsum("abn,bij->anij", maps, np.indices((SIZE, SIZE)) - centre) + centre
    return points + np.stack([move_y, move_x])


def bends(rng, count, sd):
    """Return smooth random displacements, (2, count, 28, 28) in pixels, with a standard deviation up to `sd`."""
    curves = smooth_curves(SIZE, BENDS)
    return curves @ rng.normal(0, 2.1 * sd, (2, count, BENDS, BENDS)) @ curves.T


def smooth_curves(count, points):
    """Return a cubic B-spline basis, (count, points), which interpolates smoothly between the points."""
    at = np.linspace(0, points - 1, count)
    distance = np.abs(at[:, np.newaxis] - np.arange(points))
    return np.where(distance < 1, 2 / 3 - distance**2 + distance**3 / 2, np.clip(2 - distance, 0, 1) ** 3 / 6)


def _sample(images, points):
    """Sample (N, 28, 28) images at `points`, (2, N, 28, 28); 0 outside the images."""
    which = np.broadcast_to(np.arange(len(images))[:, np.newaxis, np.newaxis], images.shape)
    return ndimage.map_coordinates(images, [which, *points], order=1, prefilter=False)


def thicken(images, amounts):
    """Thicken the strokes of (N, 28, 28) images by amounts from -1 to 1; negative amounts thin them."""
    thicker = ndimage.maximum_filter(images, (1, 3, 3))
    thinner = ndimage.minimum_filter(images, (1, 3, 3))
    amounts = np.float32(amounts)[:, np.newaxis, np.newaxis]
    return images + np.abs(amounts) * (np.where(amounts > 0, thicker, thinner) - images)
