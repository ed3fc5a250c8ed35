"""The `rauc` installer: firmware is a RAUC bundle, installed by the RAUC service over D-Bus."""
