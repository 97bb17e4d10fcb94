# refuse-io-uring.py ERRNO COMMAND...: runs a command whose io_uring_setup(2) fails with that errno, as under the seccomp profile of
# a container.
import ctypes
import os
import struct
import sys

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ERRNO = 0x00050000
SECCOMP_RET_ALLOW = 0x7FFF0000
# The same number on every architecture.
IO_URING_SETUP = 425


def instruction(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)


code = b"".join(
    [
        # BPF_LD | BPF_W | BPF_ABS: seccomp_data.nr
        instruction(0x20, 0, 0, 0),
        # BPF_JMP | BPF_JEQ | BPF_K
        instruction(0x15, 0, 1, IO_URING_SETUP),
        # BPF_RET | BPF_K
        instruction(0x06, 0, 0, SECCOMP_RET_ERRNO | int(sys.argv[1])),
        instruction(0x06, 0, 0, SECCOMP_RET_ALLOW),
    ]
)
instructions = ctypes.create_string_buffer(code, len(code))
# struct sock_fprog
program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(instructions)))
libc = ctypes.CDLL(None, use_errno=True)
for call in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)]:
    if libc.prctl(*call) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
