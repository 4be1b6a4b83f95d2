"""python -m training: make a draft encoder.

Writes draft_encoder.safetensors, its model card and training_log.json into a folder.
"""

import sys

from training.command import app

if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
