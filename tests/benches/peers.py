"""Masks of deepCR and Cosmic-CoNN, for bench_truth.py: it runs this with the Python of .venv-peers.

The name of a method and an image in electrons come in on standard input, again and again. Masks go out on
standard output.
"""

import contextlib
import pickle
import sys
import warnings

import numpy as np

THRESHOLD = 0.5


def deepcr():
    """Return the detector of deepCR, with the model that is best on ground-based frames."""
    from deepCR import deepCR

    model = deepCR(mask="ACS-WFC", device="CPU")
    return lambda image: model.clean(image, threshold=THRESHOLD, inpaint=False)


def cosmic_conn():
    """Return the detector of Cosmic-CoNN, with its model of ground-based images."""
    from cosmic_conn import init_model

    model = init_model("ground_imaging")
    return lambda image: model.detect_cr(image) > THRESHOLD


MODELS = {"deepCR": deepcr, "Cosmic-CoNN": cosmic_conn}


def main():
    """Answer until standard input ends."""
    warnings.simplefilter("ignore")
    made = {}
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # models print
    while sys.stdin.buffer.peek(1):
        name, image = pickle.load(sys.stdin.buffer)
        with contextlib.redirect_stdout(sys.stderr):
            if name not in made:
                made[name] = MODELS[name]()
            mask = made[name](image) if image.size else image
        pickle.dump(np.asarray(mask).astype(bool).reshape(image.shape), answers)
        answers.flush()


if __name__ == "__main__":
    main()
