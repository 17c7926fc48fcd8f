#!/bin/sh
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS--Xmx256m} ${KAFKA_LOG4J_OPTS-} -cp '/opt/kafka/libs/*' "$@"
