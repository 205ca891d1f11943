"""Small networks in Paddle's own format: text is what is dark; each stretch of it reads as A."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def save_networks(folder: Path) -> Path:
    """Make a detection and a recognition model in `folder`, with paddlepaddle, and return it."""
    import paddle
    from paddle import nn

    class Finder(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.darkness = nn.Conv2D(3, 1, 1)
            self.darkness.weight.set_value(paddle.full([1, 3, 1, 1], -10.0))
            self.darkness.bias.set_value(paddle.zeros([1]))
            self.spread = nn.MaxPool2D((5, 25), 1, (2, 12))

        def forward(self, pixels: Any) -> Any:
            return nn.functional.sigmoid(self.spread(self.darkness(pixels)))

    class Speller(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.ink = nn.Conv2D(3, 4, (48, 8), (1, 8))
            weight = paddle.zeros([4, 3, 48, 8])
            weight[1] = -0.01
            self.ink.weight.set_value(weight)
            self.ink.bias.set_value(paddle.to_tensor([0.0, 11.0, -9.0, -9.0]))

        def forward(self, pixels: Any) -> Any:
            return nn.functional.softmax(self.ink(pixels).squeeze(2).transpose([0, 2, 1]))

    decode = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
    colours = {"NormalizeImage": {"mean": [0.5] * 3, "std": [0.5] * 3, "order": "hwc"}}
    steps = {
        "PP-OCRv5_mobile_det": [{"DetResizeForTest": None}, colours, {"ToCHWImage": None}],
        "PP-OCRv5_mobile_rec": [{"RecResizeImg": {"image_shape": [3, 48, 320]}}],
    }
    ends = {
        "PP-OCRv5_mobile_det": {"name": "DBPostProcess"},
        "PP-OCRv5_mobile_rec": {"name": "CTCLabelDecode", "character_dict": ["A", "B"]},
    }
    heights = {"PP-OCRv5_mobile_det": None, "PP-OCRv5_mobile_rec": 48}
    for name, network in zip(steps, (Finder(), Speller()), strict=True):
        network.eval()
        spec = paddle.static.InputSpec([None, 3, heights[name], None], "float32", "x")
        paddle.jit.save(network, str(folder / name / "inference"), input_spec=[spec])
        config = {
            "Global": {"model_name": name},
            "PreProcess": {"transform_ops": [decode, *steps[name], {"KeepKeys": None}]},
            "PostProcess": ends[name],
        }
        (folder / name / "inference.yml").write_text(json.dumps(config))
    return folder
