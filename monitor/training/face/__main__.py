"""python -m monitor.training.face STAGE: what the face's models are made with."""
