"""A few steps of a row of the device's benchmark, in whatever world it is started: prints what came of them.

accelerate launch --config_file LAUNCH -m tests.device_split LAUNCH SHAPE LAYERS
"""

import json
import sys
import tempfile
from pathlib import Path

from finetune.world import World
from tests.benchmarks.device import RACES, ours


def main(launch: str, shape: str, layers: str) -> None:
    with tempfile.TemporaryDirectory() as logs:
        world = World.open(launch, None, Path(logs))
        ran = ours(RACES["device.train.lora.4096"], shape, 3, world, num_hidden_layers=int(layers))
    print(json.dumps({"split": world.sharded, "losses": ran.losses}))
    world.accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
