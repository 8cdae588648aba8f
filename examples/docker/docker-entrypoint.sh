#!/bin/sh
# Lays configuration that was mounted over the product, and starts it in place of this script, so that it gets the
# signals of `docker stop`.
set -eu

configuration="${HOME:-/home/wso2carbon}/wso2-config-volume"
if [ -d "$configuration" ]; then
    cp -RL "$configuration/." "$WSO2_SERVER_HOME/"
fi

for script in api-manager.sh wso2server.sh; do
    if [ -f "$WSO2_SERVER_HOME/bin/$script" ]; then
        exec sh "$WSO2_SERVER_HOME/bin/$script" "$@"
    fi
done

echo "there is no start script in $WSO2_SERVER_HOME/bin" >&2
exit 1
