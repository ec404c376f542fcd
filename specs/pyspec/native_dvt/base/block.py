# Block processing of Fulu. Part of a generated module: no imports here.


def state_transition(state: BeaconState, signed_block: SignedBeaconBlock, validate_result: bool = True) -> None:
    block = signed_block.message
    process_slots(state, block.slot)
    if validate_result:
        assert verify_block_signature(state, signed_block)
    process_block(state, block)
    if validate_result:
        assert block.state_root == hash_tree_root(state)


def verify_block_signature(state: BeaconState, signed_block: SignedBeaconBlock) -> bool:
    proposer = state.validators[signed_block.message.proposer_index]
    signing_root = compute_signing_root(signed_block.message, get_domain(state, DOMAIN_BEACON_PROPOSER))
    return bls.Verify(proposer.pubkey, signing_root, signed_block.signature)


def process_slots(state: BeaconState, slot: Slot) -> None:
    assert state.slot < slot
    while state.slot < slot:
        process_slot(state)
        if (state.slot + 1) % SLOTS_PER_EPOCH == 0:
            process_epoch(state)
        state.slot = Slot(state.slot + 1)


def process_slot(state: BeaconState) -> None:
    previous_state_root = hash_tree_root(state)
    state.state_roots[state.slot % SLOTS_PER_HISTORICAL_ROOT] = previous_state_root
    if state.latest_block_header.state_root == Root():
        state.latest_block_header.state_root = previous_state_root
    state.block_roots[state.slot % SLOTS_PER_HISTORICAL_ROOT] = hash_tree_root(state.latest_block_header)


def process_block(state: BeaconState, block: BeaconBlock) -> None:
    process_block_header(state, block)
    process_withdrawals(state, block.body.execution_payload)
    process_execution_payload(state, block.body, EXECUTION_ENGINE)
    process_randao(state, block.body)
    process_eth1_data(state, block.body)
    process_operations(state, block.body)
    process_sync_aggregate(state, block.body.sync_aggregate)


def process_block_header(state: BeaconState, block: BeaconBlock) -> None:
    assert block.slot == state.slot
    assert block.slot > state.latest_block_header.slot
    assert block.proposer_index == get_beacon_proposer_index(state)
    assert block.parent_root == hash_tree_root(state.latest_block_header)
    # The state root is filled in by the next `process_slot`.
    state.latest_block_header = BeaconBlockHeader(
        slot=block.slot,
        proposer_index=block.proposer_index,
        parent_root=block.parent_root,
        body_root=hash_tree_root(block.body),
    )
    assert not state.validators[block.proposer_index].slashed


def get_expected_withdrawals(state: BeaconState) -> Tuple[Sequence[Withdrawal], uint64]:
    epoch = get_current_epoch(state)
    withdrawal_index = state.next_withdrawal_index
    validator_index = state.next_withdrawal_validator_index
    withdrawals: list[Withdrawal] = []
    processed_partial_withdrawals_count = 0

    for pending in state.pending_partial_withdrawals:
        is_full = len(withdrawals) == MAX_PENDING_PARTIALS_PER_WITHDRAWALS_SWEEP
        if pending.withdrawable_epoch > epoch or is_full:
            break
        validator = state.validators[pending.validator_index]
        withdrawn = sum(int(w.amount) for w in withdrawals if w.validator_index == pending.validator_index)
        balance = state.balances[pending.validator_index] - withdrawn
        has_sufficient_effective_balance = validator.effective_balance >= MIN_ACTIVATION_BALANCE
        has_excess_balance = balance > MIN_ACTIVATION_BALANCE
        if validator.exit_epoch == FAR_FUTURE_EPOCH and has_sufficient_effective_balance and has_excess_balance:
            withdrawals.append(
                Withdrawal(
                    index=withdrawal_index,
                    validator_index=pending.validator_index,
                    address=bytes(validator.withdrawal_credentials)[12:],
                    amount=min(balance - MIN_ACTIVATION_BALANCE, pending.amount),
                )
            )
            withdrawal_index += WithdrawalIndex(1)
        processed_partial_withdrawals_count += 1

    for _ in range(min(len(state.validators), MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP)):
        validator = state.validators[validator_index]
        withdrawn = sum(int(w.amount) for w in withdrawals if w.validator_index == validator_index)
        balance = state.balances[validator_index] - withdrawn
        amount = Gwei(0)
        if is_fully_withdrawable_validator(validator, balance, epoch):
            amount = balance
        elif is_partially_withdrawable_validator(validator, balance):
            amount = Gwei(balance - get_max_effective_balance(validator))
        if amount > 0:
            withdrawals.append(
                Withdrawal(
                    index=withdrawal_index,
                    validator_index=validator_index,
                    address=bytes(validator.withdrawal_credentials)[12:],
                    amount=amount,
                )
            )
            withdrawal_index += WithdrawalIndex(1)
        if len(withdrawals) == MAX_WITHDRAWALS_PER_PAYLOAD:
            break
        validator_index = ValidatorIndex((validator_index + 1) % len(state.validators))
    return withdrawals, uint64(processed_partial_withdrawals_count)


def process_withdrawals(state: BeaconState, payload: ExecutionPayload) -> None:
    expected_withdrawals, processed_partial_withdrawals_count = get_expected_withdrawals(state)
    assert list(payload.withdrawals) == list(expected_withdrawals)
    for withdrawal in expected_withdrawals:
        decrease_balance(state, withdrawal.validator_index, withdrawal.amount)
    state.pending_partial_withdrawals = list(state.pending_partial_withdrawals)[processed_partial_withdrawals_count:]
    if len(expected_withdrawals) > 0:
        state.next_withdrawal_index = WithdrawalIndex(expected_withdrawals[-1].index + 1)
    if len(expected_withdrawals) == MAX_WITHDRAWALS_PER_PAYLOAD:
        next_index = expected_withdrawals[-1].validator_index + 1
    else:
        next_index = state.next_withdrawal_validator_index + MAX_VALIDATORS_PER_WITHDRAWALS_SWEEP
    state.next_withdrawal_validator_index = ValidatorIndex(next_index % len(state.validators))


def process_execution_payload(state: BeaconState, body: BeaconBlockBody, execution_engine: ExecutionEngine) -> None:
    payload = body.execution_payload
    assert payload.parent_hash == state.latest_execution_payload_header.block_hash
    assert payload.prev_randao == get_randao_mix(state, get_current_epoch(state))
    assert payload.timestamp == compute_time_at_slot(state, state.slot)
    assert len(body.blob_kzg_commitments) <= get_blob_parameters(get_current_epoch(state)).max_blobs_per_block
    assert execution_engine.verify_and_notify_new_payload(
        payload,
        [kzg_commitment_to_versioned_hash(commitment) for commitment in body.blob_kzg_commitments],
        state.latest_block_header.parent_root,
        body.execution_requests,
    )
    state.latest_execution_payload_header = ExecutionPayloadHeader(
        parent_hash=payload.parent_hash,
        fee_recipient=payload.fee_recipient,
        state_root=payload.state_root,
        receipts_root=payload.receipts_root,
        logs_bloom=payload.logs_bloom,
        prev_randao=payload.prev_randao,
        block_number=payload.block_number,
        gas_limit=payload.gas_limit,
        gas_used=payload.gas_used,
        timestamp=payload.timestamp,
        extra_data=payload.extra_data,
        base_fee_per_gas=payload.base_fee_per_gas,
        block_hash=payload.block_hash,
        transactions_root=hash_tree_root(payload.transactions),
        withdrawals_root=hash_tree_root(payload.withdrawals),
        blob_gas_used=payload.blob_gas_used,
        excess_blob_gas=payload.excess_blob_gas,
    )


def process_randao(state: BeaconState, body: BeaconBlockBody) -> None:
    epoch = get_current_epoch(state)
    proposer = state.validators[get_beacon_proposer_index(state)]
    signing_root = compute_signing_root(epoch, get_domain(state, DOMAIN_RANDAO))
    assert bls.Verify(proposer.pubkey, signing_root, body.randao_reveal)
    mix = xor(get_randao_mix(state, epoch), hash(body.randao_reveal))
    state.randao_mixes[epoch % EPOCHS_PER_HISTORICAL_VECTOR] = mix


def process_eth1_data(state: BeaconState, body: BeaconBlockBody) -> None:
    state.eth1_data_votes.append(body.eth1_data)
    votes = sum(vote == body.eth1_data for vote in state.eth1_data_votes)
    if votes * 2 > EPOCHS_PER_ETH1_VOTING_PERIOD * SLOTS_PER_EPOCH:
        state.eth1_data = body.eth1_data


def process_operations(state: BeaconState, body: BeaconBlockBody) -> None:
    eth1_deposit_index_limit = min(state.eth1_data.deposit_count, state.deposit_requests_start_index)
    if state.eth1_deposit_index < eth1_deposit_index_limit:
        assert len(body.deposits) == min(MAX_DEPOSITS, eth1_deposit_index_limit - state.eth1_deposit_index)
    else:
        assert len(body.deposits) == 0

    for proposer_slashing in body.proposer_slashings:
        process_proposer_slashing(state, proposer_slashing)
    for attester_slashing in body.attester_slashings:
        process_attester_slashing(state, attester_slashing)
    for attestation in body.attestations:
        process_attestation(state, attestation)
    for deposit in body.deposits:
        process_deposit(state, deposit)
    for voluntary_exit in body.voluntary_exits:
        process_voluntary_exit(state, voluntary_exit)
    for bls_to_execution_change in body.bls_to_execution_changes:
        process_bls_to_execution_change(state, bls_to_execution_change)
    for deposit_request in body.execution_requests.deposits:
        process_deposit_request(state, deposit_request)
    for withdrawal_request in body.execution_requests.withdrawals:
        process_withdrawal_request(state, withdrawal_request)
    for consolidation_request in body.execution_requests.consolidations:
        process_consolidation_request(state, consolidation_request)


def process_proposer_slashing(state: BeaconState, proposer_slashing: ProposerSlashing) -> None:
    header_1 = proposer_slashing.signed_header_1.message
    header_2 = proposer_slashing.signed_header_2.message
    assert header_1.slot == header_2.slot
    assert header_1.proposer_index == header_2.proposer_index
    assert header_1 != header_2
    proposer = state.validators[header_1.proposer_index]
    assert is_slashable_validator(proposer, get_current_epoch(state))
    for signed_header in (proposer_slashing.signed_header_1, proposer_slashing.signed_header_2):
        domain = get_domain(state, DOMAIN_BEACON_PROPOSER, compute_epoch_at_slot(signed_header.message.slot))
        signing_root = compute_signing_root(signed_header.message, domain)
        assert bls.Verify(proposer.pubkey, signing_root, signed_header.signature)
    slash_validator(state, header_1.proposer_index)


def process_attester_slashing(state: BeaconState, attester_slashing: AttesterSlashing) -> None:
    attestation_1 = attester_slashing.attestation_1
    attestation_2 = attester_slashing.attestation_2
    assert is_slashable_attestation_data(attestation_1.data, attestation_2.data)
    assert is_valid_indexed_attestation(state, attestation_1)
    assert is_valid_indexed_attestation(state, attestation_2)
    slashed_any = False
    both = set(attestation_1.attesting_indices) & set(attestation_2.attesting_indices)
    for index in sorted(both):
        if is_slashable_validator(state.validators[index], get_current_epoch(state)):
            slash_validator(state, index)
            slashed_any = True
    assert slashed_any


def process_attestation(state: BeaconState, attestation: Attestation) -> None:
    data = attestation.data
    assert data.target.epoch in (get_previous_epoch(state), get_current_epoch(state))
    assert data.target.epoch == compute_epoch_at_slot(data.slot)
    assert data.slot + MIN_ATTESTATION_INCLUSION_DELAY <= state.slot
    assert data.index == 0
    offset = 0
    for committee_index in get_committee_indices(attestation.committee_bits):
        assert committee_index < get_committee_count_per_slot(state, data.target.epoch)
        committee = get_beacon_committee(state, data.slot, committee_index)
        assert any(attestation.aggregation_bits[offset : offset + len(committee)])
        offset += len(committee)
    assert len(attestation.aggregation_bits) == offset

    inclusion_delay = uint64(state.slot - data.slot)
    flag_indices = get_attestation_participation_flag_indices(state, data, inclusion_delay)
    assert is_valid_indexed_attestation(state, get_indexed_attestation(state, attestation))
    if data.target.epoch == get_current_epoch(state):
        participation = state.current_epoch_participation
    else:
        participation = state.previous_epoch_participation
    numerator = 0
    for index in get_attesting_indices(state, attestation):
        for flag_index in flag_indices:
            if not has_flag(participation[index], flag_index):
                participation[index] = add_flag(participation[index], flag_index)
                numerator += int(get_base_reward(state, index)) * PARTICIPATION_FLAG_WEIGHTS[flag_index]
    denominator = (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT) * WEIGHT_DENOMINATOR // PROPOSER_WEIGHT
    increase_balance(state, get_beacon_proposer_index(state), Gwei(numerator // denominator))


def process_deposit(state: BeaconState, deposit: Deposit) -> None:
    assert is_valid_merkle_branch(
        leaf=hash_tree_root(deposit.data),
        branch=deposit.proof,
        depth=DEPOSIT_CONTRACT_TREE_DEPTH + 1,
        index=state.eth1_deposit_index,
        root=state.eth1_data.deposit_root,
    )
    state.eth1_deposit_index += 1
    data = deposit.data
    is_known = any(validator.pubkey == data.pubkey for validator in state.validators)
    if not is_known:
        if not is_valid_deposit_signature(data.pubkey, data.withdrawal_credentials, data.amount, data.signature):
            return
        add_validator_to_registry(state, data.pubkey, data.withdrawal_credentials, Gwei(0))
    state.pending_deposits.append(
        PendingDeposit(
            pubkey=data.pubkey,
            withdrawal_credentials=data.withdrawal_credentials,
            amount=data.amount,
            signature=data.signature,
            slot=GENESIS_SLOT,
        )
    )


def process_voluntary_exit(state: BeaconState, signed_voluntary_exit: SignedVoluntaryExit) -> None:
    voluntary_exit = signed_voluntary_exit.message
    validator = state.validators[voluntary_exit.validator_index]
    current_epoch = get_current_epoch(state)
    assert is_active_validator(validator, current_epoch)
    assert validator.exit_epoch == FAR_FUTURE_EPOCH
    assert current_epoch >= voluntary_exit.epoch
    assert current_epoch >= validator.activation_epoch + config.SHARD_COMMITTEE_PERIOD
    assert get_pending_balance_to_withdraw(state, voluntary_exit.validator_index) == 0
    domain = compute_domain(DOMAIN_VOLUNTARY_EXIT, config.CAPELLA_FORK_VERSION, state.genesis_validators_root)
    signing_root = compute_signing_root(voluntary_exit, domain)
    assert bls.Verify(validator.pubkey, signing_root, signed_voluntary_exit.signature)
    initiate_validator_exit(state, voluntary_exit.validator_index)


def process_bls_to_execution_change(state: BeaconState, signed_change: SignedBLSToExecutionChange) -> None:
    change = signed_change.message
    assert change.validator_index < len(state.validators)
    validator = state.validators[change.validator_index]
    credentials = bytes(validator.withdrawal_credentials)
    assert credentials[:1] == BLS_WITHDRAWAL_PREFIX
    assert credentials[1:] == bytes(hash(change.from_bls_pubkey))[1:]
    domain = compute_domain(DOMAIN_BLS_TO_EXECUTION_CHANGE, genesis_validators_root=state.genesis_validators_root)
    assert bls.Verify(change.from_bls_pubkey, compute_signing_root(change, domain), signed_change.signature)
    validator.withdrawal_credentials = ETH1_ADDRESS_WITHDRAWAL_PREFIX + bytes(11) + bytes(change.to_execution_address)


def process_deposit_request(state: BeaconState, deposit_request: DepositRequest) -> None:
    if state.deposit_requests_start_index == UNSET_DEPOSIT_REQUESTS_START_INDEX:
        state.deposit_requests_start_index = deposit_request.index
    state.pending_deposits.append(
        PendingDeposit(
            pubkey=deposit_request.pubkey,
            withdrawal_credentials=deposit_request.withdrawal_credentials,
            amount=deposit_request.amount,
            signature=deposit_request.signature,
            slot=state.slot,
        )
    )


def process_withdrawal_request(state: BeaconState, withdrawal_request: WithdrawalRequest) -> None:
    amount = withdrawal_request.amount
    is_full_exit_request = amount == FULL_EXIT_REQUEST_AMOUNT
    is_queue_full = len(state.pending_partial_withdrawals) == PENDING_PARTIAL_WITHDRAWALS_LIMIT
    if is_queue_full and not is_full_exit_request:
        return
    pubkeys = [validator.pubkey for validator in state.validators]
    if withdrawal_request.validator_pubkey not in pubkeys:
        return
    index = ValidatorIndex(pubkeys.index(withdrawal_request.validator_pubkey))
    validator = state.validators[index]
    address = bytes(validator.withdrawal_credentials)[12:]
    if not has_execution_withdrawal_credential(validator) or address != bytes(withdrawal_request.source_address):
        return
    if not is_active_validator(validator, get_current_epoch(state)) or validator.exit_epoch != FAR_FUTURE_EPOCH:
        return
    if get_current_epoch(state) < validator.activation_epoch + config.SHARD_COMMITTEE_PERIOD:
        return
    pending_balance_to_withdraw = get_pending_balance_to_withdraw(state, index)
    if is_full_exit_request:
        if pending_balance_to_withdraw == 0:
            initiate_validator_exit(state, index)
        return
    has_sufficient_effective_balance = validator.effective_balance >= MIN_ACTIVATION_BALANCE
    has_excess_balance = state.balances[index] > MIN_ACTIVATION_BALANCE + pending_balance_to_withdraw
    is_compounding = has_compounding_withdrawal_credential(validator)
    if is_compounding and has_sufficient_effective_balance and has_excess_balance:
        to_withdraw = min(state.balances[index] - MIN_ACTIVATION_BALANCE - pending_balance_to_withdraw, amount)
        exit_queue_epoch = compute_exit_epoch_and_update_churn(state, to_withdraw)
        state.pending_partial_withdrawals.append(
            PendingPartialWithdrawal(
                validator_index=index,
                amount=to_withdraw,
                withdrawable_epoch=exit_queue_epoch + config.MIN_VALIDATOR_WITHDRAWABILITY_DELAY,
            )
        )


def is_valid_switch_to_compounding_request(state: BeaconState, consolidation_request: ConsolidationRequest) -> bool:
    if consolidation_request.source_pubkey != consolidation_request.target_pubkey:
        return False
    pubkeys = [validator.pubkey for validator in state.validators]
    if consolidation_request.source_pubkey not in pubkeys:
        return False
    source = state.validators[pubkeys.index(consolidation_request.source_pubkey)]
    if bytes(source.withdrawal_credentials)[12:] != bytes(consolidation_request.source_address):
        return False
    is_active = is_active_validator(source, get_current_epoch(state))
    return bool(has_eth1_withdrawal_credential(source) and is_active and source.exit_epoch == FAR_FUTURE_EPOCH)


def process_consolidation_request(state: BeaconState, consolidation_request: ConsolidationRequest) -> None:
    pubkeys = [validator.pubkey for validator in state.validators]
    if is_valid_switch_to_compounding_request(state, consolidation_request):
        switch_to_compounding_validator(state, ValidatorIndex(pubkeys.index(consolidation_request.source_pubkey)))
        return
    if consolidation_request.source_pubkey == consolidation_request.target_pubkey:
        return
    if len(state.pending_consolidations) == PENDING_CONSOLIDATIONS_LIMIT:
        return
    if get_consolidation_churn_limit(state) <= MIN_ACTIVATION_BALANCE:
        return
    if consolidation_request.source_pubkey not in pubkeys or consolidation_request.target_pubkey not in pubkeys:
        return
    source_index = ValidatorIndex(pubkeys.index(consolidation_request.source_pubkey))
    target_index = ValidatorIndex(pubkeys.index(consolidation_request.target_pubkey))
    source = state.validators[source_index]
    target = state.validators[target_index]
    address = bytes(source.withdrawal_credentials)[12:]
    if not has_execution_withdrawal_credential(source) or address != bytes(consolidation_request.source_address):
        return
    if not has_compounding_withdrawal_credential(target):
        return
    current_epoch = get_current_epoch(state)
    if not is_active_validator(source, current_epoch) or not is_active_validator(target, current_epoch):
        return
    if source.exit_epoch != FAR_FUTURE_EPOCH or target.exit_epoch != FAR_FUTURE_EPOCH:
        return
    if current_epoch < source.activation_epoch + config.SHARD_COMMITTEE_PERIOD:
        return
    if get_pending_balance_to_withdraw(state, source_index) > 0:
        return
    source.exit_epoch = compute_consolidation_epoch_and_update_churn(state, source.effective_balance)
    source.withdrawable_epoch = Epoch(source.exit_epoch + config.MIN_VALIDATOR_WITHDRAWABILITY_DELAY)
    state.pending_consolidations.append(PendingConsolidation(source_index=source_index, target_index=target_index))


def process_sync_aggregate(state: BeaconState, sync_aggregate: SyncAggregate) -> None:
    bits = list(sync_aggregate.sync_committee_bits)
    committee_pubkeys = list(state.current_sync_committee.pubkeys)
    participants = [pubkey for pubkey, bit in zip(committee_pubkeys, bits) if bit]
    previous_slot = Slot(int(state.slot) - 1 if state.slot > 0 else 0)
    domain = get_domain(state, DOMAIN_SYNC_COMMITTEE, compute_epoch_at_slot(previous_slot))
    signing_root = compute_signing_root(get_block_root_at_slot(state, previous_slot), domain)
    assert eth_fast_aggregate_verify(participants, signing_root, sync_aggregate.sync_committee_signature)

    participant_reward, proposer_reward = get_sync_aggregate_rewards(state)
    pubkeys = {bytes(validator.pubkey): ValidatorIndex(i) for i, validator in enumerate(state.validators)}
    for pubkey, bit in zip(committee_pubkeys, bits):
        if bit:
            increase_balance(state, pubkeys[bytes(pubkey)], participant_reward)
            increase_balance(state, get_beacon_proposer_index(state), proposer_reward)
        else:
            decrease_balance(state, pubkeys[bytes(pubkey)], participant_reward)


def get_sync_aggregate_rewards(state: BeaconState) -> Tuple[Gwei, Gwei]:
    """What one position earns its holder, and what it earns the proposer."""
    total_active_increments = get_total_active_balance(state) // EFFECTIVE_BALANCE_INCREMENT
    total_base_rewards = get_base_reward_per_increment(state) * total_active_increments
    max_participant_rewards = total_base_rewards * SYNC_REWARD_WEIGHT // WEIGHT_DENOMINATOR // SLOTS_PER_EPOCH
    participant_reward = max_participant_rewards // SYNC_COMMITTEE_SIZE
    proposer_reward = participant_reward * PROPOSER_WEIGHT // (WEIGHT_DENOMINATOR - PROPOSER_WEIGHT)
    return Gwei(participant_reward), Gwei(proposer_reward)
