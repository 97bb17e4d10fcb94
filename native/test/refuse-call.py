# refuse-call.py CALL ERRNO COMMAND...: runs a command in which that system call fails with that errno, as under the seccomp profile
# of a container or in an older kernel. CALL: io_uring_setup, or bpf_link_create (the command of bpf(2)).
import ctypes
import os
import platform
import struct
import sys

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ERRNO = 0x00050000
SECCOMP_RET_ALLOW = 0x7FFF0000
# Number of the system call, and its first argument if only that is refused.
BPF = {"x86_64": 321, "aarch64": 280}
CALLS = {"io_uring_setup": (425, None), "bpf_link_create": (BPF.get(platform.machine()), 28)}
# seccomp_data: the number, and the lower half of the first argument.
NUMBER = 0
FIRST_ARGUMENT = 16


def instruction(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)


number, argument = CALLS[sys.argv[1]]
if number is None:
    sys.exit(f"the number of {sys.argv[1]} on {platform.machine()} is not known")
refuse = instruction(0x06, 0, 0, SECCOMP_RET_ERRNO | int(sys.argv[2]))
allow = instruction(0x06, 0, 0, SECCOMP_RET_ALLOW)
# BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K
code = instruction(0x20, 0, 0, NUMBER) + instruction(0x15, 1, 0, number) + allow
if argument is not None:
    code += instruction(0x20, 0, 0, FIRST_ARGUMENT) + instruction(0x15, 1, 0, argument) + allow
code += refuse
instructions = ctypes.create_string_buffer(code, len(code))
# struct sock_fprog
program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(instructions)))
libc = ctypes.CDLL(None, use_errno=True)
for call in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)]:
    if libc.prctl(*call) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[3], sys.argv[3:])
