# Helpers of Fulu: arithmetic, predicates, accessors, mutators. Part of a generated module: no imports here.


def integer_squareroot(n: uint64) -> uint64:
    return uint64(isqrt(int(n)))


def xor(a: Bytes32, b: Bytes32) -> Bytes32:
    return Bytes32(bytes(left ^ right for left, right in zip(bytes(a), bytes(b))))


def uint_to_bytes(n: uint) -> bytes:
    return bytes(n.encode_bytes())


def bytes_to_uint64(data: bytes) -> uint64:
    return uint64(int.from_bytes(data, "little"))


def saturating_sub(a: int, b: int) -> int:
    return a - b if a > b else 0


def hash(data: bytes) -> Bytes32:
    return Bytes32(sha256(bytes(data)).digest())


def is_active_validator(validator: Validator, epoch: Epoch) -> bool:
    return bool(validator.activation_epoch <= epoch < validator.exit_epoch)


def is_eligible_for_activation_queue(validator: Validator) -> bool:
    is_new = validator.activation_eligibility_epoch == FAR_FUTURE_EPOCH
    return bool(is_new and validator.effective_balance >= MIN_ACTIVATION_BALANCE)


def is_eligible_for_activation(state: BeaconState, validator: Validator) -> bool:
    is_in_queue = validator.activation_eligibility_epoch <= state.finalized_checkpoint.epoch
    return bool(is_in_queue and validator.activation_epoch == FAR_FUTURE_EPOCH)


def is_slashable_validator(validator: Validator, epoch: Epoch) -> bool:
    is_accountable = validator.activation_epoch <= epoch < validator.withdrawable_epoch
    return bool(is_accountable and not validator.slashed)


def is_slashable_attestation_data(data_1: AttestationData, data_2: AttestationData) -> bool:
    is_double_vote = data_1 != data_2 and data_1.target.epoch == data_2.target.epoch
    surrounds = data_1.source.epoch < data_2.source.epoch and data_2.target.epoch < data_1.target.epoch
    return bool(is_double_vote or surrounds)


def is_valid_indexed_attestation(state: BeaconState, indexed_attestation: IndexedAttestation) -> bool:
    indices = list(indexed_attestation.attesting_indices)
    if len(indices) == 0 or indices != sorted(set(indices)):
        return False
    pubkeys = [state.validators[index].pubkey for index in indices]
    domain = get_domain(state, DOMAIN_BEACON_ATTESTER, indexed_attestation.data.target.epoch)
    signing_root = compute_signing_root(indexed_attestation.data, domain)
    return bls.FastAggregateVerify(pubkeys, signing_root, indexed_attestation.signature)


def is_valid_merkle_branch(leaf: Bytes32, branch: Sequence[Bytes32], depth: int, index: int, root: Root) -> bool:
    value = bytes(leaf)
    for level in range(depth):
        sibling = bytes(branch[level])
        value = bytes(hash(sibling + value if index >> level & 1 else value + sibling))
    return value == bytes(root)


def has_eth1_withdrawal_credential(validator: Validator) -> bool:
    return bytes(validator.withdrawal_credentials)[:1] == ETH1_ADDRESS_WITHDRAWAL_PREFIX


def has_compounding_withdrawal_credential(validator: Validator) -> bool:
    return bytes(validator.withdrawal_credentials)[:1] == COMPOUNDING_WITHDRAWAL_PREFIX


def has_execution_withdrawal_credential(validator: Validator) -> bool:
    return has_eth1_withdrawal_credential(validator) or has_compounding_withdrawal_credential(validator)


def get_max_effective_balance(validator: Validator) -> Gwei:
    if has_compounding_withdrawal_credential(validator):
        return MAX_EFFECTIVE_BALANCE_ELECTRA
    return MIN_ACTIVATION_BALANCE


def is_fully_withdrawable_validator(validator: Validator, balance: Gwei, epoch: Epoch) -> bool:
    is_due = validator.withdrawable_epoch <= epoch and balance > 0
    return bool(has_execution_withdrawal_credential(validator) and is_due)


def is_partially_withdrawable_validator(validator: Validator, balance: Gwei) -> bool:
    maximum = get_max_effective_balance(validator)
    is_full = validator.effective_balance == maximum and balance > maximum
    return bool(has_execution_withdrawal_credential(validator) and is_full)


@lru_cache(maxsize=4096)
def compute_shuffled_index(index: uint64, index_count: uint64, seed: Bytes32) -> uint64:
    assert index < index_count
    place, count = int(index), int(index_count)
    for round_number in range(SHUFFLE_ROUND_COUNT):
        prefix = bytes(seed) + bytes([round_number])
        pivot = int.from_bytes(sha256(prefix).digest()[:8], "little") % count
        flip = (pivot + count - place) % count
        position = max(place, flip)
        source = sha256(prefix + (position // 256).to_bytes(4, "little")).digest()
        if source[position % 256 // 8] >> (position % 8) & 1:
            place = flip
    return uint64(place)


@lru_cache(maxsize=64)
def compute_shuffled_indices(index_count: int, seed: bytes) -> Sequence[int]:
    """All values of `compute_shuffled_index` at once."""
    shuffled = list(range(index_count))
    for round_number in range(SHUFFLE_ROUND_COUNT):
        prefix = seed + bytes([round_number])
        pivot = int.from_bytes(sha256(prefix).digest()[:8], "little") % index_count
        sources = [sha256(prefix + block.to_bytes(4, "little")).digest() for block in range((index_count + 255) // 256)]
        for place, index in enumerate(shuffled):
            flip = (pivot + index_count - index) % index_count
            position = max(index, flip)
            if sources[position // 256][position % 256 // 8] >> (position % 8) & 1:
                shuffled[place] = flip
    return shuffled


def compute_proposer_index(state: BeaconState, indices: Sequence[ValidatorIndex], seed: Bytes32) -> ValidatorIndex:
    MAX_RANDOM_VALUE = 2**16 - 1
    assert len(indices) > 0
    shuffled = compute_shuffled_indices(len(indices), bytes(seed))
    i = 0
    while True:
        candidate = indices[shuffled[i % len(indices)]]
        random_bytes = hash(bytes(seed) + (i // 16).to_bytes(8, "little"))
        offset = i % 16 * 2
        random_value = int.from_bytes(random_bytes[offset : offset + 2], "little")
        effective_balance = int(state.validators[candidate].effective_balance)
        if effective_balance * MAX_RANDOM_VALUE >= MAX_EFFECTIVE_BALANCE_ELECTRA * random_value:
            return ValidatorIndex(candidate)
        i += 1


def compute_proposer_indices(
    state: BeaconState, epoch: Epoch, seed: Bytes32, indices: Sequence[ValidatorIndex]
) -> Sequence[ValidatorIndex]:
    start_slot = compute_start_slot_at_epoch(epoch)
    seeds = [hash(bytes(seed) + uint_to_bytes(Slot(start_slot + i))) for i in range(SLOTS_PER_EPOCH)]
    return [compute_proposer_index(state, indices, slot_seed) for slot_seed in seeds]


def compute_committee(
    indices: Sequence[ValidatorIndex], seed: Bytes32, index: uint64, count: uint64
) -> Sequence[ValidatorIndex]:
    shuffled = compute_shuffled_indices(len(indices), bytes(seed))
    start = len(indices) * int(index) // int(count)
    end = len(indices) * (int(index) + 1) // int(count)
    return [indices[place] for place in shuffled[start:end]]


def compute_epoch_at_slot(slot: Slot) -> Epoch:
    return Epoch(slot // SLOTS_PER_EPOCH)


def compute_start_slot_at_epoch(epoch: Epoch) -> Slot:
    return Slot(epoch * SLOTS_PER_EPOCH)


def compute_activation_exit_epoch(epoch: Epoch) -> Epoch:
    return Epoch(epoch + 1 + MAX_SEED_LOOKAHEAD)


def compute_time_at_slot(state: BeaconState, slot: Slot) -> uint64:
    return uint64(state.genesis_time + (slot - GENESIS_SLOT) * config.SLOT_DURATION_MS // 1000)


def compute_fork_data_root(current_version: Version, genesis_validators_root: Root) -> Root:
    fork_data = ForkData(current_version=current_version, genesis_validators_root=genesis_validators_root)
    return Root(hash_tree_root(fork_data))


def compute_domain(
    domain_type: DomainType,
    fork_version: Optional[Version] = None,
    genesis_validators_root: Optional[Root] = None,
) -> Domain:
    version = config.GENESIS_FORK_VERSION if fork_version is None else fork_version
    validators_root = Root() if genesis_validators_root is None else genesis_validators_root
    fork_data_root = compute_fork_data_root(version, validators_root)
    return Domain(bytes(domain_type) + bytes(fork_data_root)[:28])


def compute_signing_root(ssz_object: Any, domain: Domain) -> Root:
    return Root(hash_tree_root(SigningData(object_root=hash_tree_root(ssz_object), domain=domain)))


def kzg_commitment_to_versioned_hash(kzg_commitment: KZGCommitment) -> Bytes32:
    return Bytes32(VERSIONED_HASH_VERSION_KZG + bytes(hash(kzg_commitment))[1:])


def get_blob_parameters(epoch: Epoch) -> BlobParameters:
    for entry in sorted(config.BLOB_SCHEDULE, key=lambda entry: entry["EPOCH"], reverse=True):
        if epoch >= entry["EPOCH"]:
            return BlobParameters(Epoch(entry["EPOCH"]), uint64(entry["MAX_BLOBS_PER_BLOCK"]))
    return BlobParameters(config.ELECTRA_FORK_EPOCH, config.MAX_BLOBS_PER_BLOCK_ELECTRA)


def get_current_epoch(state: BeaconState) -> Epoch:
    return compute_epoch_at_slot(state.slot)


def get_previous_epoch(state: BeaconState) -> Epoch:
    current_epoch = get_current_epoch(state)
    return GENESIS_EPOCH if current_epoch == GENESIS_EPOCH else Epoch(current_epoch - 1)


def get_block_root_at_slot(state: BeaconState, slot: Slot) -> Root:
    assert slot < state.slot <= slot + SLOTS_PER_HISTORICAL_ROOT
    return state.block_roots[slot % SLOTS_PER_HISTORICAL_ROOT]


def get_block_root(state: BeaconState, epoch: Epoch) -> Root:
    return get_block_root_at_slot(state, compute_start_slot_at_epoch(epoch))


def get_randao_mix(state: BeaconState, epoch: Epoch) -> Bytes32:
    return state.randao_mixes[epoch % EPOCHS_PER_HISTORICAL_VECTOR]


def get_seed(state: BeaconState, epoch: Epoch, domain_type: DomainType) -> Bytes32:
    mix = get_randao_mix(state, Epoch(epoch + EPOCHS_PER_HISTORICAL_VECTOR - MIN_SEED_LOOKAHEAD - 1))
    return hash(bytes(domain_type) + uint_to_bytes(epoch) + bytes(mix))


@cached_by(lambda state, epoch: (hash_tree_root(state.validators), int(epoch)))
def get_active_validator_indices(state: BeaconState, epoch: Epoch) -> Sequence[ValidatorIndex]:
    return [
        ValidatorIndex(index)
        for index, validator in enumerate(state.validators)
        if is_active_validator(validator, epoch)
    ]


def get_committee_count_per_slot(state: BeaconState, epoch: Epoch) -> uint64:
    active = len(get_active_validator_indices(state, epoch))
    count = active // int(SLOTS_PER_EPOCH) // int(TARGET_COMMITTEE_SIZE)
    return uint64(max(1, min(int(MAX_COMMITTEES_PER_SLOT), count)))


def get_beacon_committee(state: BeaconState, slot: Slot, index: CommitteeIndex) -> Sequence[ValidatorIndex]:
    epoch = compute_epoch_at_slot(slot)
    committees_per_slot = get_committee_count_per_slot(state, epoch)
    return compute_committee(
        indices=get_active_validator_indices(state, epoch),
        seed=get_seed(state, epoch, DOMAIN_BEACON_ATTESTER),
        index=uint64(slot % SLOTS_PER_EPOCH * committees_per_slot + index),
        count=uint64(committees_per_slot * SLOTS_PER_EPOCH),
    )


def get_beacon_proposer_index(state: BeaconState) -> ValidatorIndex:
    return state.proposer_lookahead[state.slot % SLOTS_PER_EPOCH]


def get_beacon_proposer_indices(state: BeaconState, epoch: Epoch) -> Sequence[ValidatorIndex]:
    indices = get_active_validator_indices(state, epoch)
    return compute_proposer_indices(state, epoch, get_seed(state, epoch, DOMAIN_BEACON_PROPOSER), indices)


def get_total_balance(state: BeaconState, indices: Iterable[ValidatorIndex]) -> Gwei:
    total = sum(int(state.validators[index].effective_balance) for index in indices)
    return Gwei(max(int(EFFECTIVE_BALANCE_INCREMENT), total))


@cached_by(lambda state: (hash_tree_root(state.validators), int(get_current_epoch(state))))
def get_total_active_balance(state: BeaconState) -> Gwei:
    return get_total_balance(state, get_active_validator_indices(state, get_current_epoch(state)))


def get_domain(state: BeaconState, domain_type: DomainType, epoch: Optional[Epoch] = None) -> Domain:
    message_epoch = get_current_epoch(state) if epoch is None else epoch
    fork = state.fork
    version = fork.previous_version if message_epoch < fork.epoch else fork.current_version
    return compute_domain(domain_type, version, state.genesis_validators_root)


def get_committee_indices(committee_bits: Bitvector) -> Sequence[CommitteeIndex]:
    return [CommitteeIndex(index) for index, bit in enumerate(committee_bits) if bit]


def get_attesting_indices(state: BeaconState, attestation: Attestation) -> Set[ValidatorIndex]:
    attesters: Set[ValidatorIndex] = set()
    offset = 0
    for committee_index in get_committee_indices(attestation.committee_bits):
        committee = get_beacon_committee(state, attestation.data.slot, committee_index)
        attesters |= {index for i, index in enumerate(committee) if attestation.aggregation_bits[offset + i]}
        offset += len(committee)
    return attesters


def get_indexed_attestation(state: BeaconState, attestation: Attestation) -> IndexedAttestation:
    return IndexedAttestation(
        attesting_indices=sorted(get_attesting_indices(state, attestation)),
        data=attestation.data,
        signature=attestation.signature,
    )


def get_balance_churn_limit(state: BeaconState) -> Gwei:
    churn = max(
        config.MIN_PER_EPOCH_CHURN_LIMIT_ELECTRA, get_total_active_balance(state) // config.CHURN_LIMIT_QUOTIENT
    )
    return Gwei(churn - churn % EFFECTIVE_BALANCE_INCREMENT)


def get_activation_exit_churn_limit(state: BeaconState) -> Gwei:
    return Gwei(min(config.MAX_PER_EPOCH_ACTIVATION_EXIT_CHURN_LIMIT, get_balance_churn_limit(state)))


def get_consolidation_churn_limit(state: BeaconState) -> Gwei:
    return Gwei(get_balance_churn_limit(state) - get_activation_exit_churn_limit(state))


def get_pending_balance_to_withdraw(state: BeaconState, validator_index: ValidatorIndex) -> Gwei:
    pending = state.pending_partial_withdrawals
    return Gwei(sum(int(entry.amount) for entry in pending if entry.validator_index == validator_index))


def get_next_sync_committee_indices(state: BeaconState) -> Sequence[ValidatorIndex]:
    epoch = Epoch(get_current_epoch(state) + 1)
    indices = get_active_validator_indices(state, epoch)
    MAX_RANDOM_VALUE = 2**16 - 1
    seed = get_seed(state, epoch, DOMAIN_SYNC_COMMITTEE)
    shuffled = compute_shuffled_indices(len(indices), bytes(seed))
    drawn: list[ValidatorIndex] = []
    i = 0
    while len(drawn) < SYNC_COMMITTEE_SIZE:
        candidate = indices[shuffled[i % len(indices)]]
        random_bytes = hash(bytes(seed) + (i // 16).to_bytes(8, "little"))
        random_value = int.from_bytes(random_bytes[i % 16 * 2 : i % 16 * 2 + 2], "little")
        effective_balance = int(state.validators[candidate].effective_balance)
        if effective_balance * MAX_RANDOM_VALUE >= MAX_EFFECTIVE_BALANCE_ELECTRA * random_value:
            drawn.append(candidate)
        i += 1
    return drawn


def get_next_sync_committee(state: BeaconState) -> SyncCommittee:
    pubkeys = [state.validators[index].pubkey for index in get_next_sync_committee_indices(state)]
    return SyncCommittee(pubkeys=pubkeys, aggregate_pubkey=eth_aggregate_pubkeys(pubkeys))


def is_sync_committee_aggregator(signature: BLSSignature) -> bool:
    modulo = max(1, SYNC_COMMITTEE_SIZE // SYNC_COMMITTEE_SUBNET_COUNT // TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE)
    return bool(bytes_to_uint64(hash(signature)[0:8]) % modulo == 0)


def eth_aggregate_pubkeys(pubkeys: Sequence[BLSPubkey]) -> BLSPubkey:
    return BLSPubkey(bls.AggregatePKs(pubkeys))


def eth_fast_aggregate_verify(pubkeys: Sequence[BLSPubkey], message: Bytes32, signature: BLSSignature) -> bool:
    if len(pubkeys) == 0 and signature == G2_POINT_AT_INFINITY:
        return True
    return bls.FastAggregateVerify(pubkeys, message, signature)


def get_base_reward_per_increment(state: BeaconState) -> Gwei:
    total_active_balance = get_total_active_balance(state)
    return Gwei(EFFECTIVE_BALANCE_INCREMENT * BASE_REWARD_FACTOR // integer_squareroot(total_active_balance))


def get_base_reward(state: BeaconState, index: ValidatorIndex) -> Gwei:
    increments = state.validators[index].effective_balance // EFFECTIVE_BALANCE_INCREMENT
    return Gwei(increments * get_base_reward_per_increment(state))


def add_flag(flags: ParticipationFlags, flag_index: int) -> ParticipationFlags:
    return ParticipationFlags(int(flags) | 1 << flag_index)


def has_flag(flags: ParticipationFlags, flag_index: int) -> bool:
    return bool(int(flags) >> flag_index & 1)


def get_unslashed_participating_indices(state: BeaconState, flag_index: int, epoch: Epoch) -> Set[ValidatorIndex]:
    assert epoch in (get_previous_epoch(state), get_current_epoch(state))
    if epoch == get_current_epoch(state):
        participation = list(state.current_epoch_participation)
    else:
        participation = list(state.previous_epoch_participation)
    active = get_active_validator_indices(state, epoch)
    return {
        index for index in active if has_flag(participation[index], flag_index) and not state.validators[index].slashed
    }


def get_attestation_participation_flag_indices(
    state: BeaconState, data: AttestationData, inclusion_delay: uint64
) -> Sequence[int]:
    if data.target.epoch == get_current_epoch(state):
        justified_checkpoint = state.current_justified_checkpoint
    else:
        justified_checkpoint = state.previous_justified_checkpoint
    assert data.source == justified_checkpoint
    is_matching_target = data.target.root == get_block_root(state, data.target.epoch)
    is_matching_head = is_matching_target and data.beacon_block_root == get_block_root_at_slot(state, data.slot)
    flag_indices = []
    if inclusion_delay <= integer_squareroot(SLOTS_PER_EPOCH):
        flag_indices.append(TIMELY_SOURCE_FLAG_INDEX)
    if is_matching_target:
        flag_indices.append(TIMELY_TARGET_FLAG_INDEX)
    if is_matching_head and inclusion_delay == MIN_ATTESTATION_INCLUSION_DELAY:
        flag_indices.append(TIMELY_HEAD_FLAG_INDEX)
    return flag_indices


def get_finality_delay(state: BeaconState) -> uint64:
    return uint64(get_previous_epoch(state) - state.finalized_checkpoint.epoch)


def is_in_inactivity_leak(state: BeaconState) -> bool:
    return bool(get_finality_delay(state) > MIN_EPOCHS_TO_INACTIVITY_PENALTY)


def get_eligible_validator_indices(state: BeaconState) -> Sequence[ValidatorIndex]:
    previous_epoch = get_previous_epoch(state)
    return [
        ValidatorIndex(index)
        for index, validator in enumerate(state.validators)
        if is_active_validator(validator, previous_epoch)
        or (validator.slashed and previous_epoch + 1 < validator.withdrawable_epoch)
    ]


def increase_balance(state: BeaconState, index: ValidatorIndex, delta: Gwei) -> None:
    state.balances[index] += delta


def decrease_balance(state: BeaconState, index: ValidatorIndex, delta: Gwei) -> None:
    state.balances[index] = saturating_sub(state.balances[index], delta)


def compute_exit_epoch_and_update_churn(state: BeaconState, exit_balance: Gwei) -> Epoch:
    earliest = max(state.earliest_exit_epoch, compute_activation_exit_epoch(get_current_epoch(state)))
    per_epoch_churn = get_activation_exit_churn_limit(state)
    is_new_epoch = state.earliest_exit_epoch < earliest
    to_consume = per_epoch_churn if is_new_epoch else state.exit_balance_to_consume
    if exit_balance > to_consume:
        additional_epochs = (exit_balance - to_consume - 1) // per_epoch_churn + 1
        earliest += additional_epochs
        to_consume += additional_epochs * per_epoch_churn
    state.exit_balance_to_consume = to_consume - exit_balance
    state.earliest_exit_epoch = earliest
    return state.earliest_exit_epoch


def compute_consolidation_epoch_and_update_churn(state: BeaconState, consolidation_balance: Gwei) -> Epoch:
    earliest = max(state.earliest_consolidation_epoch, compute_activation_exit_epoch(get_current_epoch(state)))
    per_epoch_churn = get_consolidation_churn_limit(state)
    is_new_epoch = state.earliest_consolidation_epoch < earliest
    to_consume = per_epoch_churn if is_new_epoch else state.consolidation_balance_to_consume
    if consolidation_balance > to_consume:
        additional_epochs = (consolidation_balance - to_consume - 1) // per_epoch_churn + 1
        earliest += additional_epochs
        to_consume += additional_epochs * per_epoch_churn
    state.consolidation_balance_to_consume = to_consume - consolidation_balance
    state.earliest_consolidation_epoch = earliest
    return state.earliest_consolidation_epoch


def initiate_validator_exit(state: BeaconState, index: ValidatorIndex) -> None:
    validator = state.validators[index]
    if validator.exit_epoch != FAR_FUTURE_EPOCH:
        return
    exit_epoch = compute_exit_epoch_and_update_churn(state, validator.effective_balance)
    validator.exit_epoch = exit_epoch
    validator.withdrawable_epoch = Epoch(exit_epoch + config.MIN_VALIDATOR_WITHDRAWABILITY_DELAY)


def queue_excess_active_balance(state: BeaconState, index: ValidatorIndex) -> None:
    balance = state.balances[index]
    if balance <= MIN_ACTIVATION_BALANCE:
        return
    validator = state.validators[index]
    state.balances[index] = MIN_ACTIVATION_BALANCE
    state.pending_deposits.append(
        PendingDeposit(
            pubkey=validator.pubkey,
            withdrawal_credentials=validator.withdrawal_credentials,
            amount=balance - MIN_ACTIVATION_BALANCE,
            signature=G2_POINT_AT_INFINITY,
            slot=GENESIS_SLOT,
        )
    )


def switch_to_compounding_validator(state: BeaconState, index: ValidatorIndex) -> None:
    validator = state.validators[index]
    validator.withdrawal_credentials = COMPOUNDING_WITHDRAWAL_PREFIX + bytes(validator.withdrawal_credentials)[1:]
    queue_excess_active_balance(state, index)


def slash_validator(
    state: BeaconState, slashed_index: ValidatorIndex, whistleblower_index: Optional[ValidatorIndex] = None
) -> None:
    epoch = get_current_epoch(state)
    initiate_validator_exit(state, slashed_index)
    validator = state.validators[slashed_index]
    validator.slashed = True
    validator.withdrawable_epoch = max(validator.withdrawable_epoch, Epoch(epoch + EPOCHS_PER_SLASHINGS_VECTOR))
    state.slashings[epoch % EPOCHS_PER_SLASHINGS_VECTOR] += validator.effective_balance
    decrease_balance(state, slashed_index, validator.effective_balance // MIN_SLASHING_PENALTY_QUOTIENT_ELECTRA)
    proposer_index = get_beacon_proposer_index(state)
    rewarded = proposer_index if whistleblower_index is None else whistleblower_index
    whistleblower_reward = validator.effective_balance // WHISTLEBLOWER_REWARD_QUOTIENT_ELECTRA
    proposer_reward = whistleblower_reward * PROPOSER_WEIGHT // WEIGHT_DENOMINATOR
    increase_balance(state, proposer_index, proposer_reward)
    increase_balance(state, rewarded, whistleblower_reward - proposer_reward)
