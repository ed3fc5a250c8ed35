SUMMARY = "The system side of an EVerest charging station"
DESCRIPTION = "Firmware updates, log uploads, resets, the clock and the boot reason, asked for by EVerest over MQTT"
SECTION = "net"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# Your clone of the repository, and its commit.
SRC_URI = "git://${EVEREST_SYSTEM_REPOSITORY};protocol=https;branch=main"
SRCREV ?= "${AUTOREV}"
PV = "0.1.0+git"

inherit python_setuptools_build_meta systemd useradd

# python3-isal and python3-structlog are in no layer of OpenEmbedded's, and its python3-apscheduler is too old: README.md.
RDEPENDS:${PN} += " \
    python3-core \
    python3-modules \
    python3-apscheduler \
    python3-cryptography \
    python3-isal \
    python3-paho-mqtt \
    python3-pycurl \
    python3-pydantic \
    python3-structlog \
    python3-transitions \
    python3-typer \
    python3-zstandard \
"

PACKAGECONFIG ??= ""
# Installing RAUC bundles, over D-Bus; python3-jeepney is in no layer either.
PACKAGECONFIG[rauc] = ",,,python3-jeepney rauc"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system everest-system; --system systemd-journal"
USERADD_PARAM:${PN} = "--system --gid everest-system --groups adm,systemd-journal --home-dir ${localstatedir}/lib/everest-system \
    --no-create-home --shell ${base_sbindir}/nologin everest-system"

SYSTEMD_SERVICE:${PN} = "everest-system.service"

do_install:append() {
    install -D -m 0644 ${S}/deploy/systemd/everest-system.service ${D}${systemd_system_unitdir}/everest-system.service
    install -D -m 0644 ${S}/deploy/systemd/back-off.conf ${D}${systemd_system_unitdir}/everest-system.service.d/back-off.conf
    install -D -m 0644 ${S}/deploy/systemd/tmpfiles.conf ${D}${nonarch_libdir}/tmpfiles.d/everest-system.conf
    install -D -m 0644 ${S}/deploy/polkit/50-everest-system.rules ${D}${datadir}/polkit-1/rules.d/50-everest-system.rules
    install -d -m 0750 -g everest-system ${D}${sysconfdir}/everest-system
    install -m 0640 -g everest-system ${S}/deploy/everest-system.toml ${D}${sysconfdir}/everest-system/config.toml
}

FILES:${PN} += " \
    ${systemd_system_unitdir} \
    ${nonarch_libdir}/tmpfiles.d/everest-system.conf \
    ${datadir}/polkit-1/rules.d/50-everest-system.rules \
"
CONFFILES:${PN} = "${sysconfdir}/everest-system/config.toml"
