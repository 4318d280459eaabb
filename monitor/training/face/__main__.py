"""python -m monitor.training.face STAGE: what the face's models are made with."""

import argparse
import logging

from monitor.training.face.cues import cue_evaluate
from monitor.training.face.eyes import eyes_fit
from monitor.training.face.forgery import ablation, forgery, measure
from monitor.training.face.landmarks import (
    landmark_evaluate,
    landmark_export,
    landmark_train,
    teacher,
)
from monitor.training.face.lips import lips_data, lips_evaluate, lips_export, lips_train
from monitor.training.face.matched import gather, order, rank


def main() -> None:
    """Run one stage."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(prog="python -m monitor.training.face")
    stages = parser.add_subparsers(required=True)
    for module in (
        ablation,
        cue_evaluate,
        eyes_fit,
        forgery,
        gather,
        measure,
        order,
        rank,
        teacher,
        landmark_train,
        landmark_export,
        landmark_evaluate,
        lips_data,
        lips_train,
        lips_export,
        lips_evaluate,
    ):
        module.add(stages)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
