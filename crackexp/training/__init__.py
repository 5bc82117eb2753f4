"""Training: trainers and what they are made of: module, losses, fit loop, history, checkpoints, callbacks, devices."""
