"""What is asked: requests that have to be answered, by what the chain of the node has, and requests that must be refused."""

from dataclasses import dataclass, field

INFINITY = "0xc0" + "00" * 95
NOWHERE = "0x" + "11" * 32
FEE_RECIPIENT = "0x" + "22" * 20
STRANGER = "16Uiu2HAmKLhW7HiWkVNSbsZjThQTiMAqDptiqyE8FRWsRz5e8WPF"
# Topics of the stream, as many as the node has; what is sent on them is checked where it happens.
UNREADABLE = "%ff"


@dataclass
class Case:
    """One request."""

    path: dict = field(default_factory=dict)
    query: list = field(default_factory=list)
    body: object = None
    headers: dict = field(default_factory=dict)
    # Statuses that are right here. Those of the description are right in any case where this is empty.
    expected: tuple = (200,)


class Chain:
    """What can be asked for, as the node tells it."""

    def __init__(self, read):
        def data(path, default=None):
            answer = read(path)
            return default if answer is None else answer["data"]

        self.spec = data("/eth/v1/config/spec")
        self.slots_per_epoch = int(self.spec["SLOTS_PER_EPOCH"])
        header = data("/eth/v1/beacon/headers/head")
        self.root = header["root"]
        self.slot = int(header["header"]["message"]["slot"])
        self.state_root = header["header"]["message"]["state_root"]
        self.parent = header["header"]["message"]["parent_root"]
        self.epoch = self.slot // self.slots_per_epoch
        checkpoints = data("/eth/v1/beacon/states/head/finality_checkpoints")
        self.finalized = checkpoints["finalized"]
        validators = data("/eth/v1/beacon/states/head/validators")
        self.validators = [each["index"] for each in validators]
        self.pubkeys = [each["validator"]["pubkey"] for each in validators]
        self.peers = [each["peer_id"] for each in data("/eth/v1/node/peers")]
        self.block = read("/eth/v2/beacon/blocks/head")
        self.version = self.block["version"]
        # The own fork's layout is told to who knows it.
        aware = read("/eth/v2/beacon/blocks/head", {"Eth-Consensus-Version": "dvt"})
        self.fork = aware["version"]
        self.pools = {
            name: data(f"/eth/{version}/beacon/pool/{name}")
            for version, name in [
                ("v2", "attestations"),
                ("v2", "attester_slashings"),
                ("v1", "proposer_slashings"),
                ("v1", "voluntary_exits"),
                ("v1", "bls_to_execution_changes"),
            ]
        }
        self.is_optimistic = data("/eth/v1/node/syncing")["is_optimistic"]


def states(chain):
    names = ["head", "genesis", "finalized", "justified", str(chain.slot), chain.state_root]
    good = [Case({"state_id": name}) for name in names]
    return good + unknown("state_id", str(chain.slot + 1000), NOWHERE) + malformed("state_id")


def blocks(chain):
    names = ["head", "genesis", "finalized", str(chain.slot), chain.root]
    good = [Case({"block_id": name}) for name in names]
    return good + unknown("block_id", str(chain.slot + 1000), NOWHERE) + malformed("block_id")


def unknown(name, *values):
    return [Case({name: value}, expected=(404,)) for value in values]


def malformed(name, *values):
    wrong = values or ("current", "-1", "0x12", "18446744073709551616", UNREADABLE)
    return [Case({name: value}, expected=(400,)) for value in wrong]


def bad_query(path, *pairs):
    return [Case(path, [pair], expected=(400,)) for pair in pairs]


def bad_bodies(path, *bodies, headers=None):
    bodies = bodies or (b"", b"[", b"{}", b'"text"', b"[{}]", b"\xff", b'["x"]')
    return [Case(path, body=body, headers=headers or {}, expected=(400,)) for body in bodies]


def versioned(chain):
    return {"Eth-Consensus-Version": chain.fork}


def registry(chain):
    """Questions with ids, in the query and in the body."""
    head = {"state_id": "head"}
    ids = [chain.validators[1], chain.pubkeys[2], "4000000"]
    return head, ids


def all_cases(chain):
    """For each method and path what is asked."""
    head, ids = registry(chain)
    epoch, slot = chain.epoch, chain.slot
    epochs = malformed("epoch", "x", "-1", "18446744073709551616", UNREADABLE)
    signed = versioned(chain)
    # A node that has no execution client refuses what is to be signed.
    ready = (503,) if chain.is_optimistic else (200,)
    last_paid = str(max(epoch - 2, 0))
    attestation = (chain.pools["attestations"] or [{"data": {"slot": str(slot)}}])[0]

    def everywhere(cases, **part):
        return [Case({**case.path}, part.get("query", []), part.get("body"), {}, case.expected) for case in cases]

    def of_state(*extra):
        return states(chain) + list(extra)

    cases = {}

    def add(method, path, *lists):
        cases[method, path] = [case for each in lists for case in (each if isinstance(each, list) else [each])]

    state = "/eth/v1/beacon/states/{state_id}"
    for name in ["root", "fork", "finality_checkpoints"]:
        add("GET", f"{state}/{name}", of_state())
    for name in ["pending_consolidations", "pending_deposits", "pending_partial_withdrawals", "proposer_lookahead"]:
        add("GET", f"{state}/{name}", of_state())
    add(
        "GET",
        f"{state}/validators",
        of_state(),
        Case(head, [("id", ",".join(ids)), ("status", "active,pending_queued")]),
        Case(head, [("id", each) for each in ids] + [("status", "active_ongoing")]),
        bad_query(head, ("id", "x"), ("id", "0x12"), ("status", "asleep")),
    )
    add(
        "POST",
        f"{state}/validators",
        everywhere(states(chain)),
        Case(head, body={"ids": ids, "statuses": ["active"]}),
        Case(head, body={"ids": None, "statuses": None}),
        Case(head, body={}),
        bad_bodies(head, b"[", b'{"ids": "x"}', b'{"ids": ["x"]}', b'{"statuses": ["asleep"]}'),
    )
    add(
        "GET",
        f"{state}/validators/{{validator_id}}",
        Case({**head, "validator_id": chain.validators[0]}),
        Case({**head, "validator_id": chain.pubkeys[0]}),
        Case({**head, "validator_id": "4000000"}, expected=(404,)),
        [Case({**head, "validator_id": each}, expected=(400,)) for each in ("x", "0x12", UNREADABLE)],
        [Case({**case.path, "validator_id": "0"}, expected=case.expected) for case in states(chain)],
    )
    for name in ["validator_balances", "validator_identities"]:
        if name == "validator_balances":
            add("GET", f"{state}/{name}", of_state(), Case(head, [("id", ",".join(ids))]), bad_query(head, ("id", "x")))
        add(
            "POST",
            f"{state}/{name}",
            everywhere(states(chain)),
            Case(head, body=ids),
            Case(head, body=[]),
            bad_bodies(head, b"[", b"{}", b'["x"]', b"\xff"),
        )
    add(
        "GET",
        f"{state}/committees",
        of_state(),
        Case(head, [("epoch", str(epoch))]),
        Case(head, [("epoch", str(epoch)), ("index", "0"), ("slot", str(epoch * chain.slots_per_epoch))]),
        bad_query(head, ("epoch", "x"), ("epoch", str(epoch + 100)), ("index", "1000"), ("slot", "-1")),
    )
    add(
        "GET",
        f"{state}/sync_committees",
        of_state(),
        Case(head, [("epoch", str(epoch))]),
        bad_query(head, ("epoch", "x"), ("epoch", str(epoch + 10000))),
    )
    add(
        "GET",
        f"{state}/randao",
        of_state(),
        Case(head, [("epoch", str(epoch))]),
        bad_query(head, ("epoch", "x"), ("epoch", str(epoch + 100))),
    )
    add("GET", "/eth/v1/beacon/genesis", Case())
    add(
        "GET",
        "/eth/v1/beacon/headers",
        Case(),
        Case(query=[("slot", str(slot))]),
        Case(query=[("parent_root", chain.parent)]),
        bad_query({}, ("slot", "x"), ("parent_root", "0x12")),
    )
    block = "/{block_id}"
    for path in [
        "/eth/v1/beacon/headers" + block,
        "/eth/v2/beacon/blocks" + block,
        "/eth/v1/beacon/blocks/{block_id}/root",
        "/eth/v2/beacon/blocks/{block_id}/attestations",
        "/eth/v1/beacon/blinded_blocks" + block,
    ]:
        add("GET", path, blocks(chain))
    add(
        "GET",
        "/eth/v1/beacon/blobs" + block,
        blocks(chain),
        Case({"block_id": "head"}, [("versioned_hashes", "0x01" + "00" * 31)]),
        bad_query({"block_id": "head"}, ("versioned_hashes", "0x12"), ("versioned_hashes", "x")),
    )
    add(
        "GET",
        "/eth/v1/debug/beacon/data_column_sidecars" + block,
        blocks(chain),
        Case({"block_id": "head"}, [("indices", "0,1"), ("indices", "2")]),
        bad_query({"block_id": "head"}, ("indices", "x"), ("indices", "100000")),
    )
    add(
        "GET",
        "/eth/v1/beacon/blob_sidecars" + block,
        blocks(chain),
        bad_query({"block_id": "head"}, ("indices", "x")),
    )
    for name in ["beacon_committee", "sync_committee"]:
        add("POST", f"/eth/v1/validator/{name}_selections", Case(body=[], expected=(501,)))
    contents = {"signed_block": chain.block["data"], "kzg_proofs": [], "blobs": []}
    add(
        "POST",
        "/eth/v2/beacon/blocks",
        # The same block again is no error, wherever it came from before.
        Case(body=contents, headers=signed, expected=(200, 400)),
        Case(body=contents, query=[("broadcast_validation", "all")], headers=signed, expected=(400,)),
        Case(body=contents, headers={"Eth-Consensus-Version": "nothing"}, expected=(400,)),
        Case(body=contents, headers={"Eth-Consensus-Version": "phase0"}, expected=(400,)),
        Case(body=b"<a/>", headers={"Content-Type": "text/xml"}, expected=(415,)),
        Case(body=b"\x01", headers={**signed, "Content-Type": "application/octet-stream"}, expected=(400,)),
        bad_bodies({}, headers=signed),
    )
    add(
        "POST",
        "/eth/v2/beacon/blinded_blocks",
        Case(body=b"<a/>", headers={"Content-Type": "text/xml"}, expected=(415,)),
        Case(body=b"\x01", headers={**signed, "Content-Type": "application/octet-stream"}, expected=(400,)),
        bad_bodies({}, headers=signed),
    )
    add("GET", "/eth/v1/beacon/rewards/blocks" + block, rewarded(chain))
    add(
        "POST",
        "/eth/v1/beacon/rewards/sync_committee" + block,
        everywhere(rewarded(chain)),
        Case({"block_id": "head"}, body=chain.validators[:3]),
        bad_bodies({"block_id": "head"}, b"[", b"{}", b'["x"]'),
    )
    add(
        "POST",
        "/eth/v1/beacon/rewards/attestations/{epoch}",
        Case({"epoch": last_paid}),
        Case({"epoch": last_paid}, body=ids),
        Case({"epoch": str(epoch + 10)}, expected=(400, 404)),
        epochs,
        bad_bodies({"epoch": last_paid}, b"[", b"{}", b'["x"]'),
    )
    add(
        "GET",
        "/eth/v2/beacon/pool/attestations",
        Case(),
        Case(query=[("slot", str(slot)), ("committee_index", "0")]),
        bad_query({}, ("slot", "x"), ("committee_index", "-1")),
    )
    for name in ["attester_slashings", "proposer_slashings", "voluntary_exits", "bls_to_execution_changes"]:
        version = "v2" if name == "attester_slashings" else "v1"
        path = f"/eth/{version}/beacon/pool/{name}"
        add("GET", path, Case())
        known = chain.pools[name]
        if name == "bls_to_execution_changes":
            again = [Case(body=known)]
        else:
            again = [Case(body=each, headers=signed if version == "v2" else {}) for each in known]
        # An empty list of changes is a list.
        add("POST", path, again, bad_bodies({}, b"", b"[", b"{}", b'"text"', b"[{}]", b"\xff"))
    add(
        "POST",
        "/eth/v2/beacon/pool/attestations",
        Case(body=[], headers=signed),
        Case(body=[{"committee_index": "0"}], headers=signed, expected=(400,)),
        Case(body=b"<a/>", headers={**signed, "Content-Type": "text/xml"}, expected=(415,)),
        Case(body=b"", headers={**signed, "Content-Type": "application/octet-stream"}),
        Case(body=b"\x01", headers={**signed, "Content-Type": "application/octet-stream"}, expected=(400,)),
        bad_bodies({}, headers=signed),
    )
    add(
        "POST",
        "/eth/v1/beacon/pool/sync_committees",
        Case(body=[]),
        Case(body=[sync_message(chain)], expected=(400,)),
        bad_bodies({}),
    )
    add("GET", "/eth/v2/debug/beacon/states/{state_id}", of_state())
    for path in [
        "/eth/v2/debug/beacon/heads",
        "/eth/v1/debug/fork_choice",
        "/eth/v1/node/identity",
        "/eth/v1/node/peer_count",
    ]:
        add("GET", path, Case())
    for path in ["version", "syncing"]:
        add("GET", f"/eth/v1/node/{path}", Case())
    add("GET", "/eth/v2/node/version", Case())
    for path in ["fork_schedule", "spec", "deposit_contract"]:
        add("GET", f"/eth/v1/config/{path}", Case())
    add(
        "GET",
        "/eth/v1/node/peers",
        Case(),
        Case(query=[("state", "connected,disconnected"), ("direction", "inbound")]),
        Case(query=[("state", "connected"), ("state", "connecting"), ("direction", "outbound")]),
        # Neither the description nor the tools have a word for a wrong word.
        bad_query({}, ("state", "asleep"), ("direction", "up")),
    )
    add(
        "GET",
        "/eth/v1/node/peers/{peer_id}",
        [Case({"peer_id": each}) for each in chain.peers],
        Case({"peer_id": STRANGER}, expected=(404,)),
        Case({"peer_id": "nobody"}, expected=(400,)),
    )
    add(
        "GET",
        "/eth/v1/node/health",
        Case(expected=(200, 206)),
        Case(query=[("syncing_status", "299")], expected=(200, 299)),
        bad_query({}, ("syncing_status", "x"), ("syncing_status", "99"), ("syncing_status", "1000")),
    )
    for name in ["attester", "sync"]:
        add(
            "POST",
            f"/eth/v1/validator/duties/{name}/{{epoch}}",
            Case({"epoch": str(epoch)}, body=chain.validators),
            Case({"epoch": str(epoch + 1)}, body=chain.validators[:2]),
            Case({"epoch": str(epoch)}, body=["4000000"]),
            Case({"epoch": str(epoch + 10000)}, body=["1"], expected=(400,)),
            [Case(case.path, body=["1"], expected=(400,)) for case in epochs],
            bad_bodies({"epoch": str(epoch)}, b"", b"[", b"{}", b'["x"]', b"[{}]"),
        )
    for version in ["v1", "v2"]:
        add(
            "GET",
            f"/eth/{version}/validator/duties/proposer/{{epoch}}",
            Case({"epoch": str(epoch)}),
            Case({"epoch": str(epoch + 1)}),
            Case({"epoch": str(epoch + 100)}, expected=(400,)),
            epochs,
        )
    reveal = [("randao_reveal", INFINITY), ("skip_randao_verification", "")]
    add(
        "GET",
        "/eth/v3/validator/blocks/{slot}",
        Case({"slot": str(slot + 1)}, reveal, expected=(200, 400, 503)),
        Case({"slot": str(slot + 1)}, [("randao_reveal", "0x12")], expected=(400,)),
        Case(
            {"slot": str(slot + 1)},
            [("randao_reveal", "0x" + "12" * 96), ("skip_randao_verification", "")],
            expected=(400,),
        ),
        Case({"slot": str(slot + 1)}, expected=(400,)),
        Case({"slot": str(slot + 1)}, reveal + [("graffiti", "x")], expected=(400,)),
        Case({"slot": "x"}, reveal, expected=(400,)),
    )
    add(
        "GET",
        "/eth/v1/validator/attestation_data",
        Case(query=[("slot", str(slot)), ("committee_index", "0")], expected=ready),
        bad_query({}, ("slot", "x"), ("committee_index", "0")),
        Case(expected=(400,)),
        Case(query=[("slot", "x"), ("committee_index", "0")], expected=(400,)),
        Case(query=[("slot", str(slot)), ("committee_index", "x")], expected=(400,)),
    )
    add(
        "GET",
        "/eth/v2/validator/aggregate_attestation",
        Case(
            query=[("attestation_data_root", NOWHERE), ("slot", str(slot)), ("committee_index", "0")],
            expected=(404,) + ready[1:] if not chain.is_optimistic else (503,),
        ),
        Case(query=[("attestation_data_root", "0x12"), ("slot", str(slot)), ("committee_index", "0")], expected=(400,)),
        Case(expected=(400,)),
    )
    add(
        "POST",
        "/eth/v2/validator/aggregate_and_proofs",
        Case(body=[], headers=signed),
        Case(body=[{"message": attestation}], headers=signed, expected=(400,)),
        Case(body=b"<a/>", headers={**signed, "Content-Type": "text/xml"}, expected=(415,)),
        Case(body=b"", headers={**signed, "Content-Type": "application/octet-stream"}),
        Case(body=b"\x01", headers={**signed, "Content-Type": "application/octet-stream"}, expected=(400,)),
        bad_bodies({}, headers=signed),
    )
    subscription = {
        "validator_index": chain.validators[1],
        "committee_index": "0",
        "committees_at_slot": "1",
        "slot": str(slot + 1),
        "is_aggregator": True,
    }
    add(
        "POST",
        "/eth/v1/validator/beacon_committee_subscriptions",
        Case(body=[subscription]),
        Case(body=[]),
        bad_bodies({}),
    )
    subscription = {
        "validator_index": chain.validators[1],
        "sync_committee_indices": ["0"],
        "until_epoch": str(epoch + 1),
    }
    add(
        "POST",
        "/eth/v1/validator/sync_committee_subscriptions",
        Case(body=[subscription]),
        Case(body=[]),
        bad_bodies({}),
    )
    add(
        "GET",
        "/eth/v1/validator/sync_committee_contribution",
        Case(
            query=[("slot", str(slot)), ("subcommittee_index", "0"), ("beacon_block_root", NOWHERE)],
            expected=(503,) if chain.is_optimistic else (404,),
        ),
        Case(query=[("slot", str(slot)), ("subcommittee_index", "x"), ("beacon_block_root", NOWHERE)], expected=(400,)),
        Case(expected=(400,)),
    )
    contribution = {"slot": str(slot), "beacon_block_root": chain.root, "subcommittee_index": "0"}
    add(
        "POST",
        "/eth/v1/validator/contribution_and_proofs",
        Case(body=[]),
        Case(body=[{"message": {"contribution": contribution}}], expected=(400,)),
        bad_bodies({}),
    )
    preparation = {"validator_index": chain.validators[1], "fee_recipient": FEE_RECIPIENT}
    add("POST", "/eth/v1/validator/prepare_beacon_proposer", Case(body=[preparation]), Case(body=[]), bad_bodies({}))
    registration = {
        "message": {"fee_recipient": FEE_RECIPIENT, "gas_limit": "1", "timestamp": "1", "pubkey": chain.pubkeys[1]},
        "signature": INFINITY,
    }
    add(
        "POST",
        "/eth/v1/validator/register_validator",
        Case(body=[registration]),
        Case(body=[]),
        Case(body=b"<a/>", headers={"Content-Type": "text/xml"}, expected=(415,)),
        Case(body=b"", headers={"Content-Type": "application/octet-stream"}),
        Case(body=b"\x01", headers={"Content-Type": "application/octet-stream"}, expected=(400,)),
        bad_bodies({}),
    )
    add(
        "POST",
        "/eth/v1/validator/liveness/{epoch}",
        Case({"epoch": str(epoch)}, body=chain.validators),
        Case({"epoch": str(epoch + 100)}, body=["1"], expected=(400,)),
        [Case(case.path, body=["1"], expected=(400,)) for case in epochs],
        bad_bodies({"epoch": str(epoch)}, b"", b"[", b"{}", b'["x"]', b"[{}]"),
    )
    add("GET", "/eth/v1/events", bad_query({}, ("topics", "weather"), ("topic", "head")), Case(expected=(400,)))
    return cases


def rewarded(chain):
    """Blocks, of which that of genesis paid nothing. A young chain may finalise another one between two questions."""
    unpaid = {"genesis": (404,)}
    if chain.finalized["epoch"] == "0":
        unpaid["finalized"] = (200, 404)
    return [Case(case.path, expected=unpaid.get(case.path["block_id"], case.expected)) for case in blocks(chain)]


def sync_message(chain):
    return {
        "slot": str(chain.slot),
        "beacon_block_root": chain.root,
        "validator_index": "4000000",
        "signature": INFINITY,
    }
