"""Raw packets for forwarder.test.ts. Started in a network namespace.

packets.py send INTERFACE      Reads one JSON object per line, does it, answers "done":
                                 {"frames": [HEX, ...]}  these frames, as they are
                                 {"udp": {"group", "port", "ttl", "segment", "sizes": [BYTES, ...]}}  datagrams of a UDP socket
packets.py capture INTERFACE   Prints "ready", then every IPv4 frame that arrives as one line of hex, until its input ends.
"""

import json
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
IP_MTU_DISCOVER = 10


def say(text):
    print(text, flush=True)


def payload(size):
    return bytes((i * 7 + size) & 0xFF for i in range(size))


def send_udp(interface, udp):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        mreqn = struct.pack("=4s4si", b"", b"", socket.if_nametoindex(interface))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, mreqn)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, udp.get("ttl", 8))
        sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        if udp.get("segment"):
            sender.setsockopt(SOL_UDP, UDP_SEGMENT, udp["segment"])
        for size in udp["sizes"]:
            sender.sendto(payload(size), (udp["group"], udp["port"]))


def send(interface):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.bind((interface, 0))
        for line in sys.stdin:
            command = json.loads(line)
            for frame in command.get("frames", []):
                raw.send(bytes.fromhex(frame))
            if "udp" in command:
                send_udp(interface, command["udp"])
            say("done")


def capture(interface):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as raw:
        raw.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, CAPTURE_BYTES)
        raw.bind((interface, ETH_P_ALL))
        say("ready")
        while True:
            readable, _, _ = select.select([raw, sys.stdin], [], [])
            if raw in readable:
                frame, address = raw.recvfrom(65536 + 100)
                if address[2] != PACKET_OUTGOING and frame[12:14] == b"\x08\x00":
                    say(frame.hex())
            elif sys.stdin in readable:
                return


if __name__ == "__main__":
    {"send": send, "capture": capture}[sys.argv[1]](sys.argv[2])
