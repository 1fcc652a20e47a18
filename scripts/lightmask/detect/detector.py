"""One iteration over an image: find the cosmic pixels, and clean them."""

from collections.abc import Callable

import numpy as np

from lightmask.detect.arguments import Parameters
from lightmask.detect.arrays import IndexArray, distinct, parts
from lightmask.detect.bounds import TILE, Bounds, TileExtremes
from lightmask.detect.cleaning import clean
from lightmask.detect.electrons import Electrons
from lightmask.detect.reach import GROWTH, reach
from lightmask.detect.seeds import find_seeds, pack, unpack
from lightmask.detect.windows import offsets, squares_of


class Detector:
    """Finds the cosmic rays of an image; knows what an iteration may keep of the last one.

    Attributes
    ----------
    image : Electrons
    bounds : Bounds
    seeds : 1-D array
        Pixels that passed all tests.
    grown : (n, 4) uint8 array
        Which of the 5x5 around each seed make up its cosmic ray, packed.
    """

    def __init__(self, image: Electrons, tiles: TileExtremes, parameters: Parameters) -> None:
        self.image, self.parameters = image, parameters
        self.bounds = Bounds(tiles, image)
        # Tiles between two stages, so many that what lies between stays small.
        self._batch = max(512, tiles.contrast.size // 16)
        self.seeds = np.zeros(0, image.dtype)
        self.grown = pack(np.zeros((0, 25), np.bool_))

    def iterate(self, defaults: Callable[[], tuple[np.float32, np.float32]]) -> IndexArray:
        """Find cosmic rays, clean them, and return their pixels.

        Parameters
        ----------
        defaults : callable
            Returns the data and the variance that stand in where nothing good is near.
        """
        self._find_seeds()
        image, parameters, nx = self.image, self.parameters, self.image.shape[1]
        square = offsets(nx, GROWTH)
        found = (
            (self.seeds[part, None] + square)[unpack(self.grown[part])]
            for part in parts(self.seeds.size, 2 * self._batch)
        )
        cosmics = distinct(found, image.noted, image.dtype)
        self.bounds.active[:] = False
        far = reach(parameters.medians, parameters.side)
        for changed, variances in clean(image, cosmics, parameters.cleantype, defaults, 2 * self._batch):
            self.bounds.renew(changed, variances, nx, far)
        return cosmics

    def _find_seeds(self) -> None:
        """Bring the seeds, and what grows from them, up to date."""
        active = self.bounds.active.ravel()
        # Elsewhere nothing changed since the last iteration, so neither do they.
        kept = ~active[squares_of(self.seeds, self.image.shape[1], TILE)]
        seeds, grown = [self.seeds[kept]], [self.grown[kept]]
        tiles = self.bounds.doubtful(np.flatnonzero(active), self.image.data, self.parameters.sigclip)
        for part in parts(tiles.size, self._batch):
            more_seeds, more_grown = find_seeds(tiles[part], self.image, self.parameters)
            seeds.append(more_seeds.astype(self.image.dtype))
            grown.append(more_grown)
        self.seeds, self.grown = np.concatenate(seeds), np.concatenate(grown)
