#!/bin/sh
exec /opt/kafka/bin/run-class.sh kafka.Kafka "$@"
