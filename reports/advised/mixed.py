"""Make the folder of which `mixed.html` is the advice: 400 MNIST digits, 40 of each class, as PNGs of mixed sizes.

python reports/advised/mixed.py mixed   # MNIST comes from $NDAUG_DATA, or is downloaded
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from ndaug.data import load


def main(folder):
    pool, _ = load("mnist")
    x, y, rng = pool.x[:, 0].numpy(), pool.y.numpy(), np.random.default_rng(0)
    for k in range(10):
        (folder/str(k)).mkdir(parents=True)
        for i in np.flatnonzero(y == k)[:40]:
            size = int(rng.integers(20, 36)), int(rng.integers(20, 36))
            Image.fromarray(x[i]).resize(size, Image.BILINEAR).save(folder/str(k)/f"{i}.png")


if __name__ == "__main__":
    if len(sys.argv) != 2: sys.exit("give the folder to make: python reports/advised/mixed.py mixed")
    main(Path(sys.argv[1]))
