//! Blobs and columns of blocks.

use crate::support::*;
use data_columns::{compute_cells_and_kzg_proofs, get_data_column_sidecars_from_block};
use execution_layer::kzg_commitment_to_versioned_hash;
use serde_json::json;
use types::*;

/// A blob with a proof of something else: nothing here verifies it.
fn blob(number: u8) -> Blob<Minimal> {
    let mut blob = Blob::<Minimal>::default();
    // The first byte of each field element stays zero, so that the element is canonical.
    for (place, byte) in blob.iter_mut().enumerate() {
        *byte = if place % 32 == 0 { 0 } else { number };
    }
    blob
}

/// A block with two blobs that the storage knows, and its columns.
async fn stored(node: &mut Node) -> (Root, Vec<DataColumnSidecar<Minimal>>, [KzgCommitment; 2]) {
    let SignedBeaconBlock::Dvt(mut block) = node.step(&everybody).await.unwrap() else {
        unreachable!("the chain is of the latest fork")
    };
    let commitments = [KzgCommitment::new([1; 48]), KzgCommitment::new([2; 48])];
    block.message.body.blob_kzg_commitments = commitments.to_vec().try_into().unwrap();
    let block = SignedBeaconBlock::from(block);
    let root = block.block_root();
    let storage = node.chain.storage();
    storage.put_block(root, &block).unwrap();
    let blobs = [blob(1), blob(2)];
    let proofs: Vec<KzgProof> = blobs
        .iter()
        .flat_map(|blob| compute_cells_and_kzg_proofs::<Minimal>(blob).unwrap().1)
        .collect();
    let columns = get_data_column_sidecars_from_block::<Minimal>(&block, &blobs, &proofs).unwrap();
    (root, columns, commitments)
}

#[tokio::test]
async fn a_block_without_blobs_has_empty_lists() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    for path in [
        "/eth/v1/beacon/blobs/head",
        "/eth/v1/beacon/blobs/genesis",
        "/eth/v1/beacon/blob_sidecars/3",
        "/eth/v1/debug/beacon/data_column_sidecars/head?indices=0,127",
    ] {
        let (status, body) = node.get(path).await;
        assert_eq!((status, &body["data"]), (200, &json!([])), "{path}");
    }
    for (path, expected) in [
        ("/eth/v1/beacon/blobs/justified", 400),
        ("/eth/v1/beacon/blobs/head?versioned_hashes=0x12", 400),
        ("/eth/v1/beacon/blobs/99", 404),
        ("/eth/v1/debug/beacon/data_column_sidecars/head?indices=128", 400),
        ("/eth/v1/debug/beacon/data_column_sidecars/99", 404),
        ("/eth/v1/beacon/blob_sidecars/99", 404),
    ] {
        let (status, body) = node.get(path).await;
        assert_eq!(
            (status, body["code"].as_u64()),
            (expected, Some(expected.into())),
            "{path}"
        );
    }
}

#[tokio::test]
async fn blobs_are_read_from_the_first_or_from_any_half_of_the_columns() {
    let mut node = Node::with_group().await;
    node.run_to(3).await;
    let (root, columns, commitments) = stored(&mut node).await;
    let path = format!("/eth/v1/beacon/blobs/{root:?}");
    let hex = |number: u8| {
        let bytes = blob(number)
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        json!(format!("0x{bytes}"))
    };
    // One column is missing for a half.
    for column in &columns[65..] {
        node.chain.storage().put_data_column(&root, column).unwrap();
    }
    let (status, body) = node.get(&path).await;
    assert_eq!(status, 404);
    assert!(body["message"].as_str().unwrap().contains("63 of the 128"), "{body}");
    node.chain.storage().put_data_column(&root, &columns[3]).unwrap();
    let (status, body) = node.get(&path).await;
    assert_eq!(
        (status, &body["data"]),
        (200, &json!([hex(1), hex(2)])),
        "from another half"
    );
    for column in &columns {
        node.chain.storage().put_data_column(&root, column).unwrap();
    }
    let second = kzg_commitment_to_versioned_hash(&commitments[1]);
    let (_, body) = node.get(&format!("{path}?versioned_hashes={second:?}")).await;
    assert_eq!(body["data"], json!([hex(2)]));
    let ssz = reqwest::Client::new()
        .get(format!("{}{path}", node.url))
        .header("accept", "application/octet-stream")
        .send()
        .await
        .unwrap();
    assert_eq!(
        ssz.bytes().await.unwrap(),
        [blob(1).to_vec(), blob(2).to_vec()].concat()
    );

    let path = format!("/eth/v1/debug/beacon/data_column_sidecars/{root:?}");
    let (_, body) = node.get(&format!("{path}?indices=5&indices=7")).await;
    let expected: Vec<_> = [5, 7]
        .map(|index: usize| serde_json::to_value(&columns[index]).unwrap())
        .into();
    assert_eq!(body["data"], json!(expected));
    assert_eq!(body["version"], "fulu");
    assert_eq!(node.get(&path).await.1["data"].as_array().unwrap().len(), 128);
    let (status, _) = node.get(&format!("/eth/v1/beacon/blob_sidecars/{root:?}")).await;
    assert_eq!(status, 404);
}
