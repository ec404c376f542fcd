"""python record.py: writes command_lines.txt again, from the checkout that ETHEREUM_PACKAGE names."""

import re

import packages
from packages import CHECKOUT, HERE, load

FILE = HERE / "command_lines.txt"
HEAD = """\
# Made by record.py from variants.yaml: the command lines that ethereum-package gives to `lighthouse`, each one once, after
# the name of the first variant that has it. What only a running network knows is an address of the documentation's, and
# where a shell runs more than the client, only the client is left.
"""
# A record that any implementation can read: the example of EIP-778.
RECORD = (
    "enr:-IS4QHCYrYZbAKWCBRlAy5zzaDZXJBGkcnh4MHcBFZntXNFrdvJjX04jRzjzCBOonrkTfj499SZuOh8R33Ls8RRcy5wBgmlkgnY0gmlwhH8AAAGJc2VjcDI1NmsxoQPK"
    "Y0yuDUmstAHYpMa2_oxVtw0RW_QAdpzBQA8yWM0xOIN1ZHCCdl8"
)
DEFAULTS = {"el_type": "geth", "supernode": True, "validator_count": 16}


def record(checkout):
    interpreter = packages.with_real(checkout)
    seen = set()
    lines = []
    for name, args in load(HERE / "variants.yaml").items():
        participants = [
            {"cl_type": "lighthouse", "cl_image": "fresnel:local", **DEFAULTS, **participant}
            for participant in args["participants"]
        ]
        log = packages.Log(interpreter.run(packages.ETHEREUM_PACKAGE, {**args, "participants": participants}))
        new = [line for line in dict.fromkeys(command_lines(log)) if line not in seen]
        seen.update(new)
        assert new, f"variant {name} changes nothing"
        lines += [f"# {name}", *new]
    return HEAD + "\n".join(lines) + "\n"


def command_lines(log):
    for service in log.nodes().values():
        command = service.command[0] if service.entrypoint else " ".join(service.command)
        command = command.split("&&")[-1].strip().removeprefix("exec ")
        command = re.sub(r"--boot-nodes=<[^>]*>", f"--boot-nodes={RECORD}", command)
        yield re.sub(r"<[^>]*>|KURTOSIS_IP_ADDR_PLACEHOLDER", "192.0.2.1", command)


if __name__ == "__main__":
    FILE.write_text(record(CHECKOUT))
