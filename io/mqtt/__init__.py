"""MQTT: the connection to the broker, the topics, and what their bytes mean."""
