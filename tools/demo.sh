#!/usr/bin/env bash
# Train and test R(2+1)D and f-R2D on videos that only motion tells apart.
# Everything goes to data/motion and work_dirs/demo. The script prints the commands, the names of
# their logs, epochs, validations and, at the end, a table.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=work_dirs/demo
epoch='Epoch(train) *\[[0-9]*\]\[\([0-9]*\)/\1\]'  # its last line
validation='Epoch(val).*@1: [0-9.]*'
mkdir -p "$runs"

# Print a command, run it with a log, and show its epochs and the accuracy of each validation.
run() {
    local log=$1
    shift
    printf '\n$ %s\n(log: %s)\n' "$*" "$log"
    if ! "$@" 2>&1 | tee "$log" | { grep --line-buffered -o -e "$epoch" -e "$validation" || true; }; then
        tail -n 30 "$log"
        exit 1
    fi
}

if [ ! -e data/motion/label_map_motion.txt ]; then
    run "$runs/videos.log" python -m experiments.make_motion data/motion --val 100
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
