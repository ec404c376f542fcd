"""What is signed, out of the body of a request to a remote signer, for Electra and Fulu with the minimal preset."""

from remerkleable.basic import uint64
from remerkleable.bitfields import Bitlist, Bitvector
from remerkleable.byte_arrays import Bytes4, Bytes32, ByteVector
from remerkleable.complex import Container

MAX_COMMITTEES_PER_SLOT = 4
MAX_VALIDATORS_PER_SLOT = 2048 * MAX_COMMITTEES_PER_SLOT
SLOTS_PER_EPOCH = 8
SUBCOMMITTEE_SIZE = 8
Bytes96 = ByteVector[96]

DOMAINS = {
    "BLOCK_V2": 0,
    "ATTESTATION": 1,
    "RANDAO_REVEAL": 2,
    "AGGREGATION_SLOT": 5,
    "AGGREGATE_AND_PROOF_V2": 6,
    "SYNC_COMMITTEE_MESSAGE": 7,
    "SYNC_COMMITTEE_SELECTION_PROOF": 8,
    "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": 9,
}


class SigningData(Container):
    object_root: Bytes32
    domain: Bytes32


class ForkData(Container):
    current_version: Bytes4
    genesis_validators_root: Bytes32


class Checkpoint(Container):
    epoch: uint64
    root: Bytes32


class AttestationData(Container):
    slot: uint64
    index: uint64
    beacon_block_root: Bytes32
    source: Checkpoint
    target: Checkpoint


class Attestation(Container):
    aggregation_bits: Bitlist[MAX_VALIDATORS_PER_SLOT]
    data: AttestationData
    signature: Bytes96
    committee_bits: Bitvector[MAX_COMMITTEES_PER_SLOT]


class AggregateAndProof(Container):
    aggregator_index: uint64
    aggregate: Attestation
    selection_proof: Bytes96


class BeaconBlockHeader(Container):
    slot: uint64
    proposer_index: uint64
    parent_root: Bytes32
    state_root: Bytes32
    body_root: Bytes32


class SyncAggregatorSelectionData(Container):
    slot: uint64
    subcommittee_index: uint64


class SyncCommitteeContribution(Container):
    slot: uint64
    beacon_block_root: Bytes32
    subcommittee_index: uint64
    aggregation_bits: Bitvector[SUBCOMMITTEE_SIZE]
    signature: Bytes96


class ContributionAndProof(Container):
    aggregator_index: uint64
    contribution: SyncCommitteeContribution
    selection_proof: Bytes96


def epoch_of(slot):
    return int(slot) // SLOTS_PER_EPOCH


def root_and_epoch(body):
    """Root of the message, and the epoch whose fork it belongs to."""
    kind = body["type"]
    if kind == "ATTESTATION":
        data = AttestationData.from_obj(body["attestation"])
        return data.hash_tree_root(), int(data.target.epoch)
    if kind == "AGGREGATION_SLOT":
        slot = uint64(int(body["aggregation_slot"]["slot"]))
        return slot.hash_tree_root(), epoch_of(slot)
    if kind == "RANDAO_REVEAL":
        epoch = uint64(int(body["randao_reveal"]["epoch"]))
        return epoch.hash_tree_root(), int(epoch)
    if kind == "BLOCK_V2":
        header = BeaconBlockHeader.from_obj(body["beacon_block"]["block_header"])
        return header.hash_tree_root(), epoch_of(header.slot)
    if kind == "AGGREGATE_AND_PROOF_V2":
        proof = body["aggregate_and_proof"]
        message = AggregateAndProof.from_obj(proof.get("data", proof))
        return message.hash_tree_root(), epoch_of(message.aggregate.data.slot)
    if kind == "SYNC_COMMITTEE_MESSAGE":
        message = body["sync_committee_message"]
        return bytes.fromhex(message["beacon_block_root"][2:]), epoch_of(message["slot"])
    if kind == "SYNC_COMMITTEE_SELECTION_PROOF":
        data = SyncAggregatorSelectionData.from_obj(body["sync_aggregator_selection_data"])
        return data.hash_tree_root(), epoch_of(data.slot)
    if kind == "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF":
        message = ContributionAndProof.from_obj(body["contribution_and_proof"])
        return message.hash_tree_root(), epoch_of(message.contribution.slot)
    raise ValueError(f"a message of the kind {kind}")


def signing_root(body):
    """What a key signs."""
    root, epoch = root_and_epoch(body)
    fork = body["fork_info"]["fork"]
    version = fork["current_version" if epoch >= int(fork["epoch"]) else "previous_version"]
    fork_data = ForkData(
        current_version=Bytes4(bytes.fromhex(version[2:])),
        genesis_validators_root=Bytes32(bytes.fromhex(body["fork_info"]["genesis_validators_root"][2:])),
    )
    domain = bytes([DOMAINS[body["type"]], 0, 0, 0]) + fork_data.hash_tree_root()[:28]
    return SigningData(object_root=Bytes32(root), domain=Bytes32(domain)).hash_tree_root()
