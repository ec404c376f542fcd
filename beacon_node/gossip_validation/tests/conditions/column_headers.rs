//! Data columns by what their headers say, and by what they hold.

use crate::columns::{columns_of, with_blobs, with_columns};
use crate::world::*;
use beacon_chain::ImportError;
use chain_harness::BlockPlan;
use data_columns::DataColumnError as Malformed;
use execution_layer::{ExecutionConfig, ExecutionLayer, JwtSecret};
use gossip_validation::DataColumnGossipError as Error;
use gossip_validation::*;
use mock_execution::{GenesisParameters, MockConfig, MockExecution};
use runtime::Priority;
use ssz_types::VariableList;
use state_transition::block::BlockSignatures;
use state_transition::block::header::block_signing_root;
use std::sync::Arc;
use types::*;

type Column = DataColumnSidecar<Minimal>;
type Fulu = DataColumnSidecarFulu<Minimal>;

/// What is wrong, the wrong column of an index, and whether that is what was found.
type Case<'a> = (&'a str, &'a dyn Fn(usize) -> Column, fn(&Error) -> bool);

impl World {
    /// Hands in a column that came on its subnet.
    async fn column(&self, column: &Column) -> Result<VerifiedDataColumn<Minimal>, Error> {
        let subnet = column.index() % self.producer.spec.data_column_sidecar_subnet_count;
        self.gossip
            .verify_data_column(Arc::new(column.clone()), Some(subnet))
            .await
    }

    async fn refused(&self, column: &Column) -> (Error, Verdict) {
        let Err(error) = self.column(column).await else {
            panic!("column {} is accepted", column.index());
        };
        let verdict = error.verdict();
        (error, verdict)
    }

    /// The columns of a solo validator's block.
    fn columns(&self, block: BeaconBlock<Minimal>) -> Vec<Column> {
        let state = &self.producer.state;
        columns_of(&self.producer.sign(state, block, Signers::default()))
    }

    /// The next block, with a blob.
    fn next_with_blob(&self) -> BeaconBlock<Minimal> {
        with_blobs(&self.producer.build(&everybody, BlockPlan::default()).unwrap(), 1)
    }
}

/// Each case refuses a column of an index of its own, of which the right one is accepted afterwards.
async fn check_rejected(world: &World, right: &[Column], cases: &[Case<'_>]) {
    for (index, (why, wrong, is_expected)) in cases.iter().enumerate() {
        let (error, verdict) = world.refused(&wrong(index)).await;
        assert!(is_expected(&error), "{why}: {error}");
        assert_eq!(verdict, Verdict::Reject, "{why}");
        let accepted = world.column(&right[index]).await;
        assert!(accepted.is_ok(), "after {why}: {}", accepted.unwrap_err());
    }
}

#[tokio::test]
async fn columns_of_a_wrong_layout_or_with_wrong_cells_are_rejected_and_do_not_keep_out_right_ones() {
    let (world, _, right) = with_columns(2).await;
    let changed = |index: usize, change: fn(&mut Fulu)| {
        let Column::Fulu(mut column) = right[index].clone() else {
            unreachable!()
        };
        change(&mut column);
        Column::Fulu(column)
    };
    let cases: &[Case<'_>] = &[
        (
            "no such column",
            &|index| changed(index, |column| column.index = 128),
            |error| matches!(error, Error::Invalid(Malformed::ColumnIndex { limit: 128, found: 128 })),
        ),
        (
            "nothing in it",
            &|index| {
                changed(index, |column| {
                    column.column = VariableList::empty();
                    column.kzg_commitments = VariableList::empty();
                    column.kzg_proofs = VariableList::empty();
                })
            },
            |error| matches!(error, Error::Invalid(Malformed::NoCommitments)),
        ),
        (
            "a cell is missing",
            &|index| {
                changed(index, |column| {
                    column.column = VariableList::new(column.column[..1].to_vec()).unwrap()
                })
            },
            |error| {
                matches!(
                    error,
                    Error::Invalid(Malformed::LengthMismatch {
                        cells: 1,
                        commitments: 2,
                        proofs: 2
                    })
                )
            },
        ),
        (
            "a proof is missing",
            &|index| {
                changed(index, |column| {
                    column.kzg_proofs = VariableList::new(column.kzg_proofs[..1].to_vec()).unwrap();
                })
            },
            |error| {
                matches!(
                    error,
                    Error::Invalid(Malformed::LengthMismatch {
                        cells: 2,
                        commitments: 2,
                        proofs: 1
                    })
                )
            },
        ),
        (
            "a commitment is missing",
            &|index| {
                changed(index, |column| {
                    column.kzg_commitments = VariableList::new(column.kzg_commitments[..1].to_vec()).unwrap();
                })
            },
            |error| {
                matches!(
                    error,
                    Error::Invalid(Malformed::LengthMismatch {
                        cells: 2,
                        commitments: 1,
                        proofs: 2
                    })
                )
            },
        ),
        (
            "a blob is left out",
            &|index| {
                changed(index, |column| {
                    column.column = VariableList::new(column.column[..1].to_vec()).unwrap();
                    column.kzg_commitments = VariableList::new(column.kzg_commitments[..1].to_vec()).unwrap();
                    column.kzg_proofs = VariableList::new(column.kzg_proofs[..1].to_vec()).unwrap();
                })
            },
            |error| matches!(error, Error::Invalid(Malformed::InclusionProof)),
        ),
        (
            "another path to the body",
            &|index| changed(index, |column| column.kzg_commitments_inclusion_proof[2] = Root::ZERO),
            |error| matches!(error, Error::Invalid(Malformed::InclusionProof)),
        ),
        (
            "another cell",
            &|index| changed(index, |column| column.column[1][31] ^= 1),
            |error| matches!(error, Error::Invalid(Malformed::InvalidProof)),
        ),
        (
            "a proof of something else",
            &|index| {
                changed(index, |column| {
                    column.kzg_proofs[1] = KzgProof::new(column.kzg_commitments[1].0);
                })
            },
            |error| matches!(error, Error::Invalid(Malformed::InvalidProof)),
        ),
        (
            "a proof that is no point",
            &|index| changed(index, |column| column.kzg_proofs[0] = KzgProof::ZERO),
            |error| matches!(error, Error::Invalid(Malformed::Kzg(_))),
        ),
        (
            "the layout of another fork",
            &|index| {
                let Column::Fulu(column) = right[index].clone() else {
                    unreachable!()
                };
                let header = column.signed_block_header;
                Column::Dvt(DataColumnSidecarDvt {
                    index: column.index,
                    column: column.column,
                    kzg_commitments: column.kzg_commitments,
                    kzg_proofs: column.kzg_proofs,
                    signed_block_header: SignedBeaconBlockHeaderDvt {
                        message: header.message,
                        signature: header.signature,
                        signers: Signers::default(),
                        proofs: SchemeProofs::empty(),
                    },
                    kzg_commitments_inclusion_proof: column.kzg_commitments_inclusion_proof,
                })
            },
            |error| {
                matches!(
                    error,
                    Error::Shared(SharedError::WrongFork {
                        expected: ForkName::Fulu,
                        found: ForkName::Dvt
                    })
                )
            },
        ),
    ];
    check_rejected(&world, &right, cases).await;

    let index = cases.len();
    let column = Arc::new(right[index].clone());
    let (here, elsewhere) = (index as u64, index as u64 + 1);
    let error = world
        .gossip
        .verify_data_column(Arc::clone(&column), Some(elsewhere))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Subnet { expected, found } if (expected, found) == (here, elsewhere)),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Reject);
    assert!(world.gossip.verify_data_column(column, Some(here)).await.is_ok());
}

#[tokio::test]
async fn columns_with_a_wrong_header_are_rejected_and_do_not_keep_out_right_ones() {
    let (world, signed, right) = with_columns(1).await;
    let proposer = signed.message().proposer_index();
    let other = ValidatorIndex::new((proposer.as_u64() + 1) % 33);
    // Of a block with this change, signed by its proposer.
    let of_block = |index: usize, change: &dyn Fn(&mut BeaconBlock<Minimal>)| {
        let mut block = signed.message().cloned();
        change(&mut block);
        world.columns(block).swap_remove(index)
    };
    // With a change that its signature does not know of.
    let with_header = |index: usize, change: &dyn Fn(&mut SignedBeaconBlockHeaderFulu)| {
        let Column::Fulu(mut column) = right[index].clone() else {
            unreachable!()
        };
        change(&mut column.signed_block_header);
        Column::Fulu(column)
    };
    let cases: &[Case<'_>] = &[
        (
            "of the slot of its parent",
            &|index| of_block(index, &|block| *block.slot_mut() = Slot::new(2)),
            |error| matches!(error, Error::NotLaterThanParent { slot, parent } if (*slot, *parent) == (Slot::new(2), Slot::new(2))),
        ),
        (
            "of a slot before its parent",
            &|index| of_block(index, &|block| *block.slot_mut() = Slot::new(1)),
            |error| matches!(error, Error::NotLaterThanParent { slot, parent } if (*slot, *parent) == (Slot::new(1), Slot::new(2))),
        ),
        (
            "by a validator that is not the proposer",
            &|index| of_block(index, &|block| *block.proposer_index_mut() = other),
            |error| matches!(error, Error::Proposer { expected, found } if found.as_u64() == (expected.as_u64() + 1) % 33),
        ),
        (
            "by nobody",
            &|index| with_header(index, &|header| header.message.proposer_index = ValidatorIndex::new(33)),
            |error| matches!(error, Error::Proposer { found, .. } if found.as_u64() == 33),
        ),
        (
            "signed by another validator",
            &|index| {
                with_header(index, &|header| {
                    let state = &world.producer.state;
                    let root = block_signing_root(state, signed.slot(), signed.block_root());
                    let key = state.validators().get(other.as_u64() as usize).unwrap().pubkey;
                    header.signature = world.producer.keys.get(&key).sign(&root).to_bytes();
                })
            },
            |error| matches!(error, Error::Shared(SharedError::Signature(_))),
        ),
        (
            "with a signature that is none",
            &|index| with_header(index, &|header| header.signature = SignatureBytes::ZERO),
            |error| matches!(error, Error::Shared(SharedError::Signature(_))),
        ),
        (
            "changed after it was signed",
            &|index| with_header(index, &|header| header.message.state_root = Root::ZERO),
            |error| matches!(error, Error::Shared(SharedError::Signature(_))),
        ),
    ];
    check_rejected(&world, &right, cases).await;
}

#[tokio::test]
async fn a_conflicting_column_is_ignored_once_one_is_seen_under_its_key() {
    let (world, signed, right) = with_columns(1).await;
    let mut block = signed.message().cloned();
    match &mut block {
        BeaconBlock::Fulu(block) => block.body.graffiti = Hash32::repeat_byte(1),
        BeaconBlock::Dvt(_) => unreachable!(),
    }
    let other = world.columns(block);
    let proposer = signed.message().proposer_index();
    let is_seen = |error: &Error, index: ColumnIndex| match error {
        Error::NotFirst {
            column,
            slot,
            proposer: by,
        } => (*column, *slot, *by) == (index, signed.slot(), proposer),
        _ => false,
    };
    world.column(&right[3]).await.unwrap();
    let (error, verdict) = world.refused(&other[3]).await;
    assert!(is_seen(&error, 3) && verdict == Verdict::Ignore, "{error}");
    // The other way round for another column, as it is a key of its own.
    world.column(&other[4]).await.unwrap();
    let (error, verdict) = world.refused(&right[4]).await;
    assert!(is_seen(&error, 4) && verdict == Verdict::Ignore, "{error}");
    // One that was made here counts as seen.
    assert!(world.gossip.note_data_column(&right[5], None));
    let (error, verdict) = world.refused(&other[5]).await;
    assert!(is_seen(&error, 5) && verdict == Verdict::Ignore, "{error}");
}

#[tokio::test]
async fn a_column_of_a_future_slot_is_ignored_until_its_slot_has_come() {
    let (world, signed, right) = with_columns(1).await;
    let start_ms = world.clock.slot_start_ms(signed.slot());
    // Clocks differ by half a second at most.
    world.clock.set_ms(start_ms - 501);
    let (error, verdict) = world.refused(&right[0]).await;
    assert!(
        matches!(error, Error::Shared(SharedError::FutureSlot { slot, current }) if (slot, current) == (signed.slot(), Slot::new(2))),
        "{error}"
    );
    assert_eq!(verdict, Verdict::Ignore);
    world.clock.set_ms(start_ms - 500);
    world.column(&right[0]).await.unwrap();
}

#[tokio::test]
async fn a_column_whose_parent_is_unknown_is_ignored_and_accepted_when_the_parent_has_come() {
    let mut world = World::of_fork(ForkName::Fulu);
    world.step().await;
    let parent = Arc::new(world.producer.step(&everybody, BlockPlan::default()).unwrap());
    let block = world.next_with_blob();
    world.clock.set_slot(block.slot());
    let column = world.columns(block).swap_remove(0);
    let (error, verdict) = world.refused(&column).await;
    assert_eq!(
        (error.unknown_block(), verdict),
        (Some(parent.block_root()), Verdict::Ignore)
    );
    world.chain.process_block(parent, BlockSignatures::All).await.unwrap();
    world.column(&column).await.unwrap();
}

#[tokio::test]
async fn a_column_on_an_invalid_block_is_rejected_and_one_on_an_invalid_payload_ignored() {
    let (world, signed, right) = with_columns(1).await;
    let parent = signed.message().parent_root();
    world.gossip.note_invalid_payload(parent);
    let (error, verdict) = world.refused(&right[0]).await;
    assert!(
        matches!(error, Error::Shared(SharedError::InvalidPayload(root)) if root == parent),
        "{error}"
    );
    assert_eq!(verdict, Verdict::Ignore);
    // The execution client has changed its mind.
    world.gossip.note_imported_block(&parent);
    world.column(&right[0]).await.unwrap();
    world.gossip.note_invalid_payload(parent);
    world.gossip.note_invalid_block(parent);
    let (error, verdict) = world.refused(&right[1]).await;
    assert!(
        matches!(error, Error::Shared(SharedError::InvalidBlock(root)) if root == parent),
        "{error}"
    );
    assert_eq!(verdict, Verdict::Reject);
}

#[tokio::test]
async fn what_builds_on_a_block_whose_payload_was_found_invalid_after_its_import_is_ignored() {
    const SECRET: JwtSecret = JwtSecret::new([7; 32]);
    let genesis = mock_execution::genesis_block(&GenesisParameters::at(1_700_000_000));
    let mock = MockExecution::start(MockConfig::new(*SECRET.as_bytes(), genesis))
        .await
        .unwrap();
    let layer = ExecutionLayer::new(ExecutionConfig::new(mock.url(), SECRET)).unwrap();
    mock.set_faults(|faults| faults.offline = true);
    let mut world = World::with(ForkName::Fulu, Some(Arc::new(layer)), |_| {});
    world.step().await;
    let parent = world.step().await.block_root();
    let block = world.next_with_blob();
    world.clock.set_slot(block.slot());
    let signed = Arc::new(world.producer.sign(&world.producer.state, block, Signers::default()));
    let columns = columns_of(&signed);
    world.column(&columns[0]).await.unwrap();

    // The payloads of the harness have hashes that are none: the client says so when it is there.
    mock.set_faults(|faults| faults.offline = false);
    world.chain.reverify_head().await.unwrap();
    assert_ne!(world.chain.head().root, parent);
    let (error, verdict) = world.refused(&columns[1]).await;
    assert!(
        matches!(error, Error::Shared(SharedError::InvalidPayload(root)) if root == parent),
        "{error}"
    );
    assert_eq!(verdict, Verdict::Ignore);
    let error = world.gossip.verify_block(signed).await.unwrap_err();
    assert!(
        matches!(error, BlockGossipError::Shared(SharedError::InvalidPayload(root)) if root == parent),
        "{error}"
    );
    assert_eq!(error.verdict(), Verdict::Ignore);
}

#[tokio::test]
async fn columns_beside_what_is_final_are_rejected_and_those_of_what_is_final_ignored() {
    let mut world = World::of_fork(ForkName::Fulu);
    let first = world.step().await;
    // A branch, and the block of the chain beside it.
    let plan = BlockPlan {
        vote_slots: 0,
        ..BlockPlan::default()
    };
    let beside = Arc::new(world.producer.build(&everybody, plan).unwrap());
    world.step().await;
    world
        .chain
        .process_block(Arc::clone(&beside), BlockSignatures::All)
        .await
        .unwrap();
    // Votes that make an epoch final count from the next epoch on.
    let mut blocks = Vec::new();
    while world.chain.fork_choice().unrealized_finalized_checkpoint().epoch == Epoch::new(0)
        || !world.producer.next_slot().is_epoch_start::<Minimal>()
    {
        blocks.push(world.step().await);
    }
    assert_eq!(world.chain.fork_choice().finalized_checkpoint().epoch, Epoch::new(0));
    let right = world.next_with_blob();
    world.clock.set_slot(right.slot());
    let on = |parent: Root| {
        let mut block = right.clone();
        *block.parent_root_mut() = parent;
        world.columns(block)
    };

    // The clock tells the fork choice, which drops branches when it chooses a head the next time.
    let known = world
        .chain
        .execute(Arc::clone(&first), BlockSignatures::All, Priority::BlockImport)
        .await;
    assert!(matches!(known, Err(ImportError::AlreadyKnown(_))));
    let finalized = world.chain.fork_choice().finalized_checkpoint();
    let finalized_slot = finalized.epoch.start_slot::<Minimal>();
    assert!(finalized_slot > first.slot());
    for (index, parent) in [beside.block_root(), first.block_root()].into_iter().enumerate() {
        let (error, verdict) = world.refused(&on(parent)[index]).await;
        assert!(
            matches!(error, Error::NotFinalizedDescendant(root) if root == finalized.root),
            "{error}"
        );
        assert_eq!(verdict, Verdict::Reject);
        world.column(&world.columns(right.clone())[index]).await.unwrap();
    }
    world.chain.recompute_head().await.unwrap();
    let (error, verdict) = world.refused(&on(beside.block_root())[2]).await;
    assert_eq!(
        (error.unknown_block(), verdict),
        (Some(beside.block_root()), Verdict::Ignore)
    );

    let of_slot = |slot: Slot| {
        let block = blocks.iter().find(|block| block.slot() == slot).unwrap();
        world.columns(with_blobs(block, 1)).swap_remove(0)
    };
    for age in [0u64, 1] {
        let of = finalized_slot.saturating_sub(age);
        let (error, verdict) = world.refused(&of_slot(of)).await;
        assert!(
            matches!(error, Error::AlreadyFinalized { slot, finalized } if (slot, finalized) == (of, finalized_slot)),
            "{error}"
        );
        assert_eq!(verdict, Verdict::Ignore);
    }
    world
        .column(&of_slot(finalized_slot.saturating_add(1u64)))
        .await
        .unwrap();
}
