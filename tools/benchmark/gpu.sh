#!/usr/bin/env bash
# Measure all that docs/performance.md says of a GPU, in at most eight minutes; figures go to a
# folder. With a CONFIG whose training store is in place, a training with its dataloader too.
# usage: tools/benchmark/gpu.sh [CONFIG]
set -euo pipefail
cd "$(dirname "$0")/../.."

out=work_dirs/benchmark/gpu
mkdir -p "$out"
gpu() {
    timeout 240 python tools/benchmark/gpu.py --json "$out/$1.json" "${@:2}" | tee "$out/$1.md"
}
gpu steps --repeats 3 --steps 3
gpu compiled --depths 18 --dtypes bfloat16 --compile --repeats 3 --steps 3
for batch in 8 128; do
    gpu "batch_$batch" --depths 18 --dtypes bfloat16 --batch "$batch" --repeats 3 --steps 3
done
if [ $# -gt 0 ]; then
    timeout 120 python tools/benchmark/training.py "$1" --amp --data --gpus 1 | tee "$out/data.txt"
fi
