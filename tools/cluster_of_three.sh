#!/usr/bin/env bash
# Test a Ray cluster of three simulated machines: three network namespaces on a bridge,
# each with its own address, /tmp, home and work folder, so that they share only the
# installed programs. An experiment runs on two of them and one is lost during a trial;
# then it runs from outside, through ray://, and with the local executor. The pictures
# and losses of all three runs have to be equal.
#
# Needs Linux, root, `ip` (iproute2) and `kstyle[cluster]` on the path. About three
# minutes.  `tools/cluster_of_three.sh [FOLDER]`: work folder, by default a new one.
set -euo pipefail

place=${1:-$(mktemp -d)}
experiment=(10_tv_weight --quick --set size=128 --set steps=120 --set checkpoint_every=3
    --pair pictures/content.png pictures/style.png)
# One thread everywhere: the number of threads changes the last bits.
export RAY_AUTH_MODE=token TF_CPP_MIN_LOG_LEVEL=3 RAY_USAGE_STATS_ENABLED=0
export TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1

# Run a command on machine $1, which sees only its own folder of $place, as /mnt.
on() {
    local machine=$1
    shift
    ip netns exec "kstyle$machine" unshare -m bash -c '
        mount --bind "$0" /mnt && mount -t tmpfs none "${0%/*}" &&
            mount --bind /mnt/tmp /tmp && export HOME=/mnt/home && cd /mnt/work &&
            exec "$@"
    ' "$place/$machine" "$@"
}

# Kill all processes of machine $1, as a power failure does.
lose() {
    ip netns pids "kstyle$1" | xargs -r kill -9
}

clean() {
    for machine in 1 2 3; do
        lose "$machine" 2>/dev/null || true
        ip netns delete "kstyle$machine" 2>/dev/null || true
    done
    ip link delete kstyle 2>/dev/null || true
}
trap clean EXIT

ip link add kstyle type bridge
ip addr add 10.77.0.254/24 dev kstyle
ip link set kstyle up
for machine in 1 2 3; do
    mkdir -p "$place/$machine"/{tmp,home,work}
    ip netns add "kstyle$machine"
    ip link add "kstyle$machine" type veth peer name eth0 netns "kstyle$machine"
    ip link set "kstyle$machine" master kstyle up
    on "$machine" ip addr add "10.77.0.$machine/24" dev eth0
    on "$machine" ip link set eth0 up
    on "$machine" ip link set lo up
done

echo "== two pictures, on the first machine and outside, not on the others"
mkdir -p "$place/1/work/pictures"
cd "$place/1/work"
python -c '
import kstyle
for name, sample in (("content", "coffee"), ("style", "window")):
    kstyle.save_picture(f"pictures/{name}.png", kstyle.load_picture(f"sample:{sample}"))
'
mkdir -p "$place/outside"
cp -r pictures "$place/outside"
cd "$place/outside"

echo "== the cluster"
on 1 ray get-auth-token --generate >/dev/null
for machine in 2 3; do
    cp -r "$place/1/home/.ray" "$place/$machine/home"
done
RAY_AUTH_TOKEN=$(cat "$place/1/home/.ray/auth_token")
export RAY_AUTH_TOKEN
on 1 ray start --head --port 6379 --node-ip-address 10.77.0.1 --num-cpus 0 >/dev/null
for machine in 2 3; do
    on "$machine" ray start --address 10.77.0.1:6379 --num-cpus 1 >/dev/null
done

echo "== on the cluster; its second machine is lost after a checkpoint"
on 1 kstyle experiment run "${experiment[@]}" --executor ray --address 10.77.0.1:6379 &
until ls "$place"/2/tmp/kstyle-*/logs/*/*/state.npz >/dev/null 2>&1; do
    kill -0 $!
    sleep 1
done
lose 2
wait $!

echo "== from outside, without a shared folder"
kstyle experiment run "${experiment[@]}" --executor ray --address ray://10.77.0.1:10001

echo "== here, with the local executor"
kstyle experiment run "${experiment[@]}" --logdir local

same=0
for result in local/*/*/{result.png,losses.csv}; do
    of_trial=${result#local/}
    cmp "$result" "$place/1/work/logs/$of_trial" || same=1
    cmp "$result" "logs/$of_trial" || same=1
done
[ "$same" = 0 ] && echo "all pictures and losses are equal"
exit "$same"
