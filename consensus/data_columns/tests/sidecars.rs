//! Columns of a block: made, recovered, and refused for what is wrong with them.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use data_columns::*;
use ssz_types::VariableList;
use types::*;

/// A block with two blobs that differ in every cell.
fn block_with_blobs(fork: ForkName) -> (SignedBeaconBlock<Minimal>, Vec<Blob<Minimal>>) {
    let blobs: Vec<Blob<Minimal>> = [3u64, 5]
        .into_iter()
        .map(|step| {
            let mut bytes = vec![0; 131_072];
            for (place, element) in (0u64..).zip(bytes.chunks_exact_mut(32)) {
                element[24..].copy_from_slice(&(place * place * step).to_be_bytes());
            }
            Blob::<Minimal>::new(bytes).unwrap()
        })
        .collect();
    let commitments: Vec<KzgCommitment> = blobs
        .iter()
        .map(|blob| blob_to_kzg_commitment::<Minimal>(blob).unwrap())
        .collect();
    let mut state = genesis(fork);
    let mut block = state_transition::genesis::genesis_block(&mut state).unwrap();
    match &mut block {
        SignedBeaconBlock::Fulu(block) => {
            block.message.body.blob_kzg_commitments = VariableList::new(commitments).unwrap();
        }
        SignedBeaconBlock::Dvt(block) => {
            block.message.body.blob_kzg_commitments = VariableList::new(commitments).unwrap();
        }
    }
    (block, blobs)
}

fn genesis(fork: ForkName) -> BeaconState<Minimal> {
    let mut spec = ChainSpec::fulu_genesis(PresetName::Minimal);
    if fork == ForkName::Dvt {
        spec.dvt_fork_epoch = Epoch::new(0);
    }
    let validators: Vec<_> = (0..16).map(|validator| chain_harness::solo(validator, 32)).collect();
    chain_harness::Chain::<Minimal>::new(&validators, chain_harness::Keys::new(16, &[], 0), spec).state
}

fn sidecars(fork: ForkName) -> Vec<DataColumnSidecar<Minimal>> {
    let (block, blobs) = block_with_blobs(fork);
    let proofs: Vec<KzgProof> = compute_matrix::<Minimal>(&blobs)
        .unwrap()
        .into_iter()
        .map(|entry| entry.kzg_proof)
        .collect();
    get_data_column_sidecars_from_block(&block, &blobs, &proofs).unwrap()
}

fn spec() -> ChainSpec {
    ChainSpec::fulu_genesis(PresetName::Minimal)
}

fn check(sidecar: &DataColumnSidecar<Minimal>) -> Result<(), DataColumnError> {
    verify_data_column_sidecar(sidecar, &spec())?;
    verify_data_column_sidecar_inclusion_proof(sidecar)?;
    verify_data_column_sidecar_kzg_proofs(sidecar)
}

#[test]
fn columns_of_a_block_made_here_are_good_on_both_forks() {
    for fork in [ForkName::Fulu, ForkName::Dvt] {
        let sidecars = sidecars(fork);
        assert_eq!(sidecars.len(), 128);
        for (index, sidecar) in sidecars.iter().enumerate() {
            assert_eq!(sidecar.index(), index as u64);
            verify_data_column_sidecar_inclusion_proof(sidecar).unwrap();
        }
        for sidecar in [&sidecars[0], &sidecars[64], &sidecars[127]] {
            check(sidecar).unwrap();
        }
    }
}

#[test]
fn half_of_the_columns_give_back_all_of_them() {
    let all = sidecars(ForkName::Fulu);
    let (mut indices, mut rows) = (Vec::new(), [Vec::new(), Vec::new()]);
    for sidecar in &all[64..] {
        indices.push(sidecar.index());
        for (row, cell) in rows.iter_mut().zip(sidecar.column().iter()) {
            row.push(cell.clone());
        }
    }
    let recovered: Vec<_> = rows
        .iter()
        .map(|cells| recover_cells_and_kzg_proofs::<Minimal>(&indices, cells).unwrap())
        .collect();
    assert_eq!(
        get_data_column_sidecars_from_column_sidecar(&all[70], &recovered).unwrap(),
        all
    );
    let error = get_data_column_sidecars_from_column_sidecar(&all[70], &recovered[..1]).unwrap_err();
    assert!(matches!(error, DataColumnError::LengthMismatch { .. }), "{error}");
}

#[test]
fn each_way_to_be_wrong_has_its_error() {
    let DataColumnSidecar::Fulu(good) = sidecars(ForkName::Fulu).swap_remove(3) else {
        unreachable!()
    };
    let error = |change: &dyn Fn(&mut DataColumnSidecarFulu<Minimal>)| {
        let mut sidecar = good.clone();
        change(&mut sidecar);
        check(&DataColumnSidecar::Fulu(sidecar)).unwrap_err()
    };
    let found = error(&|sidecar| sidecar.index = 128);
    assert_eq!(found, DataColumnError::ColumnIndex { limit: 128, found: 128 });
    let found = error(&|sidecar| sidecar.kzg_commitments = KzgCommitments::<Minimal>::default());
    assert_eq!(found, DataColumnError::NoCommitments);
    let limit = spec().get_blob_parameters(Epoch::new(0)).max_blobs_per_block;
    let found = error(&|sidecar| {
        let commitments = vec![KzgCommitment::ZERO; limit as usize + 1];
        sidecar.kzg_commitments = VariableList::new(commitments).unwrap();
    });
    assert_eq!(
        found,
        DataColumnError::TooManyCommitments {
            limit,
            found: limit + 1
        }
    );
    let found = error(&|sidecar| sidecar.kzg_proofs = VariableList::new(vec![KzgProof::ZERO]).unwrap());
    assert_eq!(
        found,
        DataColumnError::LengthMismatch {
            cells: 2,
            commitments: 2,
            proofs: 1
        }
    );
    for place in 0..4 {
        let found = error(&|sidecar| sidecar.kzg_commitments_inclusion_proof[place].0[7] ^= 1);
        assert_eq!(found, DataColumnError::InclusionProof);
    }
    assert_eq!(error(&|sidecar| sidecar.index = 4), DataColumnError::InvalidProof);
    assert_eq!(
        error(&|sidecar| sidecar.column[1][31] ^= 1),
        DataColumnError::InvalidProof
    );
    let found = error(&|sidecar| sidecar.kzg_proofs[0] = KzgProof::ZERO);
    assert!(matches!(found, DataColumnError::Kzg(_)), "no point: {found}");
    let found = error(&|sidecar| sidecar.column[0][..32].fill(0xff));
    assert!(matches!(found, DataColumnError::Kzg(_)), "no field element: {found}");
}

#[test]
fn blobs_and_proofs_must_be_those_of_the_block() {
    let (block, blobs) = block_with_blobs(ForkName::Fulu);
    for (blobs, proofs) in [(&blobs[..1], 128), (&blobs[..], 255), (&blobs[..], 0), (&[][..], 0)] {
        let error = get_data_column_sidecars_from_block(&block, blobs, &vec![KzgProof::ZERO; proofs]).unwrap_err();
        assert!(matches!(error, DataColumnError::LengthMismatch { .. }), "{error}");
    }
}
