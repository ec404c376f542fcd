//! `general/fulu/kzg`: formats/kzg_7594.

use crate::case_dir::{CaseDir, CaseError};
use data_columns::{
    CellsAndProofs, DataColumnError, compute_cells, compute_cells_and_kzg_proofs, recover_cells_and_kzg_proofs,
    verify_cell_kzg_proof_batch,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ssz_types::FixedVector;
use ssz_types::typenum::Unsigned;
use types::{KzgCommitment, KzgProof, Mainnet};

/// Bytes of any length: wrong lengths occur on purpose.
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_utils::hex::decode(&String::deserialize(deserializer)?)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// `output` is null where the input must be refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data<I, O> {
    input: I,
    output: Option<O>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneBlob {
    blob: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SomeCells {
    cell_indices: Vec<u64>,
    cells: Vec<Hex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    commitments: Vec<Hex>,
    cell_indices: Vec<u64>,
    cells: Vec<Hex>,
    proofs: Vec<Hex>,
}

/// Of the right length, or nothing.
fn fixed<N: Unsigned>(bytes: &Hex) -> Option<FixedVector<u8, N>> {
    FixedVector::new(bytes.0.clone()).ok()
}

fn cells<N: Unsigned>(cells: &[Hex]) -> Option<Vec<FixedVector<u8, N>>> {
    cells.iter().map(fixed).collect()
}

fn points(points: &[Hex]) -> Option<Vec<KzgProof>> {
    points
        .iter()
        .map(|point| KzgProof::try_from(point.0.as_slice()).ok())
        .collect()
}

fn read<I: DeserializeOwned, O: DeserializeOwned>(directory: &CaseDir) -> Result<Data<I, O>, CaseError> {
    directory.yaml("data.yaml")
}

fn expect<T: PartialEq>(found: Option<T>, expected: Option<T>) -> Result<(), CaseError> {
    match (found, expected) {
        (Some(found), Some(expected)) if found == expected => Ok(()),
        (None, None) => Ok(()),
        (Some(_), Some(_)) => Err(CaseError::wrong("the output is another one")),
        (Some(_), None) => Err(CaseError::wrong("accepted, expected refusal")),
        (None, Some(_)) => Err(CaseError::wrong("refused, expected an output")),
    }
}

/// Cells and proofs as they are written in the vectors.
fn expect_cells_and_proofs(
    found: Option<CellsAndProofs<Mainnet>>,
    expected: Option<(Vec<Hex>, Vec<Hex>)>,
) -> Result<(), CaseError> {
    let read = |(all, proofs): (Vec<Hex>, Vec<Hex>)| Some((cells(&all)?, points(&proofs)?));
    let expected = expected
        .map(|output| read(output).ok_or_else(|| CaseError::wrong("data.yaml: output of another length")))
        .transpose()?;
    expect(found, expected)
}

pub(crate) fn run(handler: &str, directory: &CaseDir) -> Result<(), CaseError> {
    match handler {
        "compute_cells" => {
            let Data { input, output }: Data<OneBlob, Vec<Hex>> = read(directory)?;
            let found = fixed(&input.blob).and_then(|blob| compute_cells::<Mainnet>(&blob).ok());
            let output = output
                .map(|output| cells(&output).ok_or_else(|| CaseError::wrong("data.yaml: output of another length")))
                .transpose()?;
            expect(found, output)
        }
        "compute_cells_and_kzg_proofs" => {
            let Data { input, output }: Data<OneBlob, _> = read(directory)?;
            let found = fixed(&input.blob).and_then(|blob| compute_cells_and_kzg_proofs::<Mainnet>(&blob).ok());
            expect_cells_and_proofs(found, output)
        }
        "recover_cells_and_kzg_proofs" => {
            let Data { input, output }: Data<SomeCells, _> = read(directory)?;
            let found = cells(&input.cells)
                .and_then(|cells| recover_cells_and_kzg_proofs::<Mainnet>(&input.cell_indices, &cells).ok());
            expect_cells_and_proofs(found, output)
        }
        "verify_cell_kzg_proof_batch" => {
            let Data { input, output }: Data<Batch, bool> = read(directory)?;
            expect(verify(&input), output)
        }
        other => Err(CaseError::Unknown(format!("kzg/{other}"))),
    }
}

/// Nothing where the input is malformed.
fn verify(batch: &Batch) -> Option<bool> {
    let commitments: Vec<KzgCommitment> = points(&batch.commitments)?;
    let result = verify_cell_kzg_proof_batch::<Mainnet>(
        &commitments,
        &batch.cell_indices,
        &cells(&batch.cells)?,
        &points(&batch.proofs)?,
    );
    match result {
        Ok(()) => Some(true),
        Err(DataColumnError::InvalidProof) => Some(false),
        Err(_) => None,
    }
}
