"""The system side of an EVerest charging station: firmware, logs, reset, clock and boot reason over MQTT."""
