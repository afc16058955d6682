#!/usr/bin/env bash
# Train and test R(2+1)D and f-R2D on videos that only motion tells apart.
# Everything goes to data/motion and work_dirs/demo; the commands are printed.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=work_dirs/demo
mkdir -p "$runs"

# Print a command, run it, keep all it says in a log and show the lines of its epochs.
run() {
    local log=$1
    shift
    printf '\n$ %s\n' "$*"
    if ! "$@" 2>&1 | tee "$log" | { grep --line-buffered -o 'Epoch(.*' || true; }; then
        tail -n 30 "$log"
        exit 1
    fi
}

if [ ! -e data/motion/label_map_motion.txt ]; then
    python -m experiments.make_motion data/motion --val 100
fi
for network in r2plus1d_18 fr2d_18; do
    config=configs/${network}_motion.py
    dir=$runs/$network
    run "$dir.train.log" mim train r21d_plugin "$config" --gpus 0 --work-dir "$dir"
    run "$dir.test.log" mim test r21d_plugin "$config" --checkpoint "$(cat "$dir/last_checkpoint")" \
        --work-dir "$dir"
done
printf '\nAccuracy with 10 clips a video; ten classes, so chance is 10%%.\n\n'
python tools/results.py "$runs"/r2plus1d_18 "$runs"/fr2d_18
