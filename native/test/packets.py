"""Raw packets for forwarder.test.ts. Started in a network namespace.

packets.py send INTERFACE      Reads one JSON object per line, does it, answers "done":
                                 {"frames": [HEX, ...]}  these frames, as they are
                                 {"unfinished": [HEX, ...]}  these, and whoever sends them on has to finish the UDP checksum
                                 {"udp": {"group", "port", "sourcePort", "ttl", "segment", "sizes": [BYTES, ...]}}  datagrams of a UDP socket
packets.py offload INTERFACE on|off  Whether the interface finishes checksums and cuts super-frames, or the kernel before it.
packets.py tun NAME            Makes a tun device: prints "ready", then every IPv4 packet that is sent through it as one line of hex, and
                               lets the packets it reads as lines of hex arrive there, until its input ends.
packets.py silent-tun NAME     The same, and reads nothing of what is sent through it.
packets.py capture INTERFACE [ipv6]  Prints "ready", then every IPv4 frame that arrives as one line of hex, until its input ends; or
                               every IPv6 frame but those of ICMPv6, with which hosts find each other.
packets.py receive INTERFACE PORT [GROUP...]  Joins the groups as any program does: prints "ready", then the text of each datagram
                               that comes to the port as one line, until its input ends.
"""

import array
import fcntl
import json
import os
import select
import socket
import struct
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
CAPTURE_BYTES = 32 << 20
UDP_SEGMENT = 103
SOL_UDP = 17
SOL_PACKET = 263
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
ETH_P_IP = b"\x08\x00"
ETH_P_IPV6 = b"\x86\xdd"
ICMPV6 = 58
PACKET_VNET_HDR = 15
# virtio_net_hdr: VIRTIO_NET_HDR_F_NEEDS_CSUM, from the UDP header behind Ethernet and IPv4 on, at its offset 6.
NEEDS_CHECKSUM = struct.pack("=BBHHHH", 1, 0, 0, 0, 34, 6)
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
TUNSETIFF = 0x400454CA
IFF_TUN = 1
IFF_NO_PI = 0x1000


def say(text):
    print(text, flush=True)


def payload(size):
    return bytes((i * 7 + size) & 0xFF for i in range(size))


def udp_socket(interface, udp):
    index = socket.if_nametoindex(interface)
    if ":" in udp["group"]:
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, udp.get("ttl", 8))
        sender.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, 0)
        return sender
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", b"", b"", index))
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, udp.get("ttl", 8))
    sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
    return sender


def send_udp(interface, udp):
    with udp_socket(interface, udp) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        if udp.get("segment"):
            sender.setsockopt(SOL_UDP, UDP_SEGMENT, udp["segment"])
        if udp.get("sourcePort"):
            sender.bind(("", udp["sourcePort"]))
        for size in udp["sizes"]:
            sender.sendto(payload(size), (udp["group"], udp["port"]))


def packet_socket(interface):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind((interface, 0))
    return raw


def send(interface):
    with packet_socket(interface) as raw, packet_socket(interface) as offloading:
        offloading.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        for line in sys.stdin:
            command = json.loads(line)
            for frame in command.get("frames", []):
                raw.send(bytes.fromhex(frame))
            for frame in command.get("unfinished", []):
                offloading.send(NEEDS_CHECKSUM + bytes.fromhex(frame))
            if "udp" in command:
                send_udp(interface, command["udp"])
            say("done")


def is_wanted(frame, family):
    if family == "ipv4":
        return frame[12:14] == ETH_P_IP
    next_header = frame[54] if frame[20] == 0 else frame[20]
    return frame[12:14] == ETH_P_IPV6 and next_header != ICMPV6


def capture(interface, family="ipv4"):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, CAPTURE_BYTES)
        raw.bind((interface, ETH_P_ALL))
        say("ready")
        while True:
            readable, _, _ = select.select([raw, sys.stdin], [], [])
            if raw in readable:
                frame, address = raw.recvfrom(65536 + 100)
                if address[2] != PACKET_OUTGOING and is_wanted(frame, family):
                    say(frame.hex())
            elif sys.stdin in readable:
                return


def join(receiver, interface, group):
    index = socket.if_nametoindex(interface)
    if ":" in group:
        receiver.setsockopt(
            socket.IPPROTO_IPV6,
            socket.IPV6_JOIN_GROUP,
            socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index),
        )
    else:
        membership = struct.pack("=4s4si", socket.inet_aton(group), b"", index)
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)


def receive(interface, port, *groups):
    family = socket.AF_INET6 if any(":" in group for group in groups) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, CAPTURE_BYTES)
        receiver.bind(("", int(port)))
        for group in groups:
            join(receiver, interface, group)
        say("ready")
        while True:
            readable, _, _ = select.select([receiver, sys.stdin], [], [])
            if receiver in readable:
                say(receiver.recv(65536).decode())
            elif sys.stdin in readable:
                return


def offload(interface, state):
    value = array.array("I", [ETHTOOL_STXCSUM, int(state == "on")])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL, struct.pack("16sP", interface.encode(), value.buffer_info()[0]))


def make_tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    say("ready")
    return device


def silent_tun(name):
    make_tun(name)
    sys.stdin.read()


def tun(name):
    device = make_tun(name)
    while True:
        readable, _, _ = select.select([device, sys.stdin], [], [])
        if device in readable:
            packet = os.read(device, 65536)
            if packet[0] >> 4 == 4:
                say(packet.hex())
        elif sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            os.write(device, bytes.fromhex(line))


if __name__ == "__main__":
    roles = {"send": send, "capture": capture, "offload": offload, "tun": tun, "silent-tun": silent_tun, "receive": receive}
    roles[sys.argv[1]](*sys.argv[2:])
