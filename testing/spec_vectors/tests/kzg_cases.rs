//! Cases of `general/fulu/kzg`, made with the library that they test: right outputs pass, others and nulls do not.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use data_columns::{compute_cells_and_kzg_proofs, verify_cell_kzg_proof_batch};
use serde_json::{Value, json};
use spec_vectors::run;
use tempfile::TempDir;
use types::{Blob, Mainnet};

/// The commitment to a blob of zeros, and all its proofs: the point at infinity.
fn infinity() -> String {
    format!("0xc0{}", "00".repeat(47))
}

fn cell() -> String {
    format!("0x{}", "00".repeat(2048))
}

/// Whether a case passes.
fn passes(handler: &str, input: &Value, output: &Value) -> bool {
    let directory = TempDir::new().unwrap();
    let case = directory
        .path()
        .join(format!("tests/general/fulu/kzg/{handler}/kzg-mainnet/case"));
    std::fs::create_dir_all(&case).unwrap();
    let data = json!({ "input": input, "output": output });
    std::fs::write(case.join("data.yaml"), data.to_string()).unwrap();
    let report = run(directory.path(), None).unwrap();
    assert_eq!(report.passed() + report.failures().len(), 1, "{report}");
    report.is_success()
}

#[test]
fn blob_of_zeros_has_cells_of_zeros_and_proofs_at_infinity() {
    let (cells, proofs) = compute_cells_and_kzg_proofs::<Mainnet>(&Blob::<Mainnet>::default()).unwrap();
    assert!(verify_cell_kzg_proof_batch::<Mainnet>(&proofs[..1], &[0], &cells[..1], &proofs[..1]).is_ok());
    let blob = json!({ "blob": format!("0x{}", "00".repeat(131_072)) });
    let cells = json!(vec![cell(); 128]);
    let both = json!([cells, vec![infinity(); 128]]);
    let half = json!({ "cell_indices": (64..128).collect::<Vec<u64>>(), "cells": vec![cell(); 64] });
    for (handler, input, output) in [
        ("compute_cells", &blob, &cells),
        ("compute_cells_and_kzg_proofs", &blob, &both),
        ("recover_cells_and_kzg_proofs", &half, &both),
    ] {
        assert!(passes(handler, input, output), "{handler}");
        assert!(!passes(handler, input, &Value::Null), "{handler}");
    }
    let mut other = vec![cell(); 128];
    other[127] = format!("0x{}01", "00".repeat(2047));
    assert!(!passes("compute_cells", &blob, &json!(other)));
    assert!(!passes(
        "recover_cells_and_kzg_proofs",
        &half,
        &json!([other, vec![infinity(); 128]])
    ));
}

#[test]
fn malformed_input_has_no_output() {
    let short = json!({ "blob": format!("0x{}", "00".repeat(131_071)) });
    let no_element = json!({ "blob": format!("0x{}", "ff".repeat(131_072)) });
    for blob in [short, no_element] {
        for handler in ["compute_cells", "compute_cells_and_kzg_proofs"] {
            assert!(passes(handler, &blob, &Value::Null), "{handler}");
        }
    }
    for (indices, cells) in [(63, 63), (64, 63), (63, 64), (129, 129)] {
        let input = json!({ "cell_indices": (0..indices).collect::<Vec<u64>>(), "cells": vec![cell(); cells] });
        assert!(passes("recover_cells_and_kzg_proofs", &input, &Value::Null));
    }
}

#[test]
fn wrong_proof_is_told_from_malformed_input() {
    let batch = |commitment: &str, index: u64, cell: &str, proof: &str| json!({ "commitments": [commitment], "cell_indices": [index], "cells": [cell], "proofs": [proof] });
    let handler = "verify_cell_kzg_proof_batch";
    let one = format!("0x{}01", "00".repeat(2047));
    let (no_point, infinity, cell) = (format!("0x{}", "00".repeat(48)), infinity(), cell());
    for (input, output) in [
        (batch(&infinity, 5, &cell, &infinity), json!(true)),
        (batch(&infinity, 5, &one, &infinity), json!(false)),
        (batch(&infinity, 128, &cell, &infinity), Value::Null),
        (batch(&no_point, 5, &cell, &infinity), Value::Null),
        (batch(&infinity, 5, &cell, &no_point), Value::Null),
        (batch(&infinity, 5, &cell[..4096], &infinity), Value::Null),
        (batch(&infinity[..96], 5, &cell, &infinity), Value::Null),
    ] {
        for claim in [json!(true), json!(false), Value::Null] {
            assert_eq!(passes(handler, &input, &claim), claim == output, "{output} and {claim}");
        }
    }
}

#[test]
fn unknown_handler_fails() {
    assert!(!passes("blob_to_kzg_commitment", &json!({}), &Value::Null));
}
