# Fork choice of Fulu. Part of a generated module: no imports here.


@dataclass(eq=True, frozen=True)
class LatestMessage:
    epoch: Epoch
    root: Root


@dataclass
class Store:
    time: uint64
    genesis_time: uint64
    justified_checkpoint: Checkpoint
    finalized_checkpoint: Checkpoint
    unrealized_justified_checkpoint: Checkpoint
    unrealized_finalized_checkpoint: Checkpoint
    proposer_boost_root: Root
    equivocating_indices: Set[ValidatorIndex]
    blocks: Dict[Root, BeaconBlock] = field(default_factory=dict)
    block_states: Dict[Root, BeaconState] = field(default_factory=dict)
    block_timeliness: Dict[Root, bool] = field(default_factory=dict)
    checkpoint_states: Dict[Checkpoint, BeaconState] = field(default_factory=dict)
    latest_messages: Dict[ValidatorIndex, LatestMessage] = field(default_factory=dict)
    unrealized_justifications: Dict[Root, Checkpoint] = field(default_factory=dict)


def get_forkchoice_store(anchor_state: BeaconState, anchor_block: BeaconBlock) -> Store:
    assert anchor_block.state_root == hash_tree_root(anchor_state)
    anchor_root = Root(hash_tree_root(anchor_block))
    checkpoint = Checkpoint(epoch=get_current_epoch(anchor_state), root=anchor_root)
    slots_time = int(anchor_state.slot) * int(config.SLOT_DURATION_MS) // 1000
    return Store(
        time=uint64(anchor_state.genesis_time + slots_time),
        genesis_time=anchor_state.genesis_time,
        justified_checkpoint=checkpoint,
        finalized_checkpoint=checkpoint,
        unrealized_justified_checkpoint=checkpoint,
        unrealized_finalized_checkpoint=checkpoint,
        proposer_boost_root=Root(),
        equivocating_indices=set(),
        blocks={anchor_root: anchor_block.copy()},
        block_states={anchor_root: anchor_state.copy()},
        checkpoint_states={checkpoint: anchor_state.copy()},
        unrealized_justifications={anchor_root: checkpoint},
    )


def get_slot_component_duration_ms(basis_points: uint64) -> uint64:
    return uint64(basis_points * config.SLOT_DURATION_MS // BASIS_POINTS)


def get_current_slot(store: Store) -> Slot:
    return Slot(GENESIS_SLOT + (store.time - store.genesis_time) * 1000 // config.SLOT_DURATION_MS)


def get_current_store_epoch(store: Store) -> Epoch:
    return compute_epoch_at_slot(get_current_slot(store))


def get_ancestor(store: Store, root: Root, slot: Slot) -> Root:
    while store.blocks[root].slot > slot:
        root = store.blocks[root].parent_root
    return root


def get_checkpoint_block(store: Store, root: Root, epoch: Epoch) -> Root:
    return get_ancestor(store, root, compute_start_slot_at_epoch(epoch))


def calculate_committee_fraction(state: BeaconState, committee_percent: int) -> Gwei:
    return Gwei(int(get_total_active_balance(state) // SLOTS_PER_EPOCH) * committee_percent // 100)


def get_proposer_score(store: Store) -> Gwei:
    return calculate_committee_fraction(
        store.checkpoint_states[store.justified_checkpoint], int(config.PROPOSER_SCORE_BOOST)
    )


def get_weight(store: Store, root: Root) -> Gwei:
    state = store.checkpoint_states[store.justified_checkpoint]
    slot = store.blocks[root].slot
    score = 0
    for index in get_active_validator_indices(state, get_current_epoch(state)):
        is_counted = index in store.latest_messages and index not in store.equivocating_indices
        if is_counted and not state.validators[index].slashed:
            if get_ancestor(store, store.latest_messages[index].root, slot) == root:
                score += int(state.validators[index].effective_balance)
    if store.proposer_boost_root != Root() and get_ancestor(store, store.proposer_boost_root, slot) == root:
        score += int(get_proposer_score(store))
    return Gwei(score)


def get_voting_source(store: Store, block_root: Root) -> Checkpoint:
    if get_current_store_epoch(store) > compute_epoch_at_slot(store.blocks[block_root].slot):
        return store.unrealized_justifications[block_root]
    return store.block_states[block_root].current_justified_checkpoint


def is_viable_leaf(store: Store, block_root: Root) -> bool:
    voting_source = get_voting_source(store, block_root)
    justified, finalized = store.justified_checkpoint, store.finalized_checkpoint
    is_justified = (
        justified.epoch == GENESIS_EPOCH
        or voting_source.epoch == justified.epoch
        or voting_source.epoch + 2 >= get_current_store_epoch(store)
    )
    is_finalized = finalized.epoch == GENESIS_EPOCH or finalized.root == get_checkpoint_block(
        store, block_root, finalized.epoch
    )
    return bool(is_justified and is_finalized)


def get_filtered_block_tree(store: Store) -> Dict[Root, BeaconBlock]:
    """All blocks from the justified one on from which a viable leaf descends."""
    children: Dict[Root, list[Root]] = {}
    for root, block in store.blocks.items():
        children.setdefault(block.parent_root, []).append(root)
    blocks: Dict[Root, BeaconBlock] = {}

    def is_viable(root: Root) -> bool:
        if root in children:
            viable = [is_viable(child) for child in children[root]]
            result = any(viable)
        else:
            result = is_viable_leaf(store, root)
        if result:
            blocks[root] = store.blocks[root]
        return result

    is_viable(store.justified_checkpoint.root)
    return blocks


def get_head(store: Store) -> Root:
    blocks = get_filtered_block_tree(store)
    head = store.justified_checkpoint.root
    while True:
        children = [root for root, block in blocks.items() if block.parent_root == head]
        if len(children) == 0:
            return head
        head = max(children, key=lambda root: (get_weight(store, root), bytes(root)))


def update_checkpoints(store: Store, justified_checkpoint: Checkpoint, finalized_checkpoint: Checkpoint) -> None:
    if justified_checkpoint.epoch > store.justified_checkpoint.epoch:
        store.justified_checkpoint = justified_checkpoint
    if finalized_checkpoint.epoch > store.finalized_checkpoint.epoch:
        store.finalized_checkpoint = finalized_checkpoint


def compute_pulled_up_tip(store: Store, block_root: Root) -> None:
    state = store.block_states[block_root].copy()
    process_justification_and_finalization(state)
    justified, finalized = state.current_justified_checkpoint, state.finalized_checkpoint
    store.unrealized_justifications[block_root] = justified
    if justified.epoch > store.unrealized_justified_checkpoint.epoch:
        store.unrealized_justified_checkpoint = justified
    if finalized.epoch > store.unrealized_finalized_checkpoint.epoch:
        store.unrealized_finalized_checkpoint = finalized
    if compute_epoch_at_slot(store.blocks[block_root].slot) < get_current_store_epoch(store):
        update_checkpoints(store, justified, finalized)


def on_tick_per_slot(store: Store, time: uint64) -> None:
    previous_slot = get_current_slot(store)
    store.time = time
    current_slot = get_current_slot(store)
    if current_slot > previous_slot:
        store.proposer_boost_root = Root()
        if current_slot % SLOTS_PER_EPOCH == 0:
            update_checkpoints(store, store.unrealized_justified_checkpoint, store.unrealized_finalized_checkpoint)


def on_tick(store: Store, time: uint64) -> None:
    seconds_per_slot = config.SLOT_DURATION_MS // 1000
    tick_slot = (time - store.genesis_time) // seconds_per_slot
    while get_current_slot(store) < tick_slot:
        on_tick_per_slot(store, uint64(store.genesis_time + (get_current_slot(store) + 1) * seconds_per_slot))
    on_tick_per_slot(store, time)


def on_block(store: Store, signed_block: SignedBeaconBlock) -> None:
    block = signed_block.message
    assert block.parent_root in store.block_states
    assert get_current_slot(store) >= block.slot
    finalized = store.finalized_checkpoint
    assert block.slot > compute_start_slot_at_epoch(finalized.epoch)
    assert finalized.root == get_checkpoint_block(store, block.parent_root, finalized.epoch)
    state = store.block_states[block.parent_root].copy()
    state_transition(state, signed_block)

    block_root = Root(hash_tree_root(block))
    store.blocks[block_root] = block
    store.block_states[block_root] = state
    time_into_slot_ms = (store.time - store.genesis_time) * 1000 % config.SLOT_DURATION_MS
    is_before_attestations = time_into_slot_ms < get_slot_component_duration_ms(config.ATTESTATION_DUE_BPS)
    is_timely = bool(get_current_slot(store) == block.slot and is_before_attestations)
    store.block_timeliness[block_root] = is_timely
    if is_timely and store.proposer_boost_root == Root():
        store.proposer_boost_root = block_root
    update_checkpoints(store, state.current_justified_checkpoint, state.finalized_checkpoint)
    compute_pulled_up_tip(store, block_root)


def validate_on_attestation(store: Store, attestation: Attestation, is_from_block: bool) -> None:
    data = attestation.data
    current_epoch = get_current_store_epoch(store)
    if not is_from_block:
        assert data.target.epoch in (current_epoch, max(current_epoch, Epoch(1)) - 1)
    assert data.target.epoch == compute_epoch_at_slot(data.slot)
    assert data.target.root in store.blocks
    assert data.beacon_block_root in store.blocks
    assert store.blocks[data.beacon_block_root].slot <= data.slot
    assert data.target.root == get_checkpoint_block(store, data.beacon_block_root, data.target.epoch)
    assert get_current_slot(store) >= data.slot + 1


def store_target_checkpoint_state(store: Store, target: Checkpoint) -> None:
    if target not in store.checkpoint_states:
        state = store.block_states[target.root].copy()
        if state.slot < compute_start_slot_at_epoch(target.epoch):
            process_slots(state, compute_start_slot_at_epoch(target.epoch))
        store.checkpoint_states[target] = state


def update_latest_messages(store: Store, attesting_indices: Sequence[ValidatorIndex], attestation: Attestation) -> None:
    message = LatestMessage(epoch=attestation.data.target.epoch, root=attestation.data.beacon_block_root)
    for index in attesting_indices:
        is_newer = index not in store.latest_messages or message.epoch > store.latest_messages[index].epoch
        if is_newer and index not in store.equivocating_indices:
            store.latest_messages[index] = message


def on_attestation(store: Store, attestation: Attestation, is_from_block: bool = False) -> None:
    validate_on_attestation(store, attestation, is_from_block)
    store_target_checkpoint_state(store, attestation.data.target)
    target_state = store.checkpoint_states[attestation.data.target]
    indexed_attestation = get_indexed_attestation(target_state, attestation)
    assert is_valid_indexed_attestation(target_state, indexed_attestation)
    update_latest_messages(store, indexed_attestation.attesting_indices, attestation)


def on_attester_slashing(store: Store, attester_slashing: AttesterSlashing) -> None:
    attestation_1 = attester_slashing.attestation_1
    attestation_2 = attester_slashing.attestation_2
    assert is_slashable_attestation_data(attestation_1.data, attestation_2.data)
    state = store.block_states[store.justified_checkpoint.root]
    assert is_valid_indexed_attestation(state, attestation_1)
    assert is_valid_indexed_attestation(state, attestation_2)
    store.equivocating_indices.update(set(attestation_1.attesting_indices) & set(attestation_2.attesting_indices))
