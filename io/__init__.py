"""The edges: MQTT, transfers, signatures, store, logs; no decisions."""
