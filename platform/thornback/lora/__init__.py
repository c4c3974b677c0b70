"""LoRA files: under which names their tensors are saved, what their header says, and what is in one."""
