"""Ways of writing addresses, collected from attacks in the wild and from the edges of the tables."""


def _words(text: str) -> list[str]:
    return text.split()


PUBLIC = _words("""
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.254 100.128.0.1 126.255.255.255 128.0.0.1
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.1 192.167.255.255 192.169.0.0 198.17.255.255
    198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 2606:4700:4700::1111 2a00:1450:4001::1 2001:200::1
""")
PRIVATE = _words("""
    10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 169.254.0.1 172.16.0.1
    172.31.255.255 192.168.0.0 192.168.255.255 ::1 fc00::1 fd12:3456::1 fe80::1 ::ffff:127.0.0.1 ::ffff:a00:1
""")
METADATA = _words("""
    169.254.169.254 169.254.169.252 169.254.170.2 169.254.170.23 169.254.42.42 100.100.100.200 168.63.129.16
    169.254.0.23 100.96.0.96 100.80.80.80 192.0.0.192
    ::ffff:a9fe:a9fe fd20:ce::254 fd00:ec2::254 fd00:ec2::23 fd00:42::42 fd00:c1::a9fe:a9fe
    fd00:a9fe:a9fe::1 fe80::a9fe:a9fe ::ffff:100.96.0.96
""")
NOWHERE = _words("""
    0.0.0.0 0.255.255.255 192.0.0.8 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.175.48.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ff02::1
    64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1 ::127.0.0.1 ::a9fe:a9fe ::ffff:0:169.254.169.254 fec0::1
    2001::1 2001:db8::1 2002:a9fe:a9fe::1 2002:808:808::1 2620:4f:8000::1 3fff::1 4000::1 5f00::1 100::1
""")

LOOPBACK_HOSTS = _words("""
    127.0.0.1 127.1 127.0.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.1 017700000001 0177.0.0.1 127。0。0。1
    １２７.0.0.1 ①②⑦.⓪.⓪.① 127.0.0.2 127.255.255.254 [::1] [::] [::ffff:7f00:1] [::ffff:127.0.0.1]
    [0:0:0:0:0:ffff:127.0.0.1] [::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] LOCALHOST. localhost
    user:pw@127.0.0.1 example.com@127.0.0.1 @127.0.0.1 localtest.me 127.0.0.1.nip.io mixed.example
""")
METADATA_HOSTS = _words("""
    169.254.169.254 169.254.169.254. 2852039166 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 025177524776
    0251.0376.0251.0376 425.510.425.510 [::ffff:a9fe:a9fe] [::ffff:169.254.169.254]
    [::ffff:0:169.254.169.254] [::a9fe:a9fe] [64:ff9b::a9fe:a9fe] [2002:a9fe:a9fe::1] [fd20:ce::254]
    [fd00:ec2::254] [fe80::a9fe:a9fe%eth0] metadata metadata.google.internal metadata.google.internal.
    METADATA.GOOGLE.INTERNAL 169.254.169.254.nip.io zoned.example
""")
KNOWN_NAMES = {
    "localtest.me": ["127.0.0.1"],
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "169.254.169.254.nip.io": ["169.254.169.254"],
    "metadata": ["169.254.169.254"],
    "mixed.example": ["8.8.8.8", "127.0.0.1"],
    "zoned.example": ["fe80::a9fe:a9fe%2"],
}
ODD_URLS = (
    "http://127.0.0.1:{port}#@example.com/",
    "http://127.0.0.1:{port}\\@example.com/",
    "http://example.com\\@127.0.0.1:{port}/",
    "http://[::1]:{port}@127.0.0.1:{port}/",
    "http://1.1.1.1 &@127.0.0.1:{port}# @3.3.3.3/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "unix:///var/run/docker.sock",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:-1/",
    "http://[6]@/",
)
ODD_ONLY_ALONE = (  # as the target of a redirect these are references to the same site, and harmless
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
)
