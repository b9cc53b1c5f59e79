"""ENGINE ROOM: one contender in, adapter and manifest out (`python -m finetune.train`). Nobody imports it."""
