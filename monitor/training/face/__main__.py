"""python -m monitor.training.face STAGE: what the face's models are made with."""

import argparse
import logging

from monitor.training.face import (
    ablation,
    cue_evaluate,
    eyes_fit,
    forgery,
    gather,
    landmark_evaluate,
    landmark_export,
    landmark_train,
    lips_data,
    lips_evaluate,
    lips_export,
    lips_train,
    measure,
    order,
    rank,
    teacher,
)


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
