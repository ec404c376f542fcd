# Epoch processing of Fulu. Part of a generated module: no imports here.


def process_epoch(state: BeaconState) -> None:
    process_justification_and_finalization(state)
    process_inactivity_updates(state)
    process_rewards_and_penalties(state)
    process_registry_updates(state)
    process_slashings(state)
    process_eth1_data_reset(state)
    process_pending_deposits(state)
    process_pending_consolidations(state)
    process_effective_balance_updates(state)
    process_slashings_reset(state)
    process_randao_mixes_reset(state)
    process_historical_summaries_update(state)
    process_participation_flag_updates(state)
    process_sync_committee_updates(state)
    process_proposer_lookahead(state)


def process_justification_and_finalization(state: BeaconState) -> None:
    if get_current_epoch(state) <= GENESIS_EPOCH + 1:
        return
    previous = get_unslashed_participating_indices(state, TIMELY_TARGET_FLAG_INDEX, get_previous_epoch(state))
    current = get_unslashed_participating_indices(state, TIMELY_TARGET_FLAG_INDEX, get_current_epoch(state))
    weigh_justification_and_finalization(
        state,
        get_total_active_balance(state),
        get_total_balance(state, previous),
        get_total_balance(state, current),
    )


def weigh_justification_and_finalization(
    state: BeaconState, total_active_balance: Gwei, previous_target_balance: Gwei, current_target_balance: Gwei
) -> None:
    previous_epoch = get_previous_epoch(state)
    current_epoch = get_current_epoch(state)
    old_previous = state.previous_justified_checkpoint.copy()
    old_current = state.current_justified_checkpoint.copy()

    state.previous_justified_checkpoint = old_current
    bits = [False] + [bool(bit) for bit in list(state.justification_bits)[: JUSTIFICATION_BITS_LENGTH - 1]]
    if previous_target_balance * 3 >= total_active_balance * 2:
        state.current_justified_checkpoint = Checkpoint(
            epoch=previous_epoch, root=get_block_root(state, previous_epoch)
        )
        bits[1] = True
    if current_target_balance * 3 >= total_active_balance * 2:
        state.current_justified_checkpoint = Checkpoint(epoch=current_epoch, root=get_block_root(state, current_epoch))
        bits[0] = True
    state.justification_bits = bits

    # Each rule: these epochs are justified, and the oldest of them from that checkpoint.
    if all(bits[1:4]) and old_previous.epoch + 3 == current_epoch:
        state.finalized_checkpoint = old_previous
    if all(bits[1:3]) and old_previous.epoch + 2 == current_epoch:
        state.finalized_checkpoint = old_previous
    if all(bits[0:3]) and old_current.epoch + 2 == current_epoch:
        state.finalized_checkpoint = old_current
    if all(bits[0:2]) and old_current.epoch + 1 == current_epoch:
        state.finalized_checkpoint = old_current


def process_inactivity_updates(state: BeaconState) -> None:
    if get_current_epoch(state) == GENESIS_EPOCH:
        return
    on_target = get_unslashed_participating_indices(state, TIMELY_TARGET_FLAG_INDEX, get_previous_epoch(state))
    is_leaking = is_in_inactivity_leak(state)
    for index in get_eligible_validator_indices(state):
        score = int(state.inactivity_scores[index])
        score = max(score - 1, 0) if index in on_target else score + int(config.INACTIVITY_SCORE_BIAS)
        if not is_leaking:
            score = max(score - int(config.INACTIVITY_SCORE_RECOVERY_RATE), 0)
        state.inactivity_scores[index] = score


def get_flag_index_deltas(state: BeaconState, flag_index: int) -> Tuple[Sequence[Gwei], Sequence[Gwei]]:
    rewards = [Gwei(0)] * len(state.validators)
    penalties = [Gwei(0)] * len(state.validators)
    participating = get_unslashed_participating_indices(state, flag_index, get_previous_epoch(state))
    weight = PARTICIPATION_FLAG_WEIGHTS[flag_index]
    participating_increments = get_total_balance(state, participating) // EFFECTIVE_BALANCE_INCREMENT
    active_increments = get_total_active_balance(state) // EFFECTIVE_BALANCE_INCREMENT
    is_leaking = is_in_inactivity_leak(state)
    for index in get_eligible_validator_indices(state):
        base_reward = get_base_reward(state, index)
        if index in participating:
            if not is_leaking:
                numerator = base_reward * weight * participating_increments
                rewards[index] = Gwei(numerator // (active_increments * WEIGHT_DENOMINATOR))
        elif flag_index != TIMELY_HEAD_FLAG_INDEX:
            penalties[index] = Gwei(base_reward * weight // WEIGHT_DENOMINATOR)
    return rewards, penalties


def get_inactivity_penalty_deltas(state: BeaconState) -> Tuple[Sequence[Gwei], Sequence[Gwei]]:
    rewards = [Gwei(0)] * len(state.validators)
    penalties = [Gwei(0)] * len(state.validators)
    on_target = get_unslashed_participating_indices(state, TIMELY_TARGET_FLAG_INDEX, get_previous_epoch(state))
    denominator = config.INACTIVITY_SCORE_BIAS * INACTIVITY_PENALTY_QUOTIENT_BELLATRIX
    for index in get_eligible_validator_indices(state):
        if index not in on_target:
            numerator = state.validators[index].effective_balance * state.inactivity_scores[index]
            penalties[index] = Gwei(numerator // denominator)
    return rewards, penalties


def process_rewards_and_penalties(state: BeaconState) -> None:
    if get_current_epoch(state) == GENESIS_EPOCH:
        return
    deltas = [get_flag_index_deltas(state, flag_index) for flag_index in range(len(PARTICIPATION_FLAG_WEIGHTS))]
    deltas.append(get_inactivity_penalty_deltas(state))
    balances = [int(balance) for balance in state.balances]
    for rewards, penalties in deltas:
        for index, (reward, penalty) in enumerate(zip(rewards, penalties)):
            balances[index] = max(balances[index] + int(reward) - int(penalty), 0)
    for index, balance in enumerate(balances):
        if state.balances[index] != balance:
            state.balances[index] = balance


def process_registry_updates(state: BeaconState) -> None:
    current_epoch = get_current_epoch(state)
    activation_epoch = compute_activation_exit_epoch(current_epoch)
    for index, validator in enumerate(state.validators):
        if is_eligible_for_activation_queue(validator):
            validator.activation_eligibility_epoch = current_epoch + 1
        elif is_active_validator(validator, current_epoch) and validator.effective_balance <= config.EJECTION_BALANCE:
            initiate_validator_exit(state, ValidatorIndex(index))
        elif is_eligible_for_activation(state, validator):
            validator.activation_epoch = activation_epoch


def process_slashings(state: BeaconState) -> None:
    epoch = get_current_epoch(state)
    total_balance = get_total_active_balance(state)
    total_slashings = sum(int(amount) for amount in state.slashings)
    adjusted = min(total_slashings * int(PROPORTIONAL_SLASHING_MULTIPLIER_BELLATRIX), int(total_balance))
    penalty_per_increment = adjusted // int(total_balance // EFFECTIVE_BALANCE_INCREMENT)
    for index, validator in enumerate(state.validators):
        if validator.slashed and epoch + EPOCHS_PER_SLASHINGS_VECTOR // 2 == validator.withdrawable_epoch:
            increments = validator.effective_balance // EFFECTIVE_BALANCE_INCREMENT
            decrease_balance(state, ValidatorIndex(index), Gwei(penalty_per_increment * int(increments)))


def process_eth1_data_reset(state: BeaconState) -> None:
    if Epoch(get_current_epoch(state) + 1) % EPOCHS_PER_ETH1_VOTING_PERIOD == 0:
        state.eth1_data_votes = []


def apply_pending_deposit(state: BeaconState, deposit: PendingDeposit) -> None:
    pubkeys = [validator.pubkey for validator in state.validators]
    if deposit.pubkey in pubkeys:
        increase_balance(state, ValidatorIndex(pubkeys.index(deposit.pubkey)), deposit.amount)
    elif is_valid_deposit_signature(deposit.pubkey, deposit.withdrawal_credentials, deposit.amount, deposit.signature):
        add_validator_to_registry(state, deposit.pubkey, deposit.withdrawal_credentials, deposit.amount)


def is_valid_deposit_signature(
    pubkey: BLSPubkey, withdrawal_credentials: Bytes32, amount: uint64, signature: BLSSignature
) -> bool:
    message = DepositMessage(pubkey=pubkey, withdrawal_credentials=withdrawal_credentials, amount=amount)
    return bls.Verify(pubkey, compute_signing_root(message, compute_domain(DOMAIN_DEPOSIT)), signature)


def get_validator_from_deposit(pubkey: BLSPubkey, withdrawal_credentials: Bytes32, amount: uint64) -> Validator:
    validator = Validator(
        pubkey=pubkey,
        withdrawal_credentials=withdrawal_credentials,
        activation_eligibility_epoch=FAR_FUTURE_EPOCH,
        activation_epoch=FAR_FUTURE_EPOCH,
        exit_epoch=FAR_FUTURE_EPOCH,
        withdrawable_epoch=FAR_FUTURE_EPOCH,
    )
    rounded = amount - amount % EFFECTIVE_BALANCE_INCREMENT
    validator.effective_balance = min(rounded, get_max_effective_balance(validator))
    return validator


def add_validator_to_registry(
    state: BeaconState, pubkey: BLSPubkey, withdrawal_credentials: Bytes32, amount: uint64
) -> None:
    state.validators.append(get_validator_from_deposit(pubkey, withdrawal_credentials, amount))
    state.balances.append(amount)
    state.previous_epoch_participation.append(ParticipationFlags(0))
    state.current_epoch_participation.append(ParticipationFlags(0))
    state.inactivity_scores.append(uint64(0))


def process_pending_deposits(state: BeaconState) -> None:
    next_epoch = Epoch(get_current_epoch(state) + 1)
    available = int(state.deposit_balance_to_consume) + int(get_activation_exit_churn_limit(state))
    processed_amount = 0
    next_deposit_index = 0
    postponed: list[PendingDeposit] = []
    is_churn_limit_reached = False
    finalized_slot = compute_start_slot_at_epoch(state.finalized_checkpoint.epoch)
    by_pubkey = {bytes(validator.pubkey): validator for validator in state.validators}

    for deposit in state.pending_deposits:
        # Deposits of the execution layer wait until those of the old bridge are all in.
        is_request = deposit.slot > GENESIS_SLOT
        if is_request and state.eth1_deposit_index < state.deposit_requests_start_index:
            break
        if deposit.slot > finalized_slot or next_deposit_index >= MAX_PENDING_DEPOSITS_PER_EPOCH:
            break
        validator = by_pubkey.get(bytes(deposit.pubkey))
        is_exited = validator is not None and validator.exit_epoch < FAR_FUTURE_EPOCH
        is_withdrawn = validator is not None and validator.withdrawable_epoch < next_epoch
        if is_withdrawn:
            apply_pending_deposit(state, deposit)
        elif is_exited:
            postponed.append(deposit)
        else:
            is_churn_limit_reached = processed_amount + int(deposit.amount) > available
            if is_churn_limit_reached:
                break
            processed_amount += int(deposit.amount)
            apply_pending_deposit(state, deposit)
            by_pubkey = {bytes(validator.pubkey): validator for validator in state.validators}
        next_deposit_index += 1

    state.pending_deposits = list(state.pending_deposits)[next_deposit_index:] + postponed
    state.deposit_balance_to_consume = Gwei(available - processed_amount if is_churn_limit_reached else 0)


def process_pending_consolidations(state: BeaconState) -> None:
    next_epoch = Epoch(get_current_epoch(state) + 1)
    done = 0
    for pending in state.pending_consolidations:
        source = state.validators[pending.source_index]
        if not source.slashed:
            if source.withdrawable_epoch > next_epoch:
                break
            amount = min(state.balances[pending.source_index], source.effective_balance)
            decrease_balance(state, pending.source_index, amount)
            increase_balance(state, pending.target_index, amount)
        done += 1
    state.pending_consolidations = list(state.pending_consolidations)[done:]


def process_effective_balance_updates(state: BeaconState) -> None:
    hysteresis = EFFECTIVE_BALANCE_INCREMENT // HYSTERESIS_QUOTIENT
    downward = hysteresis * HYSTERESIS_DOWNWARD_MULTIPLIER
    upward = hysteresis * HYSTERESIS_UPWARD_MULTIPLIER
    for index, validator in enumerate(state.validators):
        balance = state.balances[index]
        is_below = balance + downward < validator.effective_balance
        is_above = validator.effective_balance + upward < balance
        if is_below or is_above:
            rounded = Gwei(balance - balance % EFFECTIVE_BALANCE_INCREMENT)
            validator.effective_balance = min(rounded, get_max_effective_balance(validator))


def process_slashings_reset(state: BeaconState) -> None:
    state.slashings[Epoch(get_current_epoch(state) + 1) % EPOCHS_PER_SLASHINGS_VECTOR] = Gwei(0)


def process_randao_mixes_reset(state: BeaconState) -> None:
    current_epoch = get_current_epoch(state)
    state.randao_mixes[Epoch(current_epoch + 1) % EPOCHS_PER_HISTORICAL_VECTOR] = get_randao_mix(state, current_epoch)


def process_historical_summaries_update(state: BeaconState) -> None:
    if Epoch(get_current_epoch(state) + 1) % (SLOTS_PER_HISTORICAL_ROOT // SLOTS_PER_EPOCH) == 0:
        state.historical_summaries.append(
            HistoricalSummary(
                block_summary_root=hash_tree_root(state.block_roots),
                state_summary_root=hash_tree_root(state.state_roots),
            )
        )


def process_participation_flag_updates(state: BeaconState) -> None:
    state.previous_epoch_participation = state.current_epoch_participation
    state.current_epoch_participation = [ParticipationFlags(0)] * len(state.validators)


def process_sync_committee_updates(state: BeaconState) -> None:
    if Epoch(get_current_epoch(state) + 1) % EPOCHS_PER_SYNC_COMMITTEE_PERIOD == 0:
        state.current_sync_committee = state.next_sync_committee
        state.next_sync_committee = get_next_sync_committee(state)


def process_proposer_lookahead(state: BeaconState) -> None:
    last_epoch = Epoch(get_current_epoch(state) + MIN_SEED_LOOKAHEAD + 1)
    kept = list(state.proposer_lookahead)[SLOTS_PER_EPOCH:]
    state.proposer_lookahead = kept + list(get_beacon_proposer_indices(state, last_epoch))
