#!/usr/bin/env bash
# Measures and checks on a GPU all that was only ever run on CPUs: `benchmarks/gpu_check.sh FOLDER`.
#
# FOLDER gets NAME.log of every step, NAME.json of every benchmark, and the runs. A step that fails
# stops nothing; the failed ones are listed at the end, where the exit code is 1 if there are any.
set -u
if [ $# -ne 1 ]; then
  echo "usage: benchmarks/gpu_check.sh FOLDER" >&2
  exit 2
fi
mkdir -p "$1" && folder=$(cd "$1" && pwd) && cd "$(dirname "$0")/.." || exit 2
failed=()

step() { # NAME COMMAND...
  local name=$1 began=$SECONDS code=0
  shift
  echo "$name: $*"
  "$@" >"$folder/$name.log" 2>&1 || code=$?
  echo "  exit code $code after $((SECONDS - began)) s"
  if [ "$code" -ne 0 ]; then
    failed+=("$name")
    tail -n 3 "$folder/$name.log" | sed 's/^/  /'
  fi
}

launch() { # NAME FLAGS...
  step "$1" python launch.py "${@:2}" --workdir="$folder/runs"
}

step gpu python -c 'import jax; print(jax.devices()); assert jax.default_backend() == "gpu"'
step tests python -m pytest -n 0 -m gpu
for name in train conv_transpose; do
  step "$name" python "benchmarks/$name.py" --out="$folder/$name.json"
done
launch smoke --experiment=smoke
launch matched_flops --experiment=matched_flops
launch precision --experiment=matched_flops --precision=tf32,bfloat16

if [ ${#failed[@]} -ne 0 ]; then
  echo "failed: ${failed[*]}; their logs are in $folder"
  exit 1
fi
echo "everything passed; logs, JSON and runs are in $folder"
