"""Request bodies for the OpenAPI document; a test sends each of them."""

from __future__ import annotations

from fastapi.openapi.models import Example

CREATE_EXAMPLES: dict[str, Example] = {
    "short": {
        "summary": "Four settings, the rest by default",
        "value": {
            "job_name": "My Training Job",
            "config": {
                "epochs": 100,
                "batch_size": 32,
                "learning_rate": 0.001,
                "model_architecture": "convnext_large",
            },
        },
    },
    "radio": {
        "summary": "A small model on a folder of its own, with labels and a priority",
        "value": {
            "job_name": "Radio signals",
            "kind": "convnext",
            "priority": 10,
            "max_retries": 3,
            "tags": {"team": "spectrum"},
            "config": {
                "model_architecture": "convnext_atto",
                "pretrained": False,
                "data": "s3://datasets/radio/manifest.csv",
                "sample_rate": 8000,
                "clip_seconds": 2.0,
                "n_mels": 64,
                "n_fft": 512,
                "hop_length": 128,
                "epochs": 10,
                "warmup_epochs": 1,
                "devices": 2,
                "accelerator": "cpu",
            },
        },
    },
    "own_lora": {
        "summary": "A LoRA of FLUX.1 on this cluster's own GPU, with pictures of its progress",
        "value": {
            "job_name": "MYMODEL",
            "kind": "lora",
            "backend": "ray",
            "config": {
                "base_model": "black-forest-labs/FLUX.1-dev",
                "dataset": "s3://datasets/mymodel/",
                "trigger_word": "MYMODEL",
                "default_caption": "a photo of [trigger]",
                "steps": 1000,
                "rank": 16,
                "resolution": [512, 768],
                "sample_prompts": ["a portrait of [trigger] in the rain"],
            },
        },
    },
}

REMOTE_EXAMPLES: dict[str, Example] = {
    "lora": {
        "summary": "A LoRA at Replicate, from a folder of images with captions",
        "value": {
            "job_name": "MYMODEL",
            "kind": "lora",
            "backend": "replicate",
            "config": {
                "trainer": "flux-dev-lora",
                "dataset": "https://storage.example/dataset.zip",
                "trigger_word": "MYMODEL",
                "captioning": "automatic",
                "steps": 300,
                "destination": "acme/mymodel",
            },
        },
    },
    "image_set": {
        "summary": "Twelve images of one character, all ordered at once",
        "value": {
            "job_name": "Ada, twelve views",
            "kind": "image_set",
            "backend": "replicate",
            "config": {
                "character": "ada",
                "prompt_template": "photo of {character}, {view}, {light}",
                "variables": {"view": ["front view", "in profile", "from behind"], "light": ["daylight", "studio"]},
                "count": 12,
                "seed": 7,
            },
        },
    },
}
ESTIMATE_EXAMPLES = REMOTE_EXAMPLES
