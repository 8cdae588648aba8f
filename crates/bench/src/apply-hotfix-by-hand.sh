#!/usr/bin/env bash
# What `hotfix apply` is measured against: a script with the seven steps of the one that it replaces, in their order, written
# anew for the benchmarks. It is not the vendor's script, and checks no more than that one does.
#
#   apply-hotfix-by-hand.sh PACK HOTFIX_DIR USERNAME PASSWORD
#
# BASE_IMAGE is what the product is put on, IMAGE the name of the outcome; what each part took is appended to TIMES.
set -euo pipefail
pack=$1 hotfixes=$2 username=$3 password=$4
started=$EPOCHREALTIME

# Seconds since the last call, under a name.
took() {
    local now=$EPOCHREALTIME
    awk -v name="$1" -v from="$started" -v to="$now" 'BEGIN { printf "%s %.6f\n", name, to - from }' >>"$TIMES"
    started=$EPOCHREALTIME
}

# 1. Operating system
case "$(uname -s)" in
    Linux) tool=wso2update_linux ;;
    Darwin) tool=wso2update_darwin ;;
    *) echo "this system is not supported" >&2; exit 1 ;;
esac
case "$(uname -m)" in
    aarch64 | arm64) tool=${tool}_arm64 ;;
esac

# 2. Inputs
[ -f "$pack" ] || { echo "there is no pack $pack" >&2; exit 1; }
[ -d "$hotfixes" ] || { echo "there is no folder $hotfixes" >&2; exit 1; }
took checks

# 3. The pack, into a folder named by the time
folder=$(date +%Y%m%d%H%M%S)
mkdir "$folder"
unzip -q "$pack" -d "$folder"
product=$(echo "$folder"/*/)
took unzip

# 4. The update tool, which may update itself now
export WSO2_UPDATES_SKIP_CONFLICTS=true
chmod +x "$product/bin/$tool"
(cd "$product/bin" && "./$tool" current-state --username "$username" --password "$password")
took update-tool

# 5. The numbers of the hotfixes are 1, 2, 3 …
count=0
for hotfix in "$hotfixes"/*-hf-*.zip; do count=$((count + 1)); done
for number in $(seq "$count"); do
    ls "$hotfixes"/*-hf-"$number".zip >/dev/null
done
took checks

# 6. The hotfixes, one by one
for number in $(seq "$count"); do
    (cd "$product/bin" && "./$tool" apply-hotfix --username "$username" --password "$password" "$hotfixes"/*-hf-"$number".zip)
done
took update-tool

# 7. The image: what create-docker comes to
home=/home/wso2carbon/$(basename "$product")
docker build --tag "${IMAGE%:*}:built" --file - "$product" <<DOCKERFILE
FROM $BASE_IMAGE
COPY --chown=10001:10001 . $home
ENV WSO2_SERVER_HOME=$home
USER 10001:10001
DOCKERFILE
docker tag "${IMAGE%:*}:built" "$IMAGE"
took docker-build
